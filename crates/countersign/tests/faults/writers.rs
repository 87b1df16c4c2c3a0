//! Writers that know what they were promised. Each call that was acknowledged must have happened;
//! one whose answer never came may have happened or not, but not by half.

use std::collections::{BTreeMap, BTreeSet};

use countersign_client::{
    Client, Error,
    types::{
        certificate::{
            ModifyCertificateRequest, Scope, ScopedCertificate, UploadCertificateRequest,
        },
        error::ErrorCode,
        id::CertificateId,
    },
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet};

/// Everything that the organization holds: name and whether it is active.
pub(crate) type Seen = BTreeMap<CertificateId, (String, bool)>;

/// What one writer does, again and again.
pub(crate) enum Writer {
    /// Activates three certificates together, then deactivates them.
    Toggler {
        ids: Vec<CertificateId>,
        active: bool,
    },
    /// Counts in a certificate's name.
    Renamer { id: CertificateId, count: u64 },
    /// Uploads a certificate, then deletes it.
    Holder {
        tag: String,
        pem: String,
        count: u64,
        held: Option<CertificateId>,
    },
}

impl Writer {
    /// Some of each, with the certificates that they need uploaded.
    pub(crate) async fn some(client: &Client, pem: &str) -> Vec<Self> {
        let upload = async |name: String| {
            let made = client.certificates().upload(&request(pem, name)).await;
            made.unwrap().id.clone()
        };
        let mut writers = Vec::new();
        for number in 0..4 {
            let mut ids = Vec::new();
            for part in 0..3 {
                ids.push(upload(format!("toggled {number} {part}")).await);
            }
            writers.push(Self::Toggler { ids, active: false });
        }
        for _ in 0..2 {
            let id = upload("0".to_owned()).await;
            writers.push(Self::Renamer { id, count: 0 });
        }
        for number in 0..2 {
            writers.push(Self::Holder {
                tag: format!("held {number}"),
                pem: pem.to_owned(),
                count: 0,
                held: None,
            });
        }
        writers
    }

    /// Makes the next change, and remembers it once it is acknowledged.
    async fn step(&mut self, client: &Client) -> Result<(), Error> {
        let certificates = client.certificates();
        match self {
            Self::Toggler { ids, active } => {
                let scope = Scope::Organization;
                if *active {
                    certificates.deactivate(&scope, ids).await?;
                } else {
                    certificates.activate(&scope, ids).await?;
                }
                *active = !*active;
            }
            Self::Renamer { id, count } => {
                let name = Some((*count + 1).to_string());
                certificates
                    .update(id, &ModifyCertificateRequest { name })
                    .await?;
                *count += 1;
            }
            Self::Holder {
                tag,
                pem,
                count,
                held,
            } => {
                if let Some(id) = held {
                    certificates.delete(id).await?;
                    *held = None;
                } else {
                    let made = certificates
                        .upload(&request(pem, format!("{tag} {count}")))
                        .await?;
                    *held = Some(made.id.clone());
                    *count += 1;
                }
            }
        }
        Ok(())
    }

    /// Holds what the server has now against what it promised. `doubt` is whether an answer is
    /// outstanding; then the writer takes over what it finds.
    fn settle(&mut self, seen: &Seen, doubt: bool) {
        match self {
            Self::Toggler { ids, active } => {
                let states: BTreeSet<bool> = ids.iter().map(|id| seen[id].1).collect();
                assert_eq!(states.len(), 1, "an activation was done by half: {ids:?}");
                let found = states.contains(&true);
                assert!(doubt || found == *active, "an acknowledged toggle is lost");
                *active = found;
            }
            Self::Renamer { id, count } => {
                let found: u64 = seen[id].0.parse().unwrap();
                let newest = *count + u64::from(doubt);
                assert!(
                    (*count..=newest).contains(&found),
                    "named {found}, not {count}"
                );
                *count = found;
            }
            Self::Holder {
                tag, count, held, ..
            } => {
                let mine = |name: &str| name.starts_with(&format!("{tag} "));
                let found: Vec<_> = seen.iter().filter(|(_, (name, _))| mine(name)).collect();
                assert!(found.len() <= 1, "{found:?}");
                let now = found.first().map(|(id, _)| (*id).clone());
                match (&*held, &now) {
                    (Some(_), None) | (None, Some(_)) => {
                        assert!(doubt, "{tag}: {held:?}, found {now:?}")
                    }
                    (known, _) => assert_eq!(known, &now),
                }
                if held.is_none() && now.is_some() {
                    assert_eq!(found[0].1.0, format!("{tag} {count}"));
                    *count += 1;
                }
                *held = now;
            }
        }
    }
}

fn request(pem: &str, name: String) -> UploadCertificateRequest {
    UploadCertificateRequest {
        certificate: pem.to_owned(),
        name: Some(name),
        cel_policy: None,
    }
}

/// Writers at work, each on its own until a call of its fails.
pub(crate) struct AtWork(JoinSet<(Writer, bool)>);

impl AtWork {
    /// Every acknowledged change is sent to `done`; closing that stops them.
    pub(crate) fn start(writers: Vec<Writer>, client: &Client, done: UnboundedSender<()>) -> Self {
        let mut tasks = JoinSet::new();
        for mut writer in writers {
            let (client, done) = (client.clone(), done.clone());
            tasks.spawn(async move {
                loop {
                    match writer.step(&client).await {
                        Ok(()) if done.send(()).is_ok() => {}
                        Ok(()) => return (writer, false),
                        Err(error) => {
                            assert!(is_outage(&error), "{error}");
                            return (writer, true);
                        }
                    }
                }
            });
        }
        Self(tasks)
    }

    /// Waits until each has failed (or was told to stop), and holds what the server has against
    /// what it promised them.
    pub(crate) async fn settle(self, seen: impl Future<Output = Seen>) -> Vec<Writer> {
        let stopped = self.0.join_all().await;
        let seen = seen.await;
        let settled = stopped.into_iter().map(|(mut writer, doubt)| {
            writer.settle(&seen, doubt);
            writer
        });
        settled.collect()
    }
}

/// The connection broke, or the server said that its store cannot be used: the call may have
/// happened or not.
fn is_outage(error: &Error) -> bool {
    matches!(error, Error::Connection { .. }) || error.code() == Some(ErrorCode::StorageUnavailable)
}

/// What the organization holds now. At most 50, so one page.
pub(crate) async fn seen(client: &Client) -> Seen {
    let params = countersign_client::ListParams {
        limit: Some(100),
        ..Default::default()
    };
    let page = client
        .certificates()
        .list(&Scope::Organization, &params)
        .await
        .unwrap();
    assert!(!page.has_more);
    let data = page.value.data.into_iter();
    data.map(|each| entry(each.into_inner())).collect()
}

fn entry(certificate: ScopedCertificate) -> (CertificateId, (String, bool)) {
    let name = certificate.name.unwrap_or_default();
    (certificate.id, (name, certificate.active))
}
