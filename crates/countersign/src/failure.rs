//! How a command fails: what went wrong, what to do about it, and the exit code.

use std::fmt;

/// A failed command, as it is reported on standard error.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    exit: u8,
}

/// The result of a command.
pub(crate) type CommandResult<T = ()> = Result<T, Failure>;

impl Failure {
    /// Something failed: exit code 1.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            hint: None,
            exit: 1,
        }
    }

    /// The command line, environment or configuration is wrong: exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            exit: 2,
            ..Self::new(message)
        }
    }

    /// The reader of the output closed the pipe: end silently, and not as a failure.
    pub(crate) fn silent() -> Self {
        Self::quiet(0)
    }

    /// A result that scripts recognize by its exit code; everything was printed already.
    pub(crate) fn quiet(exit: u8) -> Self {
        Self {
            exit,
            ..Self::new("")
        }
    }

    /// Whether there is no message to print.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// The same with another exit code.
    pub(crate) fn with_exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// Adds advice on what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same advice and exit code under another message.
    pub(crate) fn again(&self, message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            hint: self.hint.clone(),
            exit: self.exit,
        }
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, if known.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The process's exit code.
    pub(crate) const fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    /// Prefixes the error with `cannot DO IT`.
    fn doing(self, what: impl fmt::Display) -> CommandResult<T>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> CommandResult<T> {
        self.map_err(|error| Failure::new(format_args!("cannot {what}: {error}")))
    }
}
