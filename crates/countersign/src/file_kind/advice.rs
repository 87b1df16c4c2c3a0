//! What is said of a file of the wrong kind: what it is, and the line that makes of it what is wanted.

use std::path::Path;

use super::{
    der::Der,
    kind::{Kind, Wanted},
};
use crate::{failure::Failure, files::shell_quoted, output::printable};

impl Kind {
    /// Says that a file is of this kind and not of the wanted one, and what to do.
    pub(crate) fn instead_of(&self, wanted: Wanted, path: &Path) -> Failure {
        let (shown, what) = (path.display(), what(self, wanted));
        let failure = match self {
            // There is nothing that it is instead.
            Self::Empty | Self::PemNotUtf8 => Failure::new(format_args!("`{shown}` {what}")),
            Self::Pem(_) if wanted == Wanted::Text => Failure::new(format_args!(
                "`{shown}` {what}, not the text that is wanted"
            )),
            Self::Utf16 if wanted == Wanted::Text => {
                Failure::new(format_args!("`{shown}` {what}, not UTF-8"))
            }
            Self::Pem(labels)
                if wanted == Wanted::PrivateKey
                    && labels.iter().any(|label| label.ends_with("PRIVATE KEY")) =>
            {
                Failure::new(format_args!("`{shown}` {what}, which TLS cannot read"))
            }
            Self::Der(Der::Certificate) | Self::Base64 | Self::OddDashes | Self::Utf16 => {
                Failure::new(format_args!("`{shown}` {what}, not PEM"))
            }
            _ => Failure::new(format_args!("`{shown}` {what}, {}", wanted.missing())),
        };
        failure.hint(hint(self, wanted, path))
    }
}

impl Wanted {
    const fn missing(self) -> &'static str {
        match self {
            Self::Certificate => "not a certificate",
            Self::PrivateKey => "not a private key",
            Self::Text => "not text",
        }
    }

    /// What the file that is wanted could be called.
    const fn example(self) -> &'static str {
        match self {
            Self::Certificate => "pem",
            Self::PrivateKey => "key",
            Self::Text => "txt",
        }
    }
}

fn what(kind: &Kind, wanted: Wanted) -> String {
    match kind {
        Kind::Empty => "is empty".to_owned(),
        Kind::Utf16 => "is UTF-16 text".to_owned(),
        Kind::PemNotUtf8 => "is PEM, but not UTF-8 text".to_owned(),
        Kind::Pem(labels) => pem(labels, wanted),
        Kind::Base64 => "is base64 without the lines around it".to_owned(),
        Kind::OddDashes => {
            "has `BEGIN CERTIFICATE` without exactly five dashes on either side".to_owned()
        }
        Kind::Der(der) => format!("is {} in DER", name(*der)),
        Kind::Archive(name, _) => format!("is {name}"),
        Kind::Html => "is an HTML page".to_owned(),
        Kind::Json => "is JSON".to_owned(),
        Kind::SshPublicKey => "is an SSH public key".to_owned(),
        Kind::PuttyKey => "is a PuTTY private key".to_owned(),
        Kind::Text => "is text".to_owned(),
        Kind::Binary => "is binary".to_owned(),
    }
}

fn pem(labels: &[String], wanted: Wanted) -> String {
    let first = labels.first().map_or("", String::as_str);
    let named = match first {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => "a certificate request (CSR)",
        "CERTIFICATE" => "a certificate",
        "TRUSTED CERTIFICATE" => "a certificate in OpenSSL's own form (TRUSTED CERTIFICATE)",
        "PKCS7" | "CMS" => "a PKCS#7 bundle",
        "X509 CRL" => "a revocation list",
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key",
        "OPENSSH PRIVATE KEY" => "an OpenSSH private key",
        "ENCRYPTED PRIVATE KEY" => "an encrypted private key",
        key if key.ends_with("PRIVATE KEY") => "a private key",
        key if key.starts_with("PGP") => "a PGP block",
        other => return format!("holds a PEM block `{}`", printable(other)),
    };
    match wanted {
        Wanted::Text => format!("holds {named}"),
        Wanted::Certificate | Wanted::PrivateKey => format!("is {named}"),
    }
}

const fn name(der: Der) -> &'static str {
    match der {
        Der::Certificate => "a certificate",
        Der::Request => "a certificate request (CSR)",
        Der::Crl => "a revocation list",
        Der::PublicKey => "a public key",
        Der::PrivateKey => "a private key",
        Der::EncryptedKey => "an encrypted private key",
        Der::Pkcs7 => "a PKCS#7 bundle",
        Der::Pkcs12 => "a PKCS#12 file (`.p12`, `.pfx`)",
    }
}

fn hint(kind: &Kind, wanted: Wanted, path: &Path) -> String {
    let file = shell_quoted(&path.display().to_string());
    let new = format!("new.{}", wanted.example());
    match kind {
        Kind::Utf16 => format!("save it as UTF-8: `iconv -f UTF-16 -t UTF-8 {file} > {new}`"),
        Kind::PemNotUtf8 => {
            format!("save it as UTF-8: `iconv -f LATIN1 -t UTF-8 {file} > {new}`")
        }
        Kind::Archive(_, command) => format!("unpack it: `{command} {file}`"),
        Kind::Der(der) => of_der(*der, wanted, &file, &new),
        Kind::Pem(labels) => {
            let first = labels.first().map_or("", String::as_str);
            of_pem(first, wanted, &file, &new)
        }
        Kind::Base64 => format!(
            "add them: `(echo -----BEGIN CERTIFICATE-----; cat {file}; echo -----END CERTIFICATE-----) > {new}`"
        ),
        Kind::OddDashes => format!(
            "restore them: `sed -E 's/^.*(BEGIN|END) CERTIFICATE.*$/-----\\1 CERTIFICATE-----/' {file} > {new}`"
        ),
        Kind::Html => {
            "it was probably saved from a browser or a proxy: download the file itself".to_owned()
        }
        Kind::PuttyKey | Kind::SshPublicKey => ssh(wanted).to_owned(),
        Kind::Empty | Kind::Json | Kind::Text | Kind::Binary => plain(wanted).to_owned(),
    }
}

const fn plain(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Certificate => {
            "such a file has a line `-----BEGIN CERTIFICATE-----`; look for one with `grep -l 'BEGIN CERTIFICATE' *`"
        }
        Wanted::PrivateKey => {
            "such a file has a line `-----BEGIN PRIVATE KEY-----`; look for one with `grep -l 'PRIVATE KEY' *`"
        }
        Wanted::Text => "give a file of UTF-8 text",
    }
}

const fn ssh(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Certificate => "SSH keys are not X.509 certificates: ask your CA for one",
        Wanted::PrivateKey | Wanted::Text => {
            "make one for TLS: `openssl genpkey -algorithm ED25519 -out tls.key`"
        }
    }
}

fn of_der(der: Der, wanted: Wanted, file: &str, new: &str) -> String {
    match (der, wanted) {
        (Der::Certificate, Wanted::Certificate) => {
            format!("turn it into PEM: `openssl x509 -inform der -in {file} -out {new}`")
        }
        (Der::Pkcs7, _) => {
            format!(
                "take its certificates out: `openssl pkcs7 -inform der -print_certs -in {file} -out {new}`"
            )
        }
        (Der::Pkcs12, Wanted::PrivateKey) => {
            format!("take its key out: `openssl pkcs12 -in {file} -nocerts -nodes -out {new}`")
        }
        (Der::Pkcs12, _) => {
            format!("take its certificates out: `openssl pkcs12 -in {file} -nokeys -out {new}`")
        }
        (Der::PrivateKey | Der::EncryptedKey, Wanted::PrivateKey) => {
            format!("turn it into PEM: `openssl pkey -inform der -in {file} -out {new}`")
        }
        (Der::Request, Wanted::Certificate) => REQUEST.to_owned(),
        (Der::PrivateKey | Der::EncryptedKey | Der::PublicKey, Wanted::Certificate) => {
            KEY.to_owned()
        }
        _ => plain(wanted).to_owned(),
    }
}

/// What to do with a request where a certificate is wanted.
const REQUEST: &str =
    "a request is what a CA is asked with: give the certificate that the CA made of it";
const KEY: &str = "give the certificate that belongs to this key, and keep the key where it was";

fn of_pem(label: &str, wanted: Wanted, file: &str, new: &str) -> String {
    match (label, wanted) {
        ("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST", Wanted::Certificate) => {
            REQUEST.to_owned()
        }
        ("TRUSTED CERTIFICATE" | "X509 CERTIFICATE", Wanted::Certificate) => {
            format!("turn it into plain PEM: `openssl x509 -in {file} -out {new}`")
        }
        ("PKCS7" | "CMS", Wanted::Certificate) => {
            format!("take its certificates out: `openssl pkcs7 -print_certs -in {file} -out {new}`")
        }
        ("X509 CRL", Wanted::Certificate) => {
            "a revocation list is not a certificate: give that of its CA".to_owned()
        }
        ("CERTIFICATE", Wanted::PrivateKey) => {
            "give the key that was made for this certificate; were the two files swapped?"
                .to_owned()
        }
        ("ENCRYPTED PRIVATE KEY", Wanted::PrivateKey) => {
            format!(
                "there is nobody to ask for its passphrase: `openssl pkey -in {file} -out {new}`"
            )
        }
        ("OPENSSH PRIVATE KEY", Wanted::PrivateKey) => {
            format!("turn it into PEM: `cp {file} {new} && ssh-keygen -p -N '' -m pkcs8 -f {new}`")
        }
        (key, Wanted::Certificate) if key.ends_with("KEY") => KEY.to_owned(),
        _ => plain(wanted).to_owned(),
    }
}
