//! `countersign certificate`: trust anchors.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use countersign_client::Client;
use countersign_types::{
    certificate::{
        Certificate as Anchor, DeletedCertificate, Enforcement, ModifyCertificateRequest, Scope,
        ScopedCertificate, UploadCertificateRequest,
    },
    id::{CertificateId, ProjectId},
};
use countersign_verify::certificate::holds_private_key;

use super::{
    api::{ApiOptions, ListOptions, block_on},
    inspect, toggle, usage,
};
use crate::{
    failure::{Doing, Failure, Outcome},
    output::{Output, Row, confirm, moment, text_or_dash},
};

/// Far more than any PEM or policy may have: enough to be refused by its real reason.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

#[derive(Args)]
pub(crate) struct Certificate {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// List the organization's certificates, and whether each is active
    List {
        #[command(flatten)]
        scope: AtScope,
        /// How each is used: requests and distinct leaves in 1, 7 and 30 days, per scope
        #[arg(long)]
        usage: bool,
        #[command(flatten)]
        list: ListOptions,
    },
    /// List the leaves that a certificate let through, and who called with them
    Usage {
        /// The certificate, `cert_...`
        id: CertificateId,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a certificate
    Retrieve {
        /// The certificate, `cert_...`
        id: CertificateId,
        /// With its PEM
        #[arg(long)]
        content: bool,
        /// Only its PEM, byte for byte as it was uploaded
        #[arg(long, conflicts_with = "content")]
        pem: bool,
        /// With how it is used: requests and distinct leaves in 1, 7 and 30 days, per scope
        #[arg(long, conflicts_with_all = ["content", "pem"])]
        usage: bool,
    },
    /// Upload a CA certificate; this does not activate it
    Upload {
        /// PEM file of the CA; `-` is standard input
        file: PathBuf,
        /// A name for it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        policy: PolicyText,
    },
    /// Rename a certificate
    Update {
        /// The certificate, `cert_...`
        id: CertificateId,
        /// The new name
        #[arg(long)]
        name: String,
    },
    /// Set or remove a certificate's CEL policy
    SetPolicy {
        /// The certificate, `cert_...`
        id: CertificateId,
        #[command(flatten)]
        policy: PolicyText,
        /// Remove the policy
        #[arg(long, required_unless_present_any = ["policy", "policy_file"], conflicts_with_all = ["policy", "policy_file"])]
        none: bool,
    },
    /// Delete certificates that are active nowhere
    Delete {
        /// The certificates, `cert_...`
        #[arg(required = true, value_name = "ID")]
        ids: Vec<CertificateId>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Activate 1 to 10 certificates together: all or none
    Activate(toggle::Activate),
    /// Deactivate 1 to 10 certificates together: all or none
    Deactivate(toggle::Deactivate),
    /// Say what a file is, whether it would be accepted, and why not; no server is asked
    Inspect(inspect::Inspect),
}

/// The scope of a command: never from the environment, since a scope must not change unseen.
#[derive(Debug, Args)]
pub(super) struct AtScope {
    /// At this project, `proj_...` [default: at the organization]
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
}

impl From<AtScope> for Scope {
    fn from(at: AtScope) -> Self {
        at.project.map_or(Self::Organization, Self::Project)
    }
}

#[derive(Debug, Args)]
struct PolicyText {
    /// CEL policy that the verified client certificate must satisfy
    #[arg(long, value_name = "CEL", conflicts_with = "policy_file")]
    policy: Option<String>,
    /// File that holds the CEL policy; `-` is standard input
    #[arg(long, value_name = "FILE")]
    policy_file: Option<PathBuf>,
}

impl PolicyText {
    fn read(self) -> Outcome<Option<String>> {
        match (self.policy, self.policy_file) {
            (Some(text), _) => Ok(Some(text)),
            (None, Some(path)) => Ok(Some(read_text(&path)?.trim_end().to_owned())),
            (None, None) => Ok(None),
        }
    }
}

impl Certificate {
    pub(crate) fn run(self, output: Output) -> Outcome {
        if let Verb::Inspect(inspect) = self.verb {
            return inspect.run(output);
        }
        let client = self.api.client()?;
        block_on(self.verb.call(&client, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, output: Output) -> Outcome {
        let certificates = client.certificates();
        match self {
            Self::List { scope, usage, list } => {
                list_at(client, &scope.into(), usage, list, output).await
            }
            Self::Usage { id, list } => {
                let entries = certificates.stream_uses(&id, &list.params());
                output.list(&list.take(entries).await?)
            }
            Self::Retrieve {
                id, usage: true, ..
            } => show_usage(client, &id, output).await,
            Self::Retrieve {
                id, content, pem, ..
            } => {
                let anchor = retrieve(client, &id, content || pem).await?;
                show(&anchor, content, pem, output)
            }
            Self::Upload { file, name, policy } => {
                upload(client, &file, name, policy, output).await
            }
            Self::Update { id, name } => {
                let change = ModifyCertificateRequest { name: Some(name) };
                output.one(&certificates.update(&id, &change).await?.value)
            }
            Self::SetPolicy { id, policy, .. } => {
                let policy = policy.read()?;
                let set = certificates.set_policy(&id, policy.as_deref()).await?;
                output.one(&set.value)
            }
            Self::Delete { ids, yes } => delete(client, &ids, yes, output).await,
            Self::Activate(activate) => activate.call(client, output).await,
            Self::Deactivate(deactivate) => deactivate.call(client, output).await,
            Self::Inspect(inspect) => inspect.run(output),
        }
    }
}

/// Reads what is to be uploaded. A private key must not leave the machine, whatever a server would
/// say of it.
pub(super) fn read_anchor(file: &Path) -> Outcome<String> {
    let text = read_text(file)?;
    if holds_private_key(&text) {
        return Err(Failure::new(format_args!(
            "`{}` holds a private key; nothing was sent",
            file.display()
        ))
        .hint("upload the CA's certificate alone, and keep its key where it was"));
    }
    Ok(text)
}

async fn upload(
    client: &Client,
    file: &Path,
    name: Option<String>,
    policy: PolicyText,
    output: Output,
) -> Outcome {
    let request = UploadCertificateRequest {
        certificate: read_anchor(file)?,
        name,
        cel_policy: policy.read()?,
    };
    let uploaded = client.certificates().upload(&request).await?;
    output.one(&uploaded.value)
}

async fn list_at(
    client: &Client,
    scope: &Scope,
    usage: bool,
    list: ListOptions,
    output: Output,
) -> Outcome {
    let certificates = client.certificates();
    if !usage {
        let entries = certificates.stream(scope, &list.params());
        return output.list(&list.take(entries).await?);
    }
    let entries = certificates.stream_with_usage(scope, &list.params());
    let listed = list.take(entries).await?;
    if output.is_table() {
        return output.list(&usage::all_lines(&listed));
    }
    output.list(&listed)
}

async fn show_usage(client: &Client, id: &CertificateId, output: Output) -> Outcome {
    let anchor = client.certificates().retrieve_with_usage(id).await?.value;
    output.one(&anchor)?;
    if !output.is_table() {
        return Ok(());
    }
    output.text("\n")?;
    let usage = anchor.usage.as_ref();
    output.list(&usage::lines(&anchor.id, anchor.name.as_deref(), usage))
}

async fn retrieve(client: &Client, id: &CertificateId, content: bool) -> Outcome<Anchor> {
    let certificates = client.certificates();
    let anchor = if content {
        certificates.retrieve_with_content(id).await?
    } else {
        certificates.retrieve(id).await?
    };
    Ok(anchor.value)
}

fn show(anchor: &Anchor, content: bool, pem: bool, output: Output) -> Outcome {
    let text = anchor.certificate_details.content.as_deref();
    if pem {
        return match text {
            Some(text) => output.text(text),
            None => Err(Failure::new("the server gave no PEM")),
        };
    }
    output.one(anchor)?;
    match text {
        Some(text) if content && output.is_table() => output.text(&format!("\n{text}")),
        _ => Ok(()),
    }
}

/// Deletes one after the other. What was deleted before a refusal is still told.
async fn delete(client: &Client, ids: &[CertificateId], yes: bool, output: Output) -> Outcome {
    let names: Vec<&str> = ids.iter().map(CertificateId::as_str).collect();
    confirm(&format!("delete {}?", names.join(", ")), yes)?;
    let mut deleted = Vec::new();
    for id in ids {
        match client.certificates().delete(id).await {
            Ok(answer) => deleted.push(answer.value),
            Err(error) => {
                if !deleted.is_empty() {
                    output.list(&deleted)?;
                }
                return Err(error.into());
            }
        }
    }
    output.list(&deleted)
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_bytes(path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_INPUT_BYTES).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX_INPUT_BYTES).read_to_end(&mut bytes))
    };
    read.doing(format_args!("read `{}`", path.display()))?;
    Ok(bytes)
}

pub(super) fn read_text(path: &Path) -> Outcome<String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| {
        Failure::new(format_args!("`{}` is not text", path.display()))
            .hint("turn DER into PEM with `openssl x509 -inform der -in FILE -out FILE.pem`")
    })
}

impl Row for ScopedCertificate {
    const HEAD: &'static [&'static str] = &["id", "name", "active", "expires", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            text_or_dash(self.name.as_deref()),
            match (self.active, self.enforcement.unwrap_or_default()) {
                (true, Enforcement::Enforce) => "yes",
                (true, Enforcement::Report) => "report only",
                (false, _) => "no",
            }
            .to_owned(),
            moment(self.certificate_details.expires_at),
            moment(self.created_at),
        ]
    }
}

impl Row for Anchor {
    const HEAD: &'static [&'static str] =
        &["id", "name", "valid from", "expires", "created", "policy"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            text_or_dash(self.name.as_deref()),
            moment(self.certificate_details.valid_at),
            moment(self.certificate_details.expires_at),
            moment(self.created_at),
            text_or_dash(self.cel_policy.as_deref()),
        ]
    }
}

impl Row for DeletedCertificate {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}
