//! A store with many certificates in it, written straight into the tables: a million uploads
//! would take an hour. The schema itself is made by the program under measurement.

use std::{
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use crate::{
    process::{self, Outcome},
    self_signed::{self, Purpose},
};

/// How many certificates an organization may have (docs/specification.md, section 1).
pub(crate) const PER_ORGANIZATION: usize = 50;
/// Organizations without certificates, for the uploads to fill.
pub(crate) const EMPTY_ORGANIZATIONS: usize = 128;

/// Where a database is, as the program is configured.
#[derive(Clone)]
pub(crate) enum Storage {
    Sqlite(PathBuf),
    Postgres { programs: PathBuf, url: String },
}

/// A seeded store.
pub(crate) struct Dataset {
    pub(crate) place: Storage,
    pub(crate) certificates: usize,
}

impl Storage {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }

    /// The program, configured to use this database.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Sqlite(directory) => command
                .env_remove("DATABASE_URL")
                .env("COUNTERSIGN_DATA_DIR", directory),
            Self::Postgres { url, .. } => command.env("DATABASE_URL", url),
        };
        command
    }

    /// Makes the schema, and a key to copy the permissions of.
    pub(crate) fn begin(&self, program: &Path) -> Outcome {
        let mut made = self.program(program);
        made.args(["organization", "create", "--name", "first"]);
        process::read(made.args(["--output", "json"])).map(drop)
    }
}

impl Dataset {
    /// Fills an empty store: `certificates` over as many organizations as they need, each with an
    /// admin key, and some organizations with none.
    pub(crate) fn seed(
        place: Storage,
        program: &Path,
        certificates: usize,
        pem: &str,
    ) -> Outcome<Self> {
        place.begin(program)?;
        let dataset = Self {
            place,
            certificates,
        };
        match &dataset.place {
            Storage::Sqlite(directory) => dataset.fill_sqlite(directory, pem)?,
            Storage::Postgres { programs, url } => dataset.fill_postgres(programs, url, pem)?,
        }
        Ok(dataset)
    }

    pub(crate) fn organizations(&self) -> usize {
        self.certificates / PER_ORGANIZATION
    }

    fn fill_sqlite(&self, directory: &Path, pem: &str) -> Outcome {
        let mut database = Connection::open(directory.join("countersign.db"))?;
        // What is lost when the machine stops here is made again.
        database.pragma_update(None, "synchronous", "OFF")?;
        let rows = database.transaction()?;
        {
            let mut organization = rows.prepare(
                "INSERT INTO organizations (id, name, created_at, revision, clock) VALUES (?1, 'bench', 1, 0, 1)",
            )?;
            let mut key = rows.prepare(&format!(
                "INSERT INTO api_keys (id, organization_id, digest, {SAME_KEY}) SELECT ?1, ?2, ?3, {SAME_KEY} FROM api_keys WHERE seq = 1"
            ))?;
            let mut certificate = rows.prepare(&format!(
                "INSERT INTO certificates ({CERTIFICATE}) VALUES (?1, ?2, ?3, 1, 4000000000, 1, zeroblob(32), ?4)"
            ))?;
            for number in 0..self.organizations() + EMPTY_ORGANIZATIONS {
                let id = organization_id(number);
                organization.execute([&id])?;
                let digest = Sha256::digest(admin_key(number));
                key.execute(params![key_id(number), id, digest.as_slice()])?;
            }
            for number in 0..self.certificates {
                let organization = organization_id(number / PER_ORGANIZATION);
                certificate.execute(params![
                    certificate_id(number),
                    organization,
                    format!("anchor {number}"),
                    pem.as_bytes()
                ])?;
            }
        }
        rows.commit()?;
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn fill_postgres(&self, programs: &Path, url: &str, pem: &str) -> Outcome {
        let mut psql = Command::new(programs.join("psql"))
            .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let input = psql.stdin.take().ok_or("psql has no input")?;
        self.write_copy(&mut BufWriter::new(input), pem)?;
        let status = psql.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("`psql` ended with {status} while filling the store").into())
    }

    /// The rows go to a table of their own without what is alike in all of them.
    fn write_copy(&self, out: &mut impl Write, pem: &str) -> Outcome {
        writeln!(out, "BEGIN;")?;
        writeln!(
            out,
            "CREATE TEMPORARY TABLE o (id text, key_id text, digest bytea) ON COMMIT DROP;"
        )?;
        writeln!(
            out,
            "CREATE TEMPORARY TABLE c (id text, organization_id text, name text) ON COMMIT DROP;"
        )?;
        writeln!(out, "COPY o FROM STDIN;")?;
        for number in 0..self.organizations() + EMPTY_ORGANIZATIONS {
            let digest = HEXLOWER.encode(&Sha256::digest(admin_key(number)));
            writeln!(
                out,
                "{}\t{}\t\\\\x{digest}",
                organization_id(number),
                key_id(number)
            )?;
        }
        writeln!(out, "\\.\nCOPY c FROM STDIN;")?;
        for number in 0..self.certificates {
            let organization = organization_id(number / PER_ORGANIZATION);
            writeln!(
                out,
                "{}\t{organization}\tanchor {number}",
                certificate_id(number)
            )?;
        }
        writeln!(out, "\\.")?;
        writeln!(
            out,
            "INSERT INTO organizations (id, name, created_at, revision, clock) SELECT id, 'bench', 1, 0, 1 FROM o;"
        )?;
        writeln!(
            out,
            "INSERT INTO api_keys (id, organization_id, digest, {SAME_KEY}) SELECT o.key_id, o.id, o.digest, {SAME_KEY} FROM o, (SELECT {SAME_KEY} FROM api_keys LIMIT 1) AS first;"
        )?;
        let pem = HEXLOWER.encode(pem.as_bytes());
        let zeros = "0".repeat(64);
        writeln!(
            out,
            "INSERT INTO certificates ({CERTIFICATE}) SELECT id, organization_id, name, 1, 4000000000, 1, '\\x{zeros}', '\\x{pem}' FROM c;"
        )?;
        writeln!(out, "COMMIT;\nVACUUM ANALYZE;\nCHECKPOINT;")?;
        Ok(out.flush()?)
    }
}

/// What a seeded key has in common with the one that the program made.
const SAME_KEY: &str = "kind, name, redacted_value, permissions, created_at";

const CERTIFICATE: &str =
    "id, organization_id, name, valid_at, expires_at, created_at, fingerprint, pem";

pub(crate) fn admin_key(organization: usize) -> String {
    format!("sk-admin-bench-{organization:08}")
}

pub(crate) fn certificate_id(number: usize) -> String {
    format!("cert_{}", scattered(number))
}

fn organization_id(number: usize) -> String {
    format!("org-{}", scattered(number))
}

fn key_id(number: usize) -> String {
    format!("key_{}", scattered(number))
}

/// As long and as random as the ids that the program creates.
fn scattered(number: usize) -> String {
    let digest = Sha256::digest(number.to_string());
    HEXLOWER.encode(digest.get(..13).unwrap_or_default())
}

/// The PEM of a root that is made there.
pub(crate) fn mint(directory: &Path) -> Outcome<String> {
    let root = self_signed::make(Purpose::Authority, directory, 3650)?;
    Ok(fs::read_to_string(root.certificate)?)
}
