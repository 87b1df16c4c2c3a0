//! What can be wrong with a chain, and how it is described.

use std::fmt;

use serde::Serialize;

/// Where an event says that it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventPosition {
    /// Its number in its organization, from 1.
    pub number: u64,
    /// Its id.
    pub id: String,
}

/// One thing that is wrong. `newer` and `older` are the neighbours that it was found between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChainFault {
    /// An event's content does not have the hash that it states.
    Edited {
        /// The event.
        event: EventPosition,
        /// The hash that its content has now.
        sha256: String,
    },
    /// An event is not the one that the next names as the one before it.
    Replaced {
        /// The event.
        event: EventPosition,
        /// The one that follows it.
        newer: EventPosition,
        /// The hash that the newer one names.
        named_sha256: String,
    },
    /// Events are not there.
    Missing {
        /// The first number that is not there.
        from: u64,
        /// The last number that is not there.
        to: u64,
        /// The next that is there, unless the newest are missing.
        newer: Option<EventPosition>,
        /// The one before that is there, unless the oldest are missing.
        older: Option<EventPosition>,
    },
    /// An event stands where another belongs.
    OutOfOrder {
        /// The event.
        event: EventPosition,
        /// The lowest number that was listed before it: it belongs after the event.
        newer: EventPosition,
    },
    /// An event that the chain knows nothing of bears the number of another, or one beyond the
    /// newest.
    Inserted {
        /// The event.
        event: EventPosition,
    },
    /// An event has no place in the chain at all.
    Unchained {
        /// Its id, empty when it has none.
        id: String,
        /// The newer neighbour.
        newer: Option<EventPosition>,
    },
    /// The first event names one before it.
    NoBeginning {
        /// The first event.
        event: EventPosition,
    },
    /// The event of a head's number is not the one whose hash was kept: what is before it was
    /// rewritten.
    Rewritten {
        /// The event.
        event: EventPosition,
        /// The hash that was kept.
        kept_sha256: String,
    },
    /// No event has the hash that was kept.
    HeadNotFound {
        /// The hash that was kept.
        kept_sha256: String,
    },
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} ({})", self.number, self.id)
    }
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { event, sha256 } => write!(
                f,
                "{event} was edited: its content has the hash {sha256}, not the one that it states"
            ),
            Self::Replaced {
                event,
                newer,
                named_sha256,
            } => write!(
                f,
                "{event} was replaced: {newer} follows one with the hash {named_sha256}"
            ),
            Self::Missing {
                from,
                to,
                newer,
                older,
            } => {
                if from == to {
                    write!(f, "event {from} is missing")?;
                } else {
                    write!(f, "events {from} to {to} are missing")?;
                }
                match (older, newer) {
                    (Some(older), Some(newer)) => write!(f, " between {older} and {newer}"),
                    (Some(older), None) => write!(f, " after {older}: the newest were cut off"),
                    (None, Some(newer)) => write!(f, " before {newer}"),
                    (None, None) => Ok(()),
                }
            }
            Self::OutOfOrder { event, newer } => {
                write!(f, "{event} is out of order: it stands before {newer}")
            }
            Self::Inserted { event } => {
                write!(f, "{event} was inserted: the chain does not lead to it")
            }
            Self::Unchained { id, newer } => {
                write!(
                    f,
                    "the event `{id}` was inserted: it has no place in the chain"
                )?;
                match newer {
                    Some(newer) => write!(f, " (it stands before {newer})"),
                    None => Ok(()),
                }
            }
            Self::NoBeginning { event } => {
                write!(f, "{event} names an event before it, where the log begins")
            }
            Self::Rewritten { event, kept_sha256 } => write!(
                f,
                "{event} is not the one whose hash was kept ({kept_sha256}): the log was rewritten"
            ),
            Self::HeadNotFound { kept_sha256 } => write!(
                f,
                "no event that was checked has the hash that was kept ({kept_sha256}): the log was \
                 rewritten or cut"
            ),
        }
    }
}
