//! A database with many organizations, written straight into the tables by statements that both
//! databases understand. The schema itself is made by the program under measurement.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use data_encoding::HEXLOWER;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::{bench::dataset::Storage, process::Outcome};

/// How many organizations have an admin key, and are changed in turn.
pub(super) const CHANGED: usize = 500;

/// How much there is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) organizations: usize,
    pub(super) anchors: usize,
    pub(super) keys: usize,
}

impl Size {
    /// The same for each organization, with another number of organizations.
    pub(super) fn with_organizations(self, organizations: usize) -> Self {
        let scaled = |all: usize| all * organizations / self.organizations.max(1);
        Self {
            organizations,
            anchors: scaled(self.anchors),
            keys: scaled(self.keys),
        }
    }

    /// How many organizations are changed in turn.
    pub(super) fn changed(self) -> usize {
        self.organizations.min(self.anchors).min(CHANGED)
    }
}

/// Fills an empty database.
pub(super) fn fill(place: &Storage, program: &Path, size: Size, pem: &str) -> Outcome {
    place.begin(program)?;
    match place {
        Storage::Sqlite(directory) => {
            let database = Connection::open(directory.join("countersign.db"))?;
            // What is lost when the machine stops here is made again.
            database.execute_batch("PRAGMA synchronous = OFF;")?;
            database.execute_batch(&statements(&SQLITE, size, pem))?;
            database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Storage::Postgres { programs, url } => {
            let mut psql = Command::new(programs.join("psql"))
                .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", url])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()?;
            let mut input = psql.stdin.take().ok_or("psql has no input")?;
            input.write_all(statements(&POSTGRES, size, pem).as_bytes())?;
            input.write_all(b"\nVACUUM ANALYZE;\nCHECKPOINT;\n")?;
            drop(input);
            let status = psql.wait()?;
            if !status.success() {
                return Err(format!("`psql` ended with {status} while filling the store").into());
            }
        }
    }
    Ok(())
}

/// What the databases spell differently.
struct Dialect {
    /// The table `numbers` with `i` from 1 to `{most}`.
    numbers: &'static str,
    /// A number with as many digits as an id has.
    padded: fn(&str) -> String,
    /// Random bytes, as many as a digest has.
    digest: &'static str,
    bytes: fn(&[u8]) -> String,
}

const SQLITE: Dialect = Dialect {
    numbers: "CREATE TEMPORARY TABLE numbers AS WITH RECURSIVE n (i) AS \
              (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most}) SELECT i FROM n",
    padded: |number| format!("printf('%026d', {number})"),
    digest: "randomblob(32)",
    bytes: |bytes| format!("X'{}'", HEXLOWER.encode(bytes)),
};

const POSTGRES: Dialect = Dialect {
    numbers: "CREATE TEMPORARY TABLE numbers AS SELECT i FROM generate_series(1, {most}) AS i",
    padded: |number| format!("lpad(({number})::text, 26, '0')"),
    digest: "sha256(('scale' || i)::bytea)",
    bytes: |bytes| format!("'\\x{}'", HEXLOWER.encode(bytes)),
};

/// The statements that fill the tables: organizations with a project each, anchors that are active for
/// their organizations, project keys, and admin keys of those that are changed.
fn statements(dialect: &Dialect, size: Size, pem: &str) -> String {
    let Size {
        organizations,
        anchors,
        keys,
    } = size;
    let most = organizations.max(anchors).max(keys).to_string();
    let own = (dialect.padded)("i");
    let of_organization = (dialect.padded)(&format!("((i - 1) % {organizations}) + 1"));
    let (digest, pem) = (dialect.digest, (dialect.bytes)(pem.as_bytes()));
    let zeros = (dialect.bytes)(&[0; 32]);
    let mut all = vec![
        "BEGIN".to_owned(),
        dialect.numbers.replace("{most}", &most),
        format!(
            "INSERT INTO organizations (id, name, created_at, revision, clock) \
             SELECT 'org-' || {own}, 'bench', 1, 1000 + i, 1 FROM numbers WHERE i <= {organizations}"
        ),
        format!(
            "INSERT INTO projects (id, organization_id, name, created_at) \
             SELECT 'proj_' || {own}, 'org-' || {own}, 'bench', 1 FROM numbers WHERE i <= {organizations}"
        ),
        format!(
            "INSERT INTO certificates \
             (id, organization_id, name, valid_at, expires_at, created_at, fingerprint, pem) \
             SELECT 'cert_' || {own}, 'org-' || {of_organization}, 'anchor ' || i, 1, 4000000000, 1, \
             {zeros}, {pem} FROM numbers WHERE i <= {anchors}"
        ),
        format!(
            "INSERT INTO activations (organization_id, project_id, certificate_id, activated_at) \
             SELECT 'org-' || {of_organization}, '', 'cert_' || {own}, 1 FROM numbers WHERE i <= {anchors}"
        ),
        format!(
            "INSERT INTO api_keys (id, kind, organization_id, project_id, name, digest, redacted_value, \
             permissions, created_at) \
             SELECT 'key_' || {own}, 'project', 'org-' || {of_organization}, 'proj_' || {of_organization}, \
             'bench', {digest}, 'sk-bench', '', 1 FROM numbers WHERE i <= {keys}"
        ),
    ];
    for number in 1..=size.changed() {
        let id = format!("{number:026}");
        let digest = (dialect.bytes)(&Sha256::digest(admin_key(number)));
        all.push(format!(
            "INSERT INTO api_keys (id, organization_id, digest, kind, name, redacted_value, permissions, \
             created_at) SELECT 'key_admin{id}', 'org-{id}', {digest}, kind, name, redacted_value, \
             permissions, created_at FROM api_keys WHERE seq = 1"
        ));
    }
    let token = "1".repeat(32);
    let latest = 1000 + organizations;
    all.extend([
        format!("UPDATE deployment SET revision = {latest}, token = '{token}'"),
        format!("INSERT INTO history (revision, token) VALUES ({latest}, '{token}')"),
        "COMMIT;".to_owned(),
    ]);
    all.join(";\n")
}

pub(super) fn admin_key(organization: usize) -> String {
    format!("sk-admin-scale-{organization:08}")
}

/// The anchor of an organization that has an admin key.
pub(super) fn anchor(organization: usize) -> String {
    format!("cert_{organization:026}")
}
