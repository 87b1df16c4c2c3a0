//! What is known of the contact with the control plane, and what an operator should know of it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_types::UnixSeconds;

/// How far the clock may have been set back before the time of contact counts as unknown.
const CLOCK_TOLERANCE: u64 = 60;

/// When the control plane last said that what is in force is right, and what is wrong since.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    /// 0 for never.
    last: AtomicU64,
    troubles: Mutex<Troubles>,
}

#[derive(Debug, Default)]
struct Troubles {
    lost_since: Option<UnixSeconds>,
    thread_is_late: bool,
    not_durable: Option<String>,
}

impl Contact {
    /// Notes that the control plane said so at this time.
    pub(crate) fn note(&self, at: UnixSeconds) {
        self.last.store(at, Ordering::Release);
    }

    /// Seconds since then; none if it never was, or lies in the future and so cannot be known.
    pub(crate) fn age(&self, now: UnixSeconds) -> Option<u64> {
        let last = self.last.load(Ordering::Acquire);
        let known = last != 0 && last <= now.saturating_add(CLOCK_TOLERANCE);
        known.then(|| now.saturating_sub(last))
    }

    /// Why nothing may pass now: what is in force is too old, or its age is unknown.
    pub(crate) fn too_old(&self, now: UnixSeconds, limit: Duration) -> Option<String> {
        let limit = limit.as_secs();
        match self.age(now) {
            Some(age) if age <= limit => None,
            Some(age) => Some(format!("the bundle is {age} s old, more than {limit} s")),
            None if self.last.load(Ordering::Acquire) == 0 => {
                Some("no bundle has been pulled yet".to_owned())
            }
            None => Some(
                "the age of the bundle is unknown: by the clock, the control plane answered in the \
                 future"
                    .to_owned(),
            ),
        }
    }

    /// Notes that contact was lost, or is back.
    pub(crate) fn set_lost(&self, since: Option<UnixSeconds>) {
        self.troubles().lost_since = since;
    }

    /// Notes whether a thread takes too long to enforce a change.
    pub(crate) fn set_thread_is_late(&self, late: bool) {
        self.troubles().thread_is_late = late;
    }

    /// Notes why what is in force would not survive a restart; none if it would.
    pub(crate) fn set_not_durable(&self, why: Option<String>) {
        self.troubles().not_durable = why;
    }

    /// What is wrong, in words, though requests are served.
    pub(crate) fn warnings(&self, now: UnixSeconds) -> Vec<String> {
        let troubles = self.troubles();
        let lost = troubles.lost_since.map(|since| {
            let for_so_long = now.saturating_sub(since);
            format!(
                "contact with the control plane was lost {for_so_long} s ago: changes do not arrive"
            )
        });
        let not_durable = troubles.not_durable.as_ref().map(|why| {
            format!("what is in force is not on disk, and would not survive a restart: {why}")
        });
        let late = troubles.thread_is_late.then(|| {
            "a thread takes too long to enforce the latest change, which is not reported until then"
                .to_owned()
        });
        lost.into_iter().chain(late).chain(not_durable).collect()
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn what_is_too_old_or_of_unknown_age_lets_nothing_pass() {
        let contact = Contact::default();
        assert!(contact.too_old(7, DAY).unwrap().contains("no bundle"));
        contact.note(1000);
        let at = |now| contact.too_old(now, Duration::from_secs(10));
        assert_eq!((at(1000), at(1010)), (None, None));
        assert!(at(1011).unwrap().contains("11 s old"));
        // The clock was set back: a little may be, more makes the age unknown, not zero.
        assert_eq!((at(999), at(940)), (None, None));
        assert!(at(939).unwrap().contains("unknown"));
        assert_eq!(contact.age(939), None);
    }

    #[test]
    fn warnings_say_what_is_wrong_and_go_with_it() {
        let contact = Contact::default();
        assert!(contact.warnings(7).is_empty());
        contact.set_lost(Some(100));
        contact.set_thread_is_late(true);
        contact.set_not_durable(Some("the disk is full".to_owned()));
        let [lost, late, not_durable] = &contact.warnings(130)[..] else {
            panic!("three warnings");
        };
        assert!(late.contains("a thread"), "{late}");
        assert!(lost.contains("30 s ago"), "{lost}");
        assert!(not_durable.contains("the disk is full"), "{not_durable}");
        contact.set_lost(None);
        contact.set_thread_is_late(false);
        contact.set_not_durable(None);
        assert!(contact.warnings(130).is_empty());
    }
}
