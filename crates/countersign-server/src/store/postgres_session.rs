//! Whose session a connection leads to: its own, or one of a pooler such as PgBouncer, which may be
//! another at each transaction. There a prepared statement is not found, or is another node's; settings
//! are lost; and notifications never come.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_postgres::{Client, Error, SimpleQueryMessage, error::SqlState};

use super::Sources;

/// Limits of every statement, set when a session begins.
pub(super) const LIMITS: &str = "-c statement_timeout=15s -c lock_timeout=10s \
     -c idle_in_transaction_session_timeout=30s";
/// The same where a session is lent for a transaction.
pub(super) const LIMITS_OF_TRANSACTION: &str = "SET LOCAL statement_timeout = '15s'; \
     SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '30s'";
const WHOSE: &str = "SELECT current_setting('countersign.session', true)";

/// What a connection names its session by, with the options that begin it. A pooler that gives its own
/// sessions does not take options, or ignores them, or gives a session that began with another connection's:
/// that is how it is told from a server.
pub(super) struct Mark(Option<String>);

impl Mark {
    /// One that no other connection has.
    pub(super) fn draw() -> Self {
        // Without randomness nothing is shown, and a pooler is expected.
        let drawn = Sources::system().id().ok();
        Self(drawn.map(|number| format!("{number:032x}")))
    }

    /// What to begin the session with.
    pub(super) fn option(&self) -> String {
        let mark = self.0.as_deref().unwrap_or_default();
        format!("-c countersign.session={mark}")
    }

    fn is(&self, found: Option<&str>) -> bool {
        self.0.is_some() && self.0.as_deref() == found
    }
}

/// What the connections of a URL lead to. It is a pooler from the first that did: what works there
/// works anywhere.
#[derive(Clone, Default)]
pub(super) struct Session(Arc<AtomicBool>);

impl Session {
    pub(super) fn is_pooled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set_pooled(&self) {
        if !self.0.swap(true, Ordering::AcqRel) {
            tracing::info!(
                "the database is reached through a pooler; nothing is kept in its sessions"
            );
        }
    }

    /// Looks at a new connection, before it is used.
    pub(super) async fn look(&self, client: &Client, mark: &Mark) -> Result<(), Error> {
        if self.is_pooled() {
            return Ok(());
        }
        let answered = client.simple_query(WHOSE).await?;
        let own = answered
            .iter()
            .any(|message| matches!(message, SimpleQueryMessage::Row(row) if mark.is(row.get(0))));
        if !own {
            self.set_pooled();
        }
        Ok(())
    }
}

/// Whether a connection was refused because of its options: a pooler does not know them.
pub(super) fn refuses_options(error: &Error) -> bool {
    error.as_db_error().is_some_and(|refusal| {
        *refusal.code() == SqlState::PROTOCOL_VIOLATION
            && refusal.message().contains("startup parameter")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_another_connection_is_not_taken_for_ones_own() {
        let (own, other) = (Mark::draw(), Mark::draw());
        assert!(own.is(own.0.as_deref()) && !own.is(other.0.as_deref()));
        for nobodys in [None, Some(""), Some("own")] {
            assert!(!own.is(nobodys) && !Mark(None).is(nobodys));
        }
    }
}
