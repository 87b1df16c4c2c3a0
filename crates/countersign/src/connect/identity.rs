//! Whose certificate is sent, and until when.

use std::{fs, path::PathBuf};

use countersign_connect::ServerOptions;
use countersign_types::UnixSeconds;
use countersign_verify::{certificate::LeafSummary, presented::Presented};

use crate::{
    clock,
    failure::{CommandResult, Failure},
    file_kind::unreadable,
    output::{note, printable, relative, timestamp},
};

/// Exit code where the client certificate has expired.
const EXPIRED: u8 = 3;

/// How long before its end an expiry is warned of.
const SOON: UnixSeconds = 7 * 24 * 60 * 60;

/// A client certificate, and the hosts that it is sent to.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    file: PathBuf,
    pub(super) hosts: Vec<String>,
    subject: String,
    issuer: String,
    pub(super) not_after: Option<UnixSeconds>,
}

/// Whether a certificate can be used for a while yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Fine,
    Soon,
    Expired,
}

impl Identity {
    /// The certificates of servers, each once. One that has expired ends the command; of one that soon will,
    /// a warning is printed.
    pub(super) fn of_all(servers: &[ServerOptions]) -> CommandResult<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        for server in servers {
            let file = &server.certificate.certificate;
            if let Some(known) = all.iter_mut().find(|known| known.file == *file) {
                known.hosts.push(server.host.clone());
                continue;
            }
            let mut identity = Self {
                file: file.clone(),
                hosts: vec![server.host.clone()],
                subject: String::new(),
                issuer: String::new(),
                not_after: None,
            };
            identity.read()?;
            identity.check()?;
            all.push(identity);
        }
        Ok(all)
    }

    /// Reads the file again.
    pub(super) fn read(&mut self) -> CommandResult {
        let file = &self.file;
        let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        // What is wrong with a file is said where TLS reads it.
        let presented = Presented::from_pem(&text).unwrap_or_default();
        let leaf = presented.leaf().map(|leaf| LeafSummary::of(leaf));
        let leaf = leaf.unwrap_or_default();
        self.subject = match leaf.names.first() {
            Some(name) if leaf.subject.is_empty() => name.clone(),
            _ => leaf.subject,
        };
        self.issuer = leaf.issuer;
        self.not_after = leaf.not_after;
        Ok(())
    }

    fn check(&self) -> CommandResult {
        match self.validity() {
            Validity::Fine => Ok(()),
            Validity::Soon => {
                note(&format!(
                    "warning: the client certificate {}",
                    self.described()
                ));
                Ok(())
            }
            Validity::Expired => {
                let message = format!("the client certificate {}", self.described());
                Err(Failure::new(message)
                    .with_exit(EXPIRED)
                    .hint("get another from its issuer, and put it in the place of this one"))
            }
        }
    }

    pub(super) fn validity(&self) -> Validity {
        let now = clock::unix_seconds();
        match self.not_after {
            Some(end) if end < now => Validity::Expired,
            Some(end) if end < now + SOON => Validity::Soon,
            _ => Validity::Fine,
        }
    }

    /// What is sent to whom.
    pub(super) fn sentence(&self) -> String {
        format!("sends {} to {}", self.described(), self.hosts.join(", "))
    }

    /// Whose it is, who issued it and until when it holds.
    pub(super) fn described(&self) -> String {
        let (subject, issuer) = (printable(&self.subject), printable(&self.issuer));
        let until = self.not_after.map_or_else(String::new, |end| {
            let (at, apart) = (timestamp(end), relative(end, clock::unix_seconds()));
            match self.validity() {
                Validity::Expired => format!(", which expired at {at} ({apart}),"),
                Validity::Soon => format!(", which expires soon, at {at} ({apart}),"),
                Validity::Fine => format!(", valid until {at} ({apart}),"),
            }
        });
        let whole = format!("`{subject}`, issued by `{issuer}`{until}");
        whole.trim_end_matches(',').to_owned()
    }
}
