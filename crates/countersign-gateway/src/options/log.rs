//! The program's own log.

use serde::Deserialize;

/// The program's own log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Whom it is written for.
    pub format: LogFormat,
    /// The least severe events that are logged.
    pub level: LogLevel,
}

/// Whom a log is written for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people on a terminal, and else for programs.
    #[default]
    Auto,
    /// For people, in lines.
    Human,
    /// For programs, in JSON.
    Json,
}

/// How severe an event is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What was asked for cannot be done.
    Error,
    /// Something is wrong.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// What happens within.
    Debug,
    /// All of it.
    Trace,
}
