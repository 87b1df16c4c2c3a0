//! What a receipt rests on that was taken away before, by a change that its gateway had not seen.

use countersign_types::receipt::PERMIT;

use super::{
    checks::{Looking, anchor},
    finding::{Check, Finding},
    history::{Change, State, Thing},
};

impl Looking<'_> {
    /// What it rests on that was taken away by changes that the gateway had not seen.
    pub(super) fn superseded(&self) -> Vec<Finding> {
        let (check, time) = (Check::Superseded, self.claims.time);
        let mut taken_away = self.taken_away();
        taken_away.extend(self.anchor_meanwhile());
        if taken_away.is_empty() {
            let why = "nothing that it rests on was taken away before";
            return vec![Finding::holds(check, why)];
        }
        let each = taken_away.into_iter().map(|(what, change)| {
            let (number, ago) = (change.number, time.saturating_sub(change.at));
            let why =
                format!("{what} by event {number}, {ago} s before; the gateway had not seen it");
            if ago > self.lag {
                Finding::fails(check, why)
            } else {
                Finding::holds(check, why)
            }
        });
        each.collect()
    }

    /// The signing key, the project and the caller, where they were gone by then.
    fn taken_away(&self) -> Vec<(String, &Change)> {
        let claims = self.claims;
        let (project, key) = (claims.project.to_string(), self.key.to_owned());
        let mut rests = vec![
            (
                format!("the signing key `{key}` was withdrawn"),
                Thing::ReceiptKey(key),
            ),
            (
                format!("project `{project}` was archived"),
                Thing::Project(project),
            ),
        ];
        if let Some(key) = &claims.key {
            let thing = Thing::ApiKey(key.to_string());
            rests.push((format!("key `{key}` was deleted"), thing));
        }
        if let Some(account) = &claims.service_account {
            let thing = Thing::ServiceAccount(account.to_string());
            rests.push((format!("service account `{account}` was deleted"), thing));
        }
        let gone = rests.into_iter().filter_map(|(what, thing)| {
            let change = self.meanwhile(&thing)?;
            let is_gone = matches!(
                change.state,
                State::Withdrawn | State::Archived | State::Deleted
            );
            is_gone.then_some((what, change))
        });
        gone.collect()
    }

    /// The change by which the anchor was enforced nowhere any more; without one, by which an anchor was
    /// enforced.
    fn anchor_meanwhile(&self) -> Option<(String, &Change)> {
        if self.claims.code != PERMIT {
            return None;
        }
        let Some(id) = &self.claims.anchor else {
            let anchors = self.scopes().into_iter();
            let anchors = anchors.flat_map(|scope| self.export.histories.anchors(scope));
            let enforced = anchors.filter_map(|(thing, id)| {
                let change = self.meanwhile(thing)?;
                let is_enforced = change.state == State::Enforced;
                is_enforced.then(|| (format!("`{id}` was enforced"), change))
            });
            return enforced.min_by_key(|(_, change)| change.number);
        };
        let things = self.scopes().map(|scope| anchor(scope, id.as_str()));
        let histories = &self.export.histories;
        let then = things
            .iter()
            .filter_map(|thing| histories.until(thing, self.claims.time));
        if then
            .into_iter()
            .any(|change| change.state == State::Enforced)
        {
            return None;
        }
        let changes = things.iter().filter_map(|thing| self.meanwhile(thing));
        let last = changes.max_by_key(|change| change.number)?;
        Some((format!("`{id}` was deactivated"), last))
    }

    /// What became of a thing in the end, after the event that the gateway had seen and before the receipt.
    fn meanwhile(&self, thing: &Thing) -> Option<&Change> {
        let change = self.export.histories.until(thing, self.claims.time)?;
        (change.number > self.claims.audit_number).then_some(change)
    }
}
