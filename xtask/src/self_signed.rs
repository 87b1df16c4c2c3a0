//! Certificates that sign themselves, as `openssl` makes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    debian,
    process::{self, Outcome, as_user},
};

/// What a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// A server called `localhost`.
    Server,
    /// A trust anchor.
    Authority,
}

/// A certificate, and its key beside it.
pub(crate) struct SelfSigned {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Makes `server.pem` or `root.pem`, valid for so many days, and the key, with a P-256 key.
pub(crate) fn make(purpose: Purpose, directory: &Path, days: u32) -> Outcome<SelfSigned> {
    make_as(None, purpose, directory, days)
}

/// The same, as files of a user.
pub(crate) fn make_as(
    user: Option<&str>,
    purpose: Purpose,
    directory: &Path,
    days: u32,
) -> Outcome<SelfSigned> {
    let (name, subject, extensions) = match purpose {
        Purpose::Server => ("server", "localhost", "subjectAltName = DNS:localhost"),
        Purpose::Authority => (
            "root",
            "Example root",
            "basicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = hash",
        ),
    };
    let openssl = debian::require("openssl", "openssl")?;
    let file = |kind: &str| directory.join(format!("{name}.{kind}"));
    let (request, certificate, key) = (file("cnf"), file("pem"), file("key"));
    // The extensions of the system's own configuration would come besides.
    fs::write(
        &request,
        format!(
            "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
             [name]\nCN = {subject}\n[extensions]\n{extensions}\n"
        ),
    )?;
    process::read(
        as_user(user, &openssl)
            .current_dir(directory)
            .args(["req", "-x509", "-nodes", "-days", &days.to_string()])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .arg("-config")
            .arg(&request)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    )?;
    Ok(SelfSigned { certificate, key })
}
