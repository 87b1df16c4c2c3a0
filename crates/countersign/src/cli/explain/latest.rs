//! The latest refusals: what gateways remember of them, which ends when they restart, and what the
//! control plane has summed up for all gateways.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use countersign_client::Client;
use countersign_types::{
    UnixSeconds,
    id::{ApiKeyId, ProjectId},
    refusal::Refusal,
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    cli::{admin_listener, api::whole, directory::names},
    failure::{CommandResult, Failure},
    output::{Cell, Output, Row, Tone, moment, note, row, text_or_dash},
};

/// How often `--follow` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Why there is no request to explain.
pub(super) const NOT_REMEMBERED: &str =
    "no gateway that was asked remembers more of it; `--gateway-admin URL` asks another";

/// A refusal that a gateway remembers.
#[derive(Deserialize)]
struct Remembered {
    request_id: String,
    time: UnixSeconds,
    code: String,
    reason: Option<String>,
    project: Option<ProjectId>,
    key: Option<ApiKeyId>,
    leaf_sha256: Option<String>,
}

/// Refused requests of one caller with one leaf and one code.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub(super) struct Refused {
    code: String,
    #[serialize_always]
    project_id: Option<ProjectId>,
    #[serialize_always]
    api_key_id: Option<ApiKeyId>,
    #[serialize_always]
    leaf_sha256: Option<String>,
    subject: Option<String>,
    /// How many, as far as they were counted.
    requests: u64,
    last_seen: UnixSeconds,
    /// The latest that a gateway remembers.
    request_id: Option<String>,
    reason: Option<String>,
    #[serde(skip)]
    project: Option<String>,
    /// Its place among what gateways remember, newest first: times are in whole seconds.
    #[serde(skip)]
    rank: usize,
}

/// By what refusals are kept apart.
type Kind = (String, Option<ProjectId>, Option<ApiKeyId>, Option<String>);

/// Where refusals are read from.
pub(super) struct Latest<'a> {
    client: Option<Client>,
    gateways: &'a [String],
}

/// What `--follow` saw last of a kind of refusal.
type Seen = HashMap<Kind, (UnixSeconds, Option<String>)>;

impl<'a> Latest<'a> {
    pub(super) fn new(client: Option<Client>, gateways: &'a [String]) -> Self {
        Self { client, gateways }
    }

    /// The newest refusals, and whether there are more.
    pub(super) async fn newest(&self, limit: u32) -> CommandResult<(Vec<Refused>, bool)> {
        let mut all = self.all().await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = all.len() > limit;
        all.truncate(limit);
        Ok((all, more))
    }

    /// All refusals, newest first.
    async fn all(&self) -> CommandResult<Vec<Refused>> {
        let (summaries, remembered) = (self.summaries().await, self.remembered().await);
        if let (Err(failure), Err(_)) = (&summaries, &remembered) {
            return Err(Failure::new(failure.message()).hint(
                "give an admin key to see what all gateways refused, or a gateway's admin listener with `--gateway-admin URL`",
            ));
        }
        let of_kind = |each: Refused| (each.kind(), each);
        let mut all: HashMap<Kind, Refused> = summaries
            .unwrap_or_default()
            .into_iter()
            .map(of_kind)
            .collect();
        // Newest first: the first of a kind is the one to explain.
        for (rank, one) in remembered.unwrap_or_default().into_iter().enumerate() {
            let refused = Refused {
                rank,
                ..Refused::from(one)
            };
            let known = all.entry(refused.kind()).or_insert_with(|| refused.clone());
            known.remembered(refused);
        }
        let mut all: Vec<Refused> = all.into_values().collect();
        all.sort_by_key(|each| (Reverse(each.last_seen), each.rank, each.kind()));
        Ok(all)
    }

    /// What the control plane has summed up.
    async fn summaries(&self) -> CommandResult<Vec<Refused>> {
        let Some(client) = &self.client else {
            return Err(Failure::usage("no admin key given"));
        };
        let all: Vec<_> = client.refusals().stream(&whole()).try_collect().await?;
        // Names are a courtesy: a key that may not read them still sees who is refused.
        let names = names::<ProjectId>(client).await.unwrap_or_default();
        let summed = |each: countersign_client::Received<Refusal>| {
            Refused::summed(each.into_inner(), &names)
        };
        Ok(all.into_iter().map(summed).collect())
    }

    /// What gateways remember, newest first.
    async fn remembered(&self) -> CommandResult<Vec<Remembered>> {
        let (mut all, mut failed) = (Vec::new(), None);
        for gateway in self.gateways {
            match admin_listener::get(gateway, "/denials").await {
                Ok(Some(list)) => {
                    let read: Result<Vec<Remembered>, _> = serde_json::from_value(list);
                    all.extend(read.unwrap_or_default());
                }
                Ok(None) => {}
                Err(failure) => failed = Some(failure),
            }
        }
        if let (Some(failure), true) = (failed, all.is_empty()) {
            return Err(failure);
        }
        all.sort_by_key(|each| Reverse(each.time));
        Ok(all)
    }

    /// Prints what is refused from now on. While nothing can be read, that is said once.
    pub(super) async fn follow(&self, output: Output) -> CommandResult {
        let mut seen = Seen::new();
        for refused in self.all().await? {
            refused.is_new(&mut seen);
        }
        let mut ticks = tokio::time::interval(EVERY);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match self.all().await {
                Ok(all) => {
                    failing = false;
                    let mut new = all.iter().rev().filter(|each| each.is_new(&mut seen));
                    new.try_for_each(|refused| output.entry(refused))?;
                }
                Err(failure) => {
                    if !failing {
                        note(&format!("{}; trying again", failure.message()));
                    }
                    failing = true;
                }
            }
        }
    }
}

/// Says what may be done next.
pub(super) fn remark(shown: &[Refused], more: bool) {
    if more {
        note(&format!("{} shown; `--limit` shows more", shown.len()));
    }
    match shown.iter().find_map(Refused::request_id) {
        Some(id) => note(&format!("why, in full: countersign explain {id}")),
        None if shown.is_empty() => note("no request was refused lately"),
        None => note(NOT_REMEMBERED),
    }
}

impl Refused {
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    fn kind(&self) -> Kind {
        (
            self.code.clone(),
            self.project_id.clone(),
            self.api_key_id.clone(),
            self.leaf_sha256.clone(),
        )
    }

    /// Adds what a gateway remembers of such a refusal.
    fn remembered(&mut self, one: Self) {
        self.last_seen = self.last_seen.max(one.last_seen);
        if self.request_id.is_none() {
            (self.request_id, self.reason) = (one.request_id, one.reason);
            self.rank = one.rank;
        }
    }

    /// Whether there was one since it was seen last, which is now.
    fn is_new(&self, seen: &mut Seen) -> bool {
        let now = (self.last_seen, self.request_id.clone());
        let before = seen.insert(self.kind(), now.clone());
        before.is_none_or(|before| before.0 < now.0 || before.1 != now.1)
    }

    fn summed(refusal: Refusal, names: &HashMap<ProjectId, String>) -> Self {
        let (sha256, subject) = match refusal.leaf {
            Some(leaf) => (Some(leaf.sha256.to_string()), Some(leaf.subject)),
            None => (None, None),
        };
        let project = refusal.project_id.as_ref();
        Self {
            code: refusal.code.to_string(),
            project: project.and_then(|id| names.get(id).cloned()),
            project_id: refusal.project_id,
            api_key_id: refusal.api_key_id,
            leaf_sha256: sha256,
            subject,
            requests: refusal.requests,
            last_seen: refusal.last_seen,
            request_id: None,
            reason: None,
            rank: usize::MAX,
        }
    }
}

impl From<Remembered> for Refused {
    fn from(one: Remembered) -> Self {
        Self {
            code: one.code,
            project_id: one.project,
            api_key_id: one.key,
            leaf_sha256: one.leaf_sha256,
            subject: None,
            requests: 1,
            last_seen: one.time,
            request_id: Some(one.request_id),
            reason: one.reason,
            project: None,
            rank: 0,
        }
    }
}

impl Row for Refused {
    const HEAD: &'static [&'static str] = &[
        "client",
        "code",
        "project",
        "key",
        "requests",
        "last seen",
        "request id",
    ];

    fn cells(&self) -> Vec<Cell> {
        let client = match (&self.subject, &self.leaf_sha256) {
            (Some(subject), _) if !subject.is_empty() => subject.as_str(),
            (_, Some(sha256)) => sha256,
            (_, None) => "no certificate",
        };
        let project = self.project.as_deref();
        let project = project.or(self.project_id.as_ref().map(ProjectId::as_str));
        row![
            client,
            Cell::State(Tone::Bad, self.code.clone()),
            text_or_dash(project),
            text_or_dash(self.api_key_id.as_ref().map(ApiKeyId::as_str)),
            self.requests.to_string(),
            moment(self.last_seen),
            text_or_dash(self.request_id.as_deref()),
        ]
    }
}
