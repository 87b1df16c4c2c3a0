//! Requests by project, where that is wanted. So many projects have a count of their own, those that call
//! first; the others are counted together, since each label value costs whoever reads the metrics.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use crate::prometheus_text::{begin, value};

const REQUESTS: &str = "countersign_gateway_project_requests_total";

/// The label of the projects that have no count of their own.
const OTHER: &str = "other";

/// Requests of projects.
#[derive(Debug)]
pub(crate) struct ProjectRequests {
    most: usize,
    known: ArcSwap<HashMap<String, Arc<Counts>>>,
    other: Counts,
    /// Held by whoever adds a project.
    adding: Mutex<()>,
}

#[derive(Debug, Default)]
struct Counts {
    passed: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn count(&self, refused: bool) {
        let count = if refused { &self.refused } else { &self.passed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProjectRequests {
    /// So many projects at most have a count of their own; none are counted where that is zero.
    pub(crate) fn new(most: usize) -> Option<Self> {
        (most > 0).then(|| Self {
            most,
            known: ArcSwap::default(),
            other: Counts::default(),
            adding: Mutex::default(),
        })
    }

    /// Counts a request of a project.
    pub(crate) fn count(&self, project: &str, refused: bool) {
        let known = self.known.load();
        if let Some(counts) = known.get(project) {
            counts.count(refused);
        } else if known.len() >= self.most {
            self.other.count(refused);
        } else {
            drop(known);
            self.add(project, refused);
        }
    }

    fn add(&self, project: &str, refused: bool) {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load_full();
        // Another thread may have been first, with this project or with the last that has room.
        if let Some(counts) = known.get(project) {
            return counts.count(refused);
        }
        if known.len() >= self.most {
            return self.other.count(refused);
        }
        let counts = Arc::new(Counts::default());
        counts.count(refused);
        let mut more = HashMap::clone(&known);
        more.insert(project.to_owned(), counts);
        self.known.store(Arc::new(more));
    }

    /// As Prometheus reads it.
    pub(crate) fn show(&self, text: &mut String) {
        let help =
            "requests whose key or route names a project, by project and whether they passed";
        begin(REQUESTS, help, "counter", text);
        let known = self.known.load();
        let mut all: Vec<(&str, &Counts)> = known
            .iter()
            .map(|(id, counts)| (id.as_str(), &**counts))
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.push((OTHER, &self.other));
        for (project, counts) in all {
            for (result, count) in [("passed", &counts.passed), ("refused", &counts.refused)] {
                let labels = [("project", project), ("result", result)];
                value(REQUESTS, &labels, count.load(Ordering::Relaxed), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_projects_are_named_and_the_rest_is_counted_together() {
        assert!(ProjectRequests::new(0).is_none());
        let requests = ProjectRequests::new(2).unwrap();
        for (project, refused) in [
            ("b", false),
            ("a", false),
            ("a", true),
            ("c", false),
            ("d", true),
            ("a", false),
        ] {
            requests.count(project, refused);
        }
        let mut text = String::new();
        requests.show(&mut text);
        let counts: Vec<&str> = text.lines().skip(2).collect();
        let line = |project: &str, result: &str, count: u64| {
            format!("{REQUESTS}{{project=\"{project}\",result=\"{result}\"}} {count}")
        };
        let wanted = [
            line("a", "passed", 2),
            line("a", "refused", 1),
            line("b", "passed", 1),
            line("b", "refused", 0),
            line("other", "passed", 1),
            line("other", "refused", 1),
        ];
        assert_eq!(counts, wanted);
    }
}
