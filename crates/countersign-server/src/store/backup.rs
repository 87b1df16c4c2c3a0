//! Copies of a SQLite database that is in use, and what is known of one before it is put in place.

use std::path::Path;

use countersign_types::{
    UnixSeconds, audit::AuditHead, history::HistoryPoint, id::OrganizationId,
    organization::Organization, page::MAX_LIMIT,
};
use countersign_verify::audit_chain::{ChainWalk, KeptHead};
use serde::Serialize;
use serde_json::Map;
use tokio::task::{self, JoinSet};

use super::{
    AuditFilter, AuditPage, Location, Store, StoreError,
    connection::{Connection, Database},
    migrations,
    sources::Sources,
    sqlite_copy,
};

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseContents {
    /// How many steps of the schema were taken.
    pub schema_version: i64,
    /// The deployment's latest revision.
    pub revision: u64,
    /// When an organization was last changed, in Unix seconds.
    pub changed_at: Option<UnixSeconds>,
    /// How many organizations there are.
    pub organizations: u64,
    /// How many audit events there are.
    pub audit_events: u64,
    /// The organizations whose audit log is not whole, or was changed.
    pub broken_audit_logs: Vec<OrganizationId>,
}

/// Copies a SQLite database as it is at one time, while others may write to it. The copy is one file,
/// which must not exist or be empty, and is durable when this returns.
///
/// # Errors
/// [`StoreError::Corrupt`] when it is no database, [`StoreError::Unavailable`] when one of the two
/// cannot be read or written.
pub async fn copy_database(from: &Path, to: &Path) -> Result<(), StoreError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    blocking(move || sqlite_copy::copy(&from, &to)).await
}

/// Makes a database that nobody uses one file, without a log beside it.
///
/// # Errors
/// [`StoreError::Unavailable`] with [`super::Outage::Busy`] when a process has it open.
pub async fn settle_database(path: &Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    blocking(move || sqlite_copy::settle(&path)).await
}

/// Reads a copy of a database whole: its pages, and each organization's chain of audit events.
///
/// # Errors
/// [`StoreError::Corrupt`] when it is damaged, or not of this program; [`StoreError::TooNew`].
pub async fn check_database(path: &Path) -> Result<DatabaseContents, StoreError> {
    let database = Database::open(&Location::Sqlite(path.to_owned()))?;
    check_pages(&mut database.reader().await?).await?;
    let schema_version = migrations::look_at(&database).await?;
    if schema_version < migrations::WITH_HISTORY {
        let what =
            "it was not written by this program, or by one that is older than can be checked";
        return Err(StoreError::Corrupt(what.to_owned()));
    }
    // Its schema stays as it is.
    let store = Store::with(
        database,
        None,
        Sources::system(),
        HistoryPoint::START,
        |_, _| JoinSet::new(),
    );
    let contents = store.contents(schema_version).await;
    drop(store);
    settle_database(path).await?;
    contents
}

async fn check_pages(connection: &mut Connection) -> Result<(), StoreError> {
    // Only the first thing that is wrong: there may be one for each page.
    let found: Option<String> = connection.find("PRAGMA integrity_check(1)", &[]).await?;
    match found.as_deref() {
        Some("ok") => Ok(()),
        what => Err(StoreError::Corrupt(
            what.unwrap_or("it cannot be checked").to_owned(),
        )),
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let done = task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
}

impl Store {
    async fn contents(&self, schema_version: i64) -> Result<DatabaseContents, StoreError> {
        let mut contents = DatabaseContents {
            schema_version,
            revision: self.revision().await?,
            changed_at: None,
            organizations: 0,
            audit_events: 0,
            broken_audit_logs: Vec::new(),
        };
        for Organization { id, .. } in self.list_organizations().await? {
            let head = self.retrieve_audit_head(&id).await?;
            contents.organizations += 1;
            contents.audit_events += head.number;
            contents.changed_at = contents.changed_at.max(Some(head.effective_at));
            if !self.is_whole(&id, &head).await? {
                contents.broken_audit_logs.push(id);
            }
        }
        Ok(contents)
    }

    /// Whether an organization's audit events are a whole chain, from the first to this head.
    async fn is_whole(
        &self,
        organization: &OrganizationId,
        head: &AuditHead,
    ) -> Result<bool, StoreError> {
        let kept = (head.number > 0).then(|| KeptHead {
            number: Some(head.number),
            sha256: head.sha256.to_string(),
        });
        let mut walk = ChainWalk::new(kept.into_iter().collect());
        let mut page = AuditPage {
            limit: MAX_LIMIT,
            ..AuditPage::default()
        };
        loop {
            let filter = AuditFilter::default();
            let events = self.list_audit_logs(organization, &filter, &page).await?;
            for event in &events.data {
                let event = serde_json::to_value(event)
                    .map_err(|error| StoreError::Internal(error.to_string()))?;
                walk.step(event.as_object().unwrap_or(&Map::new()));
            }
            page.after = events.last_id;
            if !events.has_more {
                break;
            }
        }
        let newest = walk.newest().map_or(0, |(position, _)| position.number);
        Ok(newest == head.number && walk.finish(1).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use countersign_types::audit::Actor;

    use super::*;
    use crate::store::{Outage, projects::NewProject};

    async fn with_a_project(path: &Path) -> (Store, OrganizationId) {
        let location = Location::Sqlite(path.to_owned());
        let store = Store::open(&location, Sources::system()).await.unwrap();
        let organization = store.create_organization("A").await.unwrap().organization;
        add_project(&store, &organization.id).await;
        (store, organization.id)
    }

    async fn add_project(store: &Store, organization: &OrganizationId) {
        let mut tx = store.write(organization, Actor::Operator).await.unwrap();
        let new = NewProject {
            name: "p".to_owned(),
            external_key_id: None,
            residency: None,
        };
        let made = tx.create_project(new).await.unwrap();
        tx.commit(made.events).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_of_a_database_in_use_is_one_file_and_holds_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let (store, organization) = with_a_project(&from).await;
        copy_database(&from, &to).await.unwrap();
        add_project(&store, &organization).await;
        let contents = check_database(&to).await.unwrap();
        assert_eq!(contents.organizations, 1);
        assert_eq!(contents.revision + 1, store.revision().await.unwrap());
        assert!(contents.broken_audit_logs.is_empty());
        assert!(contents.audit_events > 0);
        let mut names: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.db", "a.db-shm", "a.db-wal", "b.db"]);
    }

    #[tokio::test]
    async fn what_is_in_use_is_not_settled_and_what_is_not_becomes_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let (store, _) = with_a_project(&path).await;
        let busy = settle_database(&path).await.unwrap_err();
        assert!(
            matches!(busy, StoreError::Unavailable(Outage::Busy, _)),
            "{busy}"
        );
        drop(store);
        settle_database(&path).await.unwrap();
        assert!(!directory.path().join("a.db-wal").exists());
    }

    #[tokio::test]
    async fn a_log_without_an_event_is_broken_and_a_damaged_file_is_no_database() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let (store, organization) = with_a_project(&from).await;
        copy_database(&from, &to).await.unwrap();
        let connection = rusqlite::Connection::open(&to).unwrap();
        let remove = "PRAGMA foreign_keys = OFF; DELETE FROM audit_logs WHERE chain_number = 1";
        connection.execute_batch(remove).unwrap();
        drop(connection);
        let contents = check_database(&to).await.unwrap();
        assert_eq!(contents.broken_audit_logs, [organization]);
        drop(store);

        let mut bytes = std::fs::read(&to).unwrap();
        for byte in bytes.iter_mut().skip(4096).take(8192) {
            *byte ^= 0x55;
        }
        std::fs::write(&to, &bytes).unwrap();
        let damaged = check_database(&to).await.unwrap_err();
        assert!(matches!(damaged, StoreError::Corrupt(_)), "{damaged}");
        std::fs::write(&to, "no database at all").unwrap();
        let other = check_database(&to).await.unwrap_err();
        assert!(matches!(other, StoreError::Corrupt(_)), "{other}");
    }
}
