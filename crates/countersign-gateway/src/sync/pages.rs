//! Everything in pages: no answer holds more than a part of it, and what has arrived stays when a
//! connection breaks.
//!
//! Each page is of its own time. When all are there, what changed after the point of the first is asked
//! for, and makes of them what was in force at one time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_types::{
    bundle::{Bundle, OrganizationBundle},
    history::HistoryPoint,
    id::OrganizationId,
};

/// What to ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What changed after the point in force.
    Changes,
    /// The page from there.
    Page(OrganizationId),
    /// All pages are there: what changed after the point of the first.
    Rest(HistoryPoint),
}

/// The pages that arrived, from one pull to the next.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<Option<Begun>>);

#[derive(Debug)]
struct Begun {
    /// The point in force, which is not in the server's history.
    after: HistoryPoint,
    /// The point of the first page.
    point: HistoryPoint,
    organizations: HashMap<OrganizationId, OrganizationBundle>,
    /// Where the next page begins; none when all are there.
    next: Option<OrganizationId>,
}

impl Pages {
    /// What a pull after a point asks for next.
    pub(super) fn step(&self, after: HistoryPoint) -> Step {
        let mut begun = self.lock();
        // Those of another pull are of no use.
        begun.take_if(|begun| begun.after != after);
        match &*begun {
            None => Step::Changes,
            Some(Begun {
                next: Some(next), ..
            }) => Step::Page(next.clone()),
            Some(begun) => Step::Rest(begun.point),
        }
    }

    /// Takes in the answer to a step; what it comes to, once that is whole.
    pub(super) fn answered(
        &self,
        after: HistoryPoint,
        step: &Step,
        answer: Bundle,
    ) -> Option<Bundle> {
        match step {
            Step::Page(from) => {
                self.add(from, answer);
                None
            }
            // The server does not know the point any more, and so neither what its pages are worth.
            Step::Rest(_) if answer.complete => self.first(after, answer),
            Step::Rest(point) => self.finish(*point, answer),
            Step::Changes => self.first(after, answer),
        }
    }

    fn first(&self, after: HistoryPoint, answer: Bundle) -> Option<Bundle> {
        let mut begun = self.lock();
        if answer.next.is_none() {
            *begun = None;
            return Some(answer);
        }
        *begun = Some(Begun {
            after,
            point: answer.point(),
            organizations: HashMap::new(),
            next: None,
        });
        if let Some(begun) = &mut *begun {
            begun.take(answer);
        }
        None
    }

    fn add(&self, from: &OrganizationId, page: Bundle) {
        let mut begun = self.lock();
        // Of two pulls at once, the first to bring a page adds it.
        let awaited = begun
            .as_mut()
            .filter(|begun| begun.next.as_ref() == Some(from));
        if let Some(begun) = awaited {
            begun.take(page);
        }
    }

    fn finish(&self, point: HistoryPoint, rest: Bundle) -> Option<Bundle> {
        let whole = self.lock().take_if(|begun| begun.point == point)?;
        let mut organizations = whole.organizations;
        let changed = rest.organizations.into_iter();
        organizations.extend(changed.map(|each| (each.id.clone(), each)));
        Some(Bundle {
            complete: true,
            organizations: organizations.into_values().collect(),
            ..rest
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    fn take(&mut self, page: Bundle) {
        self.next = page.next;
        let organizations = page.organizations.into_iter();
        self.organizations
            .extend(organizations.map(|each| (each.id.clone(), each)));
    }
}

#[cfg(test)]
mod tests {
    use countersign_types::history::RevisionToken;

    use super::*;

    fn id(number: u128) -> OrganizationId {
        OrganizationId::from_random(number)
    }

    fn point(revision: u64) -> HistoryPoint {
        HistoryPoint {
            revision,
            token: RevisionToken::from_random(u128::from(revision)),
        }
    }

    /// Organizations by number and revision, as an answer at a point.
    fn answer(at: u64, complete: bool, all: &[(u128, u64)], next: Option<u128>) -> Bundle {
        let HistoryPoint { revision, token } = point(at);
        let organization = |&(number, revision): &(u128, u64)| OrganizationBundle {
            id: id(number),
            revision,
            digest: None,
            certificates: Vec::new(),
            active: Vec::new(),
            with_reported: Vec::new(),
            projects: Vec::new(),
            keys: Vec::new(),
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        };
        Bundle {
            revision,
            token,
            complete,
            organizations: all.iter().map(organization).collect(),
            next: next.map(id),
        }
    }

    /// Gives a pull its next answer.
    #[track_caller]
    fn answered(pages: &Pages, expected: &Step, with: Bundle) -> Option<Bundle> {
        let step = pages.step(HistoryPoint::START);
        assert_eq!(step, *expected);
        let mut whole = pages.answered(HistoryPoint::START, &step, with)?;
        whole
            .organizations
            .sort_by(|one, other| one.id.cmp(&other.id));
        Some(whole)
    }

    #[test]
    fn an_answer_without_pages_is_whole() {
        let pages = Pages::default();
        for complete in [true, false] {
            let whole = answer(7, complete, &[(1, 7)], None);
            assert_eq!(answered(&pages, &Step::Changes, whole.clone()), Some(whole));
        }
    }

    #[test]
    fn pages_and_what_changed_since_the_first_are_one_state() {
        let pages = Pages::default();
        let first = answer(7, true, &[(1, 1), (2, 2)], Some(2));
        assert_eq!(answered(&pages, &Step::Changes, first), None);
        let second = answer(8, true, &[(3, 8)], Some(3));
        assert_eq!(answered(&pages, &Step::Page(id(2)), second.clone()), None);
        // Another pull brought the same page, too late.
        pages.answered(HistoryPoint::START, &Step::Page(id(2)), second);
        let last = answer(9, true, &[], None);
        assert_eq!(answered(&pages, &Step::Page(id(3)), last), None);
        let rest = answer(10, false, &[(1, 10), (3, 8)], None);
        let whole = answer(10, true, &[(1, 10), (2, 2), (3, 8)], None);
        assert_eq!(answered(&pages, &Step::Rest(point(7)), rest), Some(whole));
        assert_eq!(pages.step(HistoryPoint::START), Step::Changes);
    }

    #[test]
    fn pages_of_another_history_or_another_point_in_force_are_let_go() {
        let pages = Pages::default();
        let first = answer(7, true, &[(1, 1)], Some(1));
        answered(&pages, &Step::Changes, first.clone());
        let last = answer(7, true, &[(2, 2)], None);
        answered(&pages, &Step::Page(id(1)), last);
        let restored = answer(5, true, &[(4, 4)], Some(4));
        assert_eq!(answered(&pages, &Step::Rest(point(7)), restored), None);
        assert_eq!(pages.step(HistoryPoint::START), Step::Page(id(4)));
        assert_eq!(pages.step(point(3)), Step::Changes);
        assert_eq!(pages.step(HistoryPoint::START), Step::Changes);
        answered(&pages, &Step::Changes, first);
        let of_an_older_server = answer(8, true, &[(1, 1), (2, 8)], None);
        answered(&pages, &Step::Page(id(1)), of_an_older_server.clone());
        let rest = answer(8, false, &[], None);
        let whole = answered(&pages, &Step::Rest(point(7)), rest);
        assert_eq!(whole, Some(of_an_older_server));
    }
}
