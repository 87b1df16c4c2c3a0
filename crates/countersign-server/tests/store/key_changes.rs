//! What changed of keys: whoever applies it has the keys that there are.

use countersign_server::store::{BundleRequest, NewAdminApiKey, NewServiceAccount, Reach, Store};
use countersign_types::{
    bundle::{Bundle, BundleKey, KeysSum, OrganizationBundle},
    history::HistoryPoint,
    id::{ApiKeyId, OrganizationId, ProjectId, ServiceAccountId},
};

use crate::setting::{
    Setting, commit, on_each, on_each_shared, organization, project, upload, write,
};

/// An organization, and what was created in it so far.
struct Place {
    organization: OrganizationId,
    project: ProjectId,
    admin_keys: Vec<ApiKeyId>,
    accounts: Vec<ServiceAccountId>,
    project_keys: Vec<ApiKeyId>,
}

impl Place {
    async fn new(store: &Store) -> Self {
        let organization = organization(store).await;
        Self {
            project: project(store, &organization, "p").await.id,
            organization,
            admin_keys: Vec::new(),
            accounts: Vec::new(),
            project_keys: Vec::new(),
        }
    }

    /// One change or another.
    async fn change(&mut self, store: &Store, number: usize) {
        let mut tx = write(store, &self.organization).await;
        match number % 7 {
            0 | 3 => {
                let new = NewServiceAccount {
                    name: "bot".to_owned(),
                    with_key: number.is_multiple_of(2),
                };
                let change = tx.create_service_account(&self.project, new).await.unwrap();
                self.accounts.push(commit(tx, change).await.id);
            }
            1 => {
                let new = NewAdminApiKey {
                    name: "k".to_owned(),
                    expires_in_seconds: Some(60),
                    permissions: Vec::new(),
                };
                let change = tx.create_admin_api_key(new).await.unwrap();
                self.admin_keys.push(commit(tx, change).await.id);
            }
            2 => {
                let account = self.accounts.last().unwrap();
                let change =
                    tx.create_service_account_api_key(&self.project, account, None, Vec::new());
                let change = change.await.unwrap();
                self.project_keys.push(commit(tx, change).await.id);
            }
            4 if number > 10 => {
                let account = self.accounts.remove(0);
                let change = tx.delete_service_account(&self.project, &account);
                let change = change.await.unwrap();
                commit(tx, change).await;
            }
            5 if number > 10 => {
                let key = self.admin_keys.remove(0);
                let change = tx.delete_admin_api_key(&key).await.unwrap();
                commit(tx, change).await;
            }
            6 if number > 20 => {
                let key = self.project_keys.pop().unwrap();
                let change = tx.delete_project_api_key(&self.project, &key);
                // Its account may be gone, and it with that.
                if let Ok(change) = change.await {
                    commit(tx, change).await;
                }
            }
            _ => {
                drop(tx);
                upload(store, &self.organization, &format!("a{number}")).await;
            }
        }
    }
}

async fn asked(store: &Store, after: HistoryPoint, reach: Reach, key_changes: bool) -> Bundle {
    let request = BundleRequest {
        after,
        reach,
        paged: false,
        key_changes,
    };
    let answer = store.wait_for(request).look(true).await.unwrap();
    (**answer.unwrap()).clone()
}

fn sorted(mut keys: Vec<BundleKey>) -> Vec<BundleKey> {
    keys.sort_by(|one, other| one.id.cmp(&other.id));
    keys
}

fn of<'b>(bundle: &'b Bundle, id: &OrganizationId) -> Option<&'b OrganizationBundle> {
    bundle.organizations.iter().find(|each| each.id == *id)
}

/// Whoever had these keys, and asks for what changed, has those that there are.
fn arrives(before: &[BundleKey], answer: &OrganizationBundle, now: &OrganizationBundle) {
    assert_eq!((&answer.keys, answer.digest), (&Vec::new(), now.digest));
    let changes = answer.key_changes.clone().unwrap();
    let sum = changes.sum_after(before, KeysSum::of(before));
    assert_eq!(Some(sum.into()), answer.keys_sum);
    assert_eq!(answer.keys_sum, now.keys_sum);
    assert_eq!(sorted(changes.applied_to(before)), sorted(now.keys.clone()));
}

async fn changes_arrive(setting: Setting) {
    let store = setting.open().await;
    let (mut one, mut other) = (Place::new(&store).await, Place::new(&store).await);
    let mut points = Vec::new();
    for number in 0..30 {
        let now = store.bundle(HistoryPoint::START).await.unwrap();
        points.push((now.point(), now));
        one.change(&store, number).await;
        if number.is_multiple_of(5) {
            other.change(&store, number / 5).await;
        }
    }
    let now = store.bundle(HistoryPoint::START).await.unwrap();
    for (point, then) in points {
        let whole = asked(&store, point, Reach::All, false).await;
        assert!(
            whole
                .organizations
                .iter()
                .all(|each| each.key_changes.is_none())
        );
        let own = Reach::Only([one.organization.clone()].into());
        for reach in [Reach::All, own] {
            let answer = asked(&store, point, reach, true).await;
            assert!(!answer.complete);
            for answered in &answer.organizations {
                let [then, now] = [&then, &now].map(|all| of(all, &answered.id).unwrap());
                assert_eq!(of(&whole, &answered.id), Some(now));
                arrives(&then.keys, answered, now);
            }
        }
    }
}

#[test]
fn what_changed_of_keys_makes_the_keys_that_there_are() {
    on_each(changes_arrive);
}

/// As an organization of a version before the sums.
#[test]
fn the_next_write_adds_up_the_keys_that_nobody_added_up_yet() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let mut place = Place::new(&store).await;
        for number in 0..10 {
            place.change(&store, number).await;
        }
        let before = store.bundle(HistoryPoint::START).await.unwrap();
        setting
            .execute("UPDATE organizations SET keys_sum = NULL")
            .await;
        place.change(&store, 1).await;
        let now = store.bundle(HistoryPoint::START).await.unwrap();
        let answer = asked(&store, before.point(), Reach::All, true).await;
        let [answer, before, now] = [&answer, &before, &now].map(|all| &all.organizations[0]);
        arrives(&before.keys, answer, now);
    });
}
