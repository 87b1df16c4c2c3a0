//! The table on the terminal and the goals that it is held against.

use serde::Serialize;

use crate::{bench::sampling::Measured, process::say};

/// A goal and how far we are from it.
#[derive(Serialize)]
pub(crate) struct Goal {
    pub(crate) goal: String,
    pub(crate) measured: f64,
    pub(crate) met: bool,
}

impl Goal {
    pub(crate) fn at_most(goal: &str, measured: f64, limit: f64) -> Self {
        Self {
            goal: format!("{goal}: at most {limit}"),
            measured,
            met: measured <= limit,
        }
    }

    pub(crate) fn at_least(goal: &str, measured: f64, limit: f64) -> Self {
        Self {
            goal: format!("{goal}: at least {limit}"),
            measured,
            met: measured >= limit,
        }
    }
}

pub(crate) fn print_table(rows: &[Measured]) {
    say(&format!(
        "{:<26} {:<30} {:>12} {:>11} {:>14} {:>17}",
        "server", "operation", "certificates", "requests/s", "CPU us/request", "database CPU us"
    ));
    for row in rows {
        say(&format!(
            "{:<26} {:<30} {:>12} {:>11.0} {:>14.1} {:>17.1}",
            row.name,
            row.operation,
            row.certificates,
            row.requests_per_second,
            row.cpu_microseconds,
            row.database_cpu_microseconds
        ));
    }
}

pub(crate) fn print_goals(goals: &[Goal]) {
    for goal in goals {
        let verdict = if goal.met { "met" } else { "NOT MET" };
        say(&format!(
            "{:<70} measured {:>8.2}  {verdict}",
            goal.goal, goal.measured
        ));
    }
}
