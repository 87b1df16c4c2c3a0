//! The walk along a chain, from the newest event to the oldest, in memory that does not grow with
//! the log.

use serde_json::{Map, Value};

use super::{ChainFault, EventPosition, GENESIS, event_sha256};

/// How many faults are reported one by one: a log of another's making could have millions.
const MAX_FAULTS: usize = 1000;

/// A head that somebody kept: the hash of what was the newest event then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptHead {
    /// Its number, where that was kept too.
    pub number: Option<u64>,
    /// Its hash, in lower-case hexadecimal.
    pub sha256: String,
}

/// Looks at the events of one organization, newest first, and says what is wrong with them.
#[derive(Debug, Default)]
pub struct ChainWalk {
    heads: Vec<KeptHead>,
    faults: Vec<ChainFault>,
    events: u64,
    newest: Option<ChainedEvent>,
    lowest: Option<ChainedEvent>,
}

/// An event as its neighbours see it.
#[derive(Debug, Clone)]
struct ChainedEvent {
    position: EventPosition,
    previous_sha256: String,
    sha256: String,
    /// The hash that another of this number has, if it is that one that the chain leads to.
    named_sha256: Option<String>,
}

impl ChainedEvent {
    fn read(event: &Map<String, Value>) -> Option<Self> {
        let chain = event.get("chain")?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            position: EventPosition {
                number: chain.get("number")?.as_u64().filter(|number| *number > 0)?,
                id: text(event.get("id"))?,
            },
            previous_sha256: text(chain.get("previous_sha256"))?,
            sha256: text(chain.get("sha256"))?,
            named_sha256: None,
        })
    }
}

impl ChainWalk {
    /// A walk that must meet each of these heads.
    #[must_use]
    pub fn new(heads: Vec<KeptHead>) -> Self {
        Self {
            heads,
            ..Self::default()
        }
    }

    /// How many events there were so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The highest event so far, and its hash.
    #[must_use]
    pub fn newest(&self) -> Option<(&EventPosition, &str)> {
        self.newest
            .as_ref()
            .map(|link| (&link.position, link.sha256.as_str()))
    }

    /// The lowest event so far.
    #[must_use]
    pub fn lowest(&self) -> Option<&EventPosition> {
        self.lowest.as_ref().map(|link| &link.position)
    }

    /// Goes on to the next older event, as the API shows it.
    pub fn step(&mut self, event: &Map<String, Value>) {
        self.events = self.events.saturating_add(1);
        let newer = self.lowest().cloned();
        let Some(mut link) = ChainedEvent::read(event) else {
            let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
            let id = id.to_owned();
            return self.fault(ChainFault::Unchained { id, newer });
        };
        let sha256 = event_sha256(event).to_string();
        link.named_sha256 = self.meet_heads(&link);
        if sha256 != link.sha256 {
            link.named_sha256.get_or_insert(link.sha256.clone());
            self.fault(ChainFault::Edited {
                event: link.position.clone(),
                sha256: sha256.clone(),
            });
        }
        let Some(newer) = self.lowest.clone() else {
            self.newest = Some(link.clone());
            self.lowest = Some(link);
            return;
        };
        let (number, expected) = (link.position.number, newer.position.number - 1);
        if number > expected {
            return self.stray(link, newer);
        }
        if number < expected {
            self.fault(ChainFault::Missing {
                from: number + 1,
                to: expected,
                newer: Some(newer.position),
                older: Some(link.position.clone()),
            });
        } else if ![&link.sha256, &sha256].contains(&&newer.previous_sha256) {
            link.named_sha256 = Some(newer.previous_sha256.clone());
            self.fault(ChainFault::Replaced {
                event: link.position.clone(),
                newer: newer.position,
                named_sha256: newer.previous_sha256,
            });
        }
        self.lowest = Some(link);
    }

    /// Ends the walk, which was to reach the event of this number. Answers what is wrong.
    #[must_use]
    pub fn finish(mut self, first: u64) -> Vec<ChainFault> {
        if let Some(lowest) = self.lowest.clone() {
            let number = lowest.position.number;
            if number > first {
                self.fault(ChainFault::Missing {
                    from: first,
                    to: number - 1,
                    newer: Some(lowest.position),
                    older: None,
                });
            } else if number == 1 && lowest.previous_sha256 != GENESIS {
                self.fault(ChainFault::NoBeginning {
                    event: lowest.position,
                });
            }
        }
        let highest = self.newest.take().map(|link| link.position);
        for head in std::mem::take(&mut self.heads) {
            let beyond = head.number.filter(|number| {
                let highest = highest.as_ref().map_or(0, |position| position.number);
                *number > highest && *number >= first
            });
            self.fault(match beyond {
                Some(to) => ChainFault::Missing {
                    from: highest
                        .as_ref()
                        .map_or(first, |position| position.number + 1),
                    to,
                    newer: None,
                    older: highest.clone(),
                },
                None => ChainFault::HeadNotFound {
                    kept_sha256: head.sha256,
                },
            });
        }
        self.faults
    }

    /// Adds a fault that was found by other means.
    pub fn fault(&mut self, fault: ChainFault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Crosses off the heads that this event is, and reports those that it should have been, of
    /// which it answers one.
    fn meet_heads(&mut self, link: &ChainedEvent) -> Option<String> {
        let mut rewritten = Vec::new();
        self.heads.retain(|head| {
            let same_number = head
                .number
                .is_none_or(|number| number == link.position.number);
            if head.sha256 == link.sha256 && same_number {
                return false;
            }
            if head.number == Some(link.position.number) {
                rewritten.push(head.sha256.clone());
                return false;
            }
            true
        });
        for kept_sha256 in rewritten.iter().cloned() {
            let event = link.position.clone();
            self.fault(ChainFault::Rewritten { event, kept_sha256 });
        }
        rewritten.pop()
    }

    /// An event where a lower number belongs: one that was missed before, or one too many.
    fn stray(&mut self, link: ChainedEvent, lowest: ChainedEvent) {
        let event = link.position.clone();
        if lowest.position.number == event.number
            && lowest.named_sha256.as_ref() == Some(&link.sha256)
        {
            // This is the one that the chain leads to, so it was the other that does not belong.
            self.faults.retain(|fault| {
                !matches!(fault, ChainFault::Edited { event, .. }
                    | ChainFault::Replaced { event, .. }
                    | ChainFault::Rewritten { event, .. } if *event == lowest.position)
            });
            self.fault(ChainFault::Inserted {
                event: lowest.position,
            });
            self.lowest = Some(link);
        } else if self.fill_gap(event.number) {
            self.fault(ChainFault::OutOfOrder {
                event,
                newer: lowest.position,
            });
        } else {
            self.fault(ChainFault::Inserted { event });
        }
    }

    /// Takes a number out of those that were thought missing; whether it was one.
    fn fill_gap(&mut self, number: u64) -> bool {
        let found = self.faults.iter().position(|fault| {
            matches!(fault, ChainFault::Missing { from, to, .. } if (*from..=*to).contains(&number))
        });
        let Some(index) = found else {
            return false;
        };
        let ChainFault::Missing {
            from,
            to,
            newer,
            older,
        } = self.faults.remove(index)
        else {
            return false;
        };
        for (from, to) in [(number + 1, to), (from, number - 1)] {
            if from <= to {
                let (newer, older) = (newer.clone(), older.clone());
                self.fault(ChainFault::Missing {
                    from,
                    to,
                    newer,
                    older,
                });
            }
        }
        true
    }
}
