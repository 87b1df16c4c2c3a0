//! Changes of the database: random writes, backups, and putting one back.

use countersign_server::store::{
    Change, NewAdminApiKey, NewCertificate, NewDenial, NewProject, NewServiceAccount, Store,
    StoreError, WriteTx,
};
use countersign_types::{
    UnixSeconds,
    api_key::Permission,
    audit::Actor,
    bundle::OrganizationBundle,
    certificate::{Enforcement, Scope},
    history::HistoryPoint,
    id::{ApiKeyId, CertificateId, DenialId, OrganizationId, ProjectId},
};

use crate::{
    agenda::Event,
    chance::Chance,
    clients::{AUTHORITIES, Authority, KnownKey, VALID, authorities},
    plane::{Backup, Uploaded},
    world::World,
};

/// How many organizations, and projects of one, there are at the most.
const ORGANIZATIONS: usize = 4;
const PROJECTS: usize = 3;
/// How many backups are kept.
const BACKUPS: usize = 3;

/// What is to be written.
#[derive(Debug)]
enum Write {
    Project,
    Archive(ProjectId),
    ProjectKey(ProjectId),
    AdminKey(Option<u32>),
    DeleteProjectKey(ProjectId, ApiKeyId),
    DeleteAdminKey(ApiKeyId),
    Upload(usize),
    Delete(CertificateId),
    Activate(Scope, CertificateId, Enforcement),
    Deactivate(Scope, CertificateId),
    Deny(NewDenial),
    LetIn(DenialId),
    Floor(CertificateId, Option<UnixSeconds>, Enforcement),
}

/// What a write handed out.
enum Given {
    Nothing,
    Key(String),
    Certificate(CertificateId),
}

impl World {
    /// A write at a node that is up.
    pub(crate) fn change(&mut self) {
        let up: Vec<_> = (0..self.plane.nodes.len())
            .filter(|node| {
                self.plane
                    .nodes
                    .get(*node)
                    .is_some_and(|node| node.store.is_some())
            })
            .collect();
        let Some(node) = self.chance.pick(&up).copied() else {
            return;
        };
        let Some(store) = self.store(node) else {
            return;
        };
        let organizations = self.truth.current();
        let count = organizations.len();
        if count == 0 || (count < ORGANIZATIONS && self.chance.one_in(12)) {
            return self.create_organization(&store);
        }
        let Some(bundle) = self.chance.pick(&organizations).cloned() else {
            return;
        };
        let uploaded = self.plane.uploaded.iter();
        let of_this = uploaded.filter(|each| each.organization == bundle.id);
        let uploaded: Vec<CertificateId> = of_this.map(|each| each.id.clone()).collect();
        let Some(write) = choose(&mut self.chance, &bundle, &uploaded) else {
            return;
        };
        self.note(|| format!("node {node} writes {}", said(&write)));
        match self.runtime.block_on(apply(&store, &bundle.id, write)) {
            Ok(given) => self.keep(&bundle.id, given),
            // What another history or an earlier write took away.
            Err(error) => {
                let text = error.to_string();
                return self.note(|| format!("it is refused: {}", text.len()));
            }
        }
        self.changed(&store, &bundle.id);
    }

    fn create_organization(&mut self, store: &Store) {
        let made = self.runtime.block_on(store.create_organization("one more"));
        let Ok(made) = made else {
            return;
        };
        let id = made.organization.id;
        self.note(|| format!("a new organization {id}"));
        if let Some(value) = made.key.value {
            self.keep(&id, Given::Key(value.reveal().to_owned()));
        }
        self.changed(store, &id);
    }

    fn keep(&mut self, organization: &OrganizationId, given: Given) {
        let organization = organization.clone();
        match given {
            Given::Nothing => {}
            Given::Key(value) => self.plane.keys.push(KnownKey {
                organization,
                value,
            }),
            Given::Certificate(id) => self.plane.uploaded.push(Uploaded { organization, id }),
        }
    }

    /// The database changed: that is the truth from now on, and whoever waits is woken.
    fn changed(&mut self, store: &Store, id: &OrganizationId) {
        let read = store.organization_bundles(std::slice::from_ref(id));
        let read = self.runtime.block_on(read);
        match read {
            Ok(mut read) => {
                let point = read.point();
                if let Some(bundle) = read.organizations.pop() {
                    self.truth.change(self.now, point, bundle);
                }
            }
            Err(error) => self.wrong(format!("the store cannot read what it wrote: {error}")),
        }
        self.look_signalled();
        self.notice_later();
    }

    /// Copies the database.
    pub(crate) fn back_up(&mut self) {
        self.plane.count += 1;
        let number = self.plane.count;
        self.database.back_up(number);
        self.plane.backups.push(Backup {
            number,
            history: self.truth.history.clone(),
            registered: self.plane.registered.clone(),
        });
        if self.plane.backups.len() > BACKUPS {
            self.plane.backups.remove(0);
        }
        self.note(|| format!("backup {number}"));
    }

    /// Puts a backup back, while the nodes run or while they are down.
    pub(crate) fn restore(&mut self, under_way: bool) {
        let Some(backup) = self.chance.pick(&self.plane.backups).cloned() else {
            return;
        };
        self.note(|| format!("backup {} is put back", backup.number));
        if under_way {
            self.database.overwrite(backup.number);
        } else {
            for node in 0..self.plane.nodes.len() {
                self.close(node, false);
            }
            self.database.replace(backup.number);
        }
        // Backups of the history that is lost now can be put back as well: it is then another's turn.
        self.plane.registered = backup.registered;
        self.plane.confirmed.clear();
        self.read_everything(backup.history);
        if under_way {
            return self.notice_later();
        }
        for node in 0..self.plane.nodes.len() {
            let pause = self.chance.millis(100..5_000);
            self.after(pause, Event::Open(node));
        }
    }

    fn read_everything(&mut self, history: std::collections::BTreeMap<u64, HistoryPoint>) {
        let location = self.database.location();
        let Some(sources) = self.plane.nodes.first().map(|node| node.sources.clone()) else {
            return;
        };
        let read = self.runtime.block_on(async {
            let store = Store::open_unfollowed(&location, sources).await?;
            store.bundle(HistoryPoint::START).await
        });
        match read {
            Ok(bundle) => self.truth.restore(self.now, history, bundle.organizations),
            Err(error) => self.wrong(format!("a backup cannot be read: {error}")),
        }
    }

    /// What a run begins with: two organizations with projects, keys and certificates.
    pub(crate) fn settle_in(&mut self) {
        let Some(store) = self.store(0) else {
            return;
        };
        for _ in 0..2 {
            self.create_organization(&store);
        }
        for bundle in self.truth.current() {
            let mut writes = vec![Write::Project];
            writes.extend((0..AUTHORITIES).map(Write::Upload));
            for write in writes {
                if let Ok(given) = self.runtime.block_on(apply(&store, &bundle.id, write)) {
                    self.keep(&bundle.id, given);
                    self.changed(&store, &bundle.id);
                }
            }
        }
        for bundle in self.truth.current() {
            for project in &bundle.projects {
                let write = Write::ProjectKey(project.id.clone());
                if let Ok(given) = self.runtime.block_on(apply(&store, &bundle.id, write)) {
                    self.keep(&bundle.id, given);
                    self.changed(&store, &bundle.id);
                }
            }
        }
    }
}

/// A kind of write in a word.
fn said(write: &Write) -> String {
    let text = format!("{write:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// A write that may be made to an organization.
fn choose(
    chance: &mut Chance,
    bundle: &OrganizationBundle,
    uploaded: &[CertificateId],
) -> Option<Write> {
    let project = chance
        .pick(&bundle.projects)
        .map(|project| project.id.clone());
    let scope = match &project {
        Some(project) if chance.one_in(2) => Scope::Project(project.clone()),
        _ => Scope::Organization,
    };
    Some(match chance.below(26) {
        0 if bundle.projects.len() < PROJECTS => Write::Project,
        1 => Write::Archive(project?),
        2 | 3 => Write::ProjectKey(project?),
        4 => Write::AdminKey(
            chance
                .one_in(2)
                .then(|| 20 + u32::try_from(chance.below(200)).unwrap_or(0)),
        ),
        5 | 6 => {
            let key = chance.pick(&bundle.keys)?;
            match &key.project {
                Some(project) => Write::DeleteProjectKey(project.clone(), key.id.clone()),
                None => Write::DeleteAdminKey(key.id.clone()),
            }
        }
        7 => Write::Upload(chance.below(AUTHORITIES)),
        8 => Write::Delete(chance.pick(uploaded)?.clone()),
        9..=13 => {
            let active = match scope.project() {
                None => &bundle.active,
                Some(id) => {
                    &bundle
                        .projects
                        .iter()
                        .find(|project| project.id == *id)?
                        .active
                }
            };
            Write::Deactivate(scope, chance.pick(active)?.clone())
        }
        20 | 21 => Write::Deny(denial(chance, scope)?),
        22 | 23 => Write::LetIn(chance.pick(&bundle.denials)?.id.clone()),
        24 => {
            let issued = u64::try_from(VALID.0).unwrap_or(0);
            let floors = [None, Some(issued), Some(issued + 1)];
            let floor = chance.pick(&floors).copied().flatten();
            Write::Floor(chance.pick(uploaded)?.clone(), floor, enforcement(chance))
        }
        _ => {
            let enforcement = enforcement(chance);
            Write::Activate(scope, chance.pick(uploaded)?.clone(), enforcement)
        }
    })
}

/// Enforced, or now and then only reported.
fn enforcement(chance: &mut Chance) -> Enforcement {
    if chance.one_in(6) {
        Enforcement::Report
    } else {
        Enforcement::Enforce
    }
}

/// A denial of a client, or of all of them. None ends by itself: what was let in after its end is let in still
/// where a clock is set back to before it.
fn denial(chance: &mut Chance, scope: Scope) -> Option<NewDenial> {
    let authority = chance.pick(authorities())?;
    Some(NewDenial {
        name: "left".to_owned(),
        reason: None,
        matches: chance.pick(&authority.denials)?.clone(),
        scope,
        enforcement: enforcement(chance),
        expires_at: None,
    })
}

async fn apply(store: &Store, id: &OrganizationId, write: Write) -> Result<Given, StoreError> {
    let mut tx = store.write(id, Actor::Operator).await?;
    match write {
        Write::ProjectKey(project) => {
            let new = NewServiceAccount {
                name: "caller".to_owned(),
                with_key: true,
            };
            let made = tx.create_service_account(&project, new).await?;
            tx.commit(made.events).await?;
            let key = made.answer.api_key;
            Ok(key.map_or(Given::Nothing, |key| {
                Given::Key(key.value.reveal().to_owned())
            }))
        }
        Write::AdminKey(expires_in_seconds) => {
            let new = NewAdminApiKey {
                name: "caller".to_owned(),
                expires_in_seconds,
                permissions: Permission::ALL.to_vec(),
            };
            let made = tx.create_admin_api_key(new).await?;
            tx.commit(made.events).await?;
            let value = made.answer.value;
            Ok(value.map_or(Given::Nothing, |value| {
                Given::Key(value.reveal().to_owned())
            }))
        }
        Write::Upload(number) => {
            let Some(authority) = authorities().get(number) else {
                return Ok(Given::Nothing);
            };
            let made = tx.upload_certificate(certificate(authority)).await?;
            tx.commit(made.events).await?;
            Ok(Given::Certificate(made.answer.id))
        }
        other => {
            apply_plain(tx, other).await?;
            Ok(Given::Nothing)
        }
    }
}

/// A write that hands nothing out.
async fn apply_plain(mut tx: WriteTx, write: Write) -> Result<(), StoreError> {
    fn events<T>(change: Change<T>) -> Vec<countersign_types::audit::AuditEvent> {
        change.events
    }
    let events = match write {
        Write::Project => {
            let new = NewProject {
                name: "project".to_owned(),
                external_key_id: None,
                residency: None,
            };
            events(tx.create_project(new).await?)
        }
        Write::Archive(project) => events(tx.archive_project(&project).await?),
        Write::DeleteProjectKey(project, key) => {
            events(tx.delete_project_api_key(&project, &key).await?)
        }
        Write::DeleteAdminKey(key) => events(tx.delete_admin_api_key(&key).await?),
        Write::Delete(id) => events(tx.delete_certificate(&id).await?),
        Write::Activate(scope, id, enforcement) => {
            events(tx.activate_certificates(&scope, &[id], enforcement).await?)
        }
        Write::Deactivate(scope, id) => events(tx.deactivate_certificates(&scope, &[id]).await?),
        Write::Deny(new) => events(tx.create_denial(new).await?),
        Write::LetIn(id) => events(tx.delete_denial(&id).await?),
        Write::Floor(id, floor, enforcement) => {
            events(tx.set_floor(&id, floor, enforcement).await?)
        }
        Write::ProjectKey(_) | Write::AdminKey(_) | Write::Upload(_) => Vec::new(),
    };
    tx.commit(events).await.map(drop)
}

fn certificate(authority: &Authority) -> NewCertificate {
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    NewCertificate {
        pem: authority.pem.clone(),
        name: None,
        cel_policy: None,
        valid_at: seconds(VALID.0),
        expires_at: seconds(VALID.1),
        fingerprint: authority.fingerprint,
    }
}
