//! Who may send next: slots are shared out in turn over the organizations that wait, and no
//! organization and no webhook has more than its share.

use std::collections::{BTreeMap, HashMap};

use countersign_types::id::{OrganizationId, WebhookId};

use crate::store::DueWebhook;

/// The most attempts at once of one webhook, and of all that one organization has: a receiver that
/// never answers must not hold up the others.
const OF_A_WEBHOOK: usize = 4;
const OF_AN_ORGANIZATION: usize = 8;
/// The most attempts at once for organizations that have some under way already.
const SHARED: usize = 64;
/// The most attempts at once: beyond the shared slots, an organization's first still starts.
const ALL: usize = 256;

/// The attempts that are under way.
#[derive(Debug, Default)]
pub(super) struct Slots {
    webhooks: HashMap<WebhookId, usize>,
    organizations: HashMap<OrganizationId, usize>,
    all: usize,
    /// Whose turn it was last.
    last: Option<OrganizationId>,
}

impl Slots {
    /// Takes slots for the webhooks that wait, one for each organization in turn until no more may
    /// start. Answers how many each webhook gets. What is not used must be given back.
    pub(super) fn take(&mut self, due: Vec<DueWebhook>) -> Vec<(DueWebhook, u32)> {
        let mut waiting: BTreeMap<OrganizationId, Vec<(DueWebhook, u32)>> = BTreeMap::new();
        for webhook in due {
            let of_organization = waiting.entry(webhook.organization.clone()).or_default();
            of_organization.push((webhook, 0));
        }
        let mut turns: Vec<_> = waiting.into_iter().collect();
        let behind =
            |(organization, _): &(OrganizationId, _)| Some(organization) <= self.last.as_ref();
        let first = turns.iter().take_while(|turn| behind(turn)).count();
        turns.rotate_left(first);
        let mut taken = true;
        while taken {
            taken = false;
            for (organization, webhooks) in &mut turns {
                taken |= self.take_one(organization, webhooks);
            }
        }
        let given = turns.into_iter().flat_map(|(_, webhooks)| webhooks);
        given.filter(|(_, slots)| *slots > 0).collect()
    }

    /// Takes a slot for the organization's webhook that has the fewest.
    fn take_one(
        &mut self,
        organization: &OrganizationId,
        webhooks: &mut [(DueWebhook, u32)],
    ) -> bool {
        let has = self.organizations.get(organization).copied().unwrap_or(0);
        let room = if has == 0 { ALL } else { SHARED };
        if has >= OF_AN_ORGANIZATION || self.all >= room {
            return false;
        }
        let busy = |webhook: &DueWebhook| self.webhooks.get(&webhook.id).copied().unwrap_or(0);
        let most = |webhook: &DueWebhook| {
            if webhook.is_on_trial() {
                1
            } else {
                OF_A_WEBHOOK
            }
        };
        let free = webhooks
            .iter_mut()
            .filter(|(webhook, _)| busy(webhook) < most(webhook))
            .min_by_key(|(webhook, _)| busy(webhook));
        let Some((webhook, slots)) = free else {
            return false;
        };
        *slots += 1;
        *self.webhooks.entry(webhook.id.clone()).or_default() += 1;
        *self.organizations.entry(organization.clone()).or_default() += 1;
        self.all += 1;
        self.last = Some(organization.clone());
        true
    }

    /// Gives back a slot.
    pub(super) fn give_back(&mut self, organization: &OrganizationId, webhook: &WebhookId) {
        if let Some(count) = self.webhooks.get_mut(webhook) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.organizations.get_mut(organization) {
            *count = count.saturating_sub(1);
        }
        self.webhooks.retain(|_, count| *count > 0);
        self.organizations.retain(|_, count| *count > 0);
        self.all = self.all.saturating_sub(1);
    }

    /// Gives back all.
    pub(super) fn clear(&mut self) {
        *self = Self {
            last: self.last.take(),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(organization: u128, number: u128, failures: u64) -> DueWebhook {
        DueWebhook {
            organization: OrganizationId::from_random(organization),
            id: WebhookId::from_random(organization * 1000 + number),
            failures,
        }
    }

    fn count(taken: &[(DueWebhook, u32)]) -> u32 {
        taken.iter().map(|(_, slots)| slots).sum()
    }

    #[test]
    fn no_webhook_and_no_organization_has_more_than_its_share() {
        let mut slots = Slots::default();
        assert_eq!(count(&slots.take(vec![webhook(1, 1, 0)])), 4);
        let ten: Vec<_> = (1..=10).map(|number| webhook(1, number, 0)).collect();
        let taken = slots.take(ten.clone());
        assert_eq!(count(&taken), 4);
        assert!(
            taken
                .iter()
                .all(|(webhook, slots)| *slots == 1 && *webhook != ten[0])
        );
        assert_eq!(count(&slots.take(ten)), 0);
    }

    #[test]
    fn a_webhook_that_fails_time_and_again_has_one_slot() {
        let mut slots = Slots::default();
        assert_eq!(count(&slots.take(vec![webhook(1, 1, 5)])), 1);
        assert_eq!(
            count(&slots.take(vec![webhook(1, 1, 5), webhook(1, 2, 4)])),
            4
        );
    }

    #[test]
    fn an_organization_without_a_slot_gets_one_however_many_others_wait() {
        let mut slots = Slots::default();
        let hostile: Vec<_> = (1..=20)
            .flat_map(|organization| (1..=10).map(move |number| webhook(organization, number, 0)))
            .collect();
        let taken = slots.take(hostile.clone());
        assert_eq!(count(&taken), 64);
        for organization in 1..=20 {
            let organization = OrganizationId::from_random(organization);
            let own = taken
                .iter()
                .filter(|(webhook, _)| webhook.organization == organization);
            let own: u32 = own.map(|(_, slots)| slots).sum();
            assert!((3..=4).contains(&own), "{own}");
        }
        let mut all = hostile;
        all.push(webhook(21, 1, 0));
        let taken = slots.take(all);
        assert_eq!(taken, [(webhook(21, 1, 0), 1)]);
    }

    #[test]
    fn the_turn_goes_on_after_whoever_had_it_last() {
        let mut slots = Slots::default();
        let all: Vec<_> = (0..100)
            .map(|organization| webhook(organization, 1, 0))
            .collect();
        let first = slots.take(all.clone());
        // Each has one: beyond the shared slots a first attempt still starts.
        assert_eq!((count(&first), first.len()), (100, 100));
        for (webhook, _) in first.iter().take(60) {
            slots.give_back(&webhook.organization, &webhook.id);
        }
        let second = slots.take(all.clone());
        assert_eq!((count(&second), second.len()), (60, 60));
        slots.clear();
        assert_eq!(count(&slots.take(all)), 100);
    }
}
