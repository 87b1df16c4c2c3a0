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
    cli::{
        admin_listener,
        api::whole,
        names::{NamedRow, Names},
    },
    failure::{CommandResult, Doing, Failure},
    output::{Cell, Output, Tone, moment, note, row, text_or_dash},
};

/// How often `--follow` looks.
const EVERY: Duration = Duration::from_secs(1);

/// What to do where nobody was asked.
const NOBODY_TO_ASK: &str = "give an admin key to see what all gateways refused, or a gateway's admin listener with `--gateway-admin URL`";

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
    /// Its place among what gateways remember, newest first: times are in whole seconds.
    #[serde(skip)]
    rank: usize,
}

/// By what refusals are kept apart.
type Kind = (String, Option<ProjectId>, Option<ApiKeyId>, Option<String>);

/// Where refusals are read from.
pub(super) struct Latest<'a> {
    /// `None` without a key.
    client: CommandResult<Option<Client>>,
    gateways: &'a [String],
}

/// What was found, and what could not be asked.
#[derive(Default)]
pub(super) struct Found {
    pub(super) refused: Vec<Refused>,
    /// Whether there are more.
    more: bool,
    plane_answered: bool,
    gateway_answered: bool,
    failed: Vec<Failure>,
}

/// What `--follow` saw last of a kind of refusal.
type Seen = HashMap<Kind, (UnixSeconds, Option<String>)>;

impl<'a> Latest<'a> {
    pub(super) fn new(client: CommandResult<Option<Client>>, gateways: &'a [String]) -> Self {
        Self { client, gateways }
    }

    /// The newest refusals. Warns of what could not be asked; if that leaves nothing to show, it fails.
    pub(super) async fn newest(&self, limit: u32) -> CommandResult<Found> {
        let mut found = self.all().await.or_failure()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        found.more = found.refused.len() > limit;
        found.refused.truncate(limit);
        Ok(found)
    }

    /// All refusals, newest first.
    async fn all(&self) -> Found {
        let mut found = Found::default();
        let mut all: HashMap<Kind, Refused> = HashMap::new();
        match self.summaries().await {
            Ok(None) => {}
            Ok(Some(summaries)) => {
                found.plane_answered = true;
                all.extend(summaries.into_iter().map(|each| (each.kind(), each)));
            }
            Err(failure) => found.failed.push(failure),
        }
        // Newest first: the first of a kind is the one to explain.
        for (rank, one) in self.remembered(&mut found).await.into_iter().enumerate() {
            let refused = Refused {
                rank,
                ..Refused::from(one)
            };
            let known = all.entry(refused.kind()).or_insert_with(|| refused.clone());
            known.remembered(refused);
        }
        if matches!(self.client, Ok(None)) && !found.gateway_answered {
            let no_key = Failure::new("no admin key given").hint(NOBODY_TO_ASK);
            found.failed.insert(0, no_key);
        }
        found.refused = all.into_values().collect();
        let newest_first = |each: &Refused| (Reverse(each.last_seen), each.rank, each.kind());
        found.refused.sort_by_key(newest_first);
        found
    }

    /// What the control plane has summed up; `None` without a key.
    async fn summaries(&self) -> CommandResult<Option<Vec<Refused>>> {
        let client = match &self.client {
            Ok(Some(client)) => client,
            Ok(None) => return Ok(None),
            Err(failure) => return Err(failure.again(failure.message())),
        };
        let listed: Result<Vec<_>, _> = client.refusals().stream(&whole()).try_collect().await;
        let all = listed.map_err(|error| {
            let refused_key = matches!(error.status(), Some(401 | 403));
            let failure = Failure::from(error);
            if refused_key {
                let message = failure.message();
                return failure.again(format_args!(
                    "the control plane refused this key: {message}"
                ));
            }
            failure
        })?;
        let summed =
            |each: countersign_client::Received<Refusal>| Refused::summed(each.into_inner());
        Ok(Some(all.into_iter().map(summed).collect()))
    }

    /// The names of those who were refused, for people. They are a courtesy: who may not read them still
    /// sees who is refused.
    pub(super) async fn names<'r>(
        &self,
        refused: impl Iterator<Item = &'r Refused>,
        output: Output,
    ) -> Names {
        match &self.client {
            Ok(Some(client)) if output.is_table() => {
                let caller =
                    |each: &'r Refused| (each.project_id.as_ref(), each.api_key_id.as_ref());
                Names::of_callers(client, refused.map(caller)).await
            }
            _ => Names::default(),
        }
    }

    /// What gateways remember, newest first.
    async fn remembered(&self, found: &mut Found) -> Vec<Remembered> {
        let mut all = Vec::new();
        for gateway in self.gateways {
            match of_gateway(gateway).await {
                Ok(list) => {
                    found.gateway_answered = true;
                    all.extend(list);
                }
                Err(failure) => found.failed.push(failure),
            }
        }
        all.sort_by_key(|each| Reverse(each.time));
        all
    }

    /// Prints what is refused from now on. What cannot be asked is said once.
    pub(super) async fn follow(&self, output: Output) -> CommandResult {
        let mut seen = Seen::new();
        let mut found = self.all().await;
        if !found.plane_answered && !found.gateway_answered {
            return found.or_failure().map(drop);
        }
        for refused in &found.refused {
            refused.is_new(&mut seen);
        }
        let mut ticks = tokio::time::interval(EVERY);
        let mut failing = Vec::new();
        loop {
            let failed: Vec<String> = found
                .failed
                .iter()
                .map(|f| f.message().to_owned())
                .collect();
            for message in failed.iter().filter(|message| !failing.contains(*message)) {
                note(&format!("warning: {message}; trying again"));
            }
            failing = failed;
            let new = found.refused.iter().rev();
            let new: Vec<_> = new.filter(|refused| refused.is_new(&mut seen)).collect();
            let names = self.names(new.iter().copied(), output).await;
            let mut new = new.into_iter();
            new.try_for_each(|refused| output.entry(&names.named(refused)))?;
            ticks.tick().await;
            found = self.all().await;
        }
    }
}

/// What one gateway remembers.
async fn of_gateway(url: &str) -> CommandResult<Vec<Remembered>> {
    let Some(list) = admin_listener::get(url, "/refusals").await? else {
        return Err(Failure::new(format_args!(
            "what answers at {url} is not a gateway's admin listener"
        )));
    };
    serde_json::from_value(list).doing(format_args!("read what the gateway at {url} refused"))
}

fn warn(failure: &Failure) {
    note(&format!("warning: {}", failure.message()));
}

impl Found {
    /// What was found, with a warning of whatever could not be asked. Where that leaves nothing to
    /// show, it is the failure: nothing was found does not mean that nothing was refused.
    fn or_failure(mut self) -> CommandResult<Self> {
        let mut failed = std::mem::take(&mut self.failed).into_iter();
        let fatal = if self.refused.is_empty() {
            failed.next()
        } else {
            None
        };
        failed.for_each(|failure| warn(&failure));
        fatal.map_or(Ok(self), |failure| Err(failure.with_exit(1)))
    }

    /// Says what may be done next.
    pub(super) fn remark(&self) {
        let shown = self.refused.len();
        if self.more {
            note(&format!("{shown} shown; `--limit` shows more"));
        }
        match self.refused.iter().find_map(Refused::request_id) {
            Some(id) => note(&format!("why, in full: countersign explain {id}")),
            None if shown == 0 => note(self.nothing()),
            None => note(self.not_remembered()),
        }
    }

    /// What it means that there is none, where all that were asked answered.
    pub(super) const fn nothing(&self) -> &'static str {
        if self.plane_answered {
            "no request was refused lately"
        } else {
            "no gateway that was asked remembers a refusal; an admin key shows what all gateways refused"
        }
    }

    /// Why there is no request to explain.
    pub(super) const fn not_remembered(&self) -> &'static str {
        if self.gateway_answered {
            "no gateway that was asked remembers more of it; `--gateway-admin URL` asks another"
        } else {
            "no gateway could be asked for more of it; `--gateway-admin URL` asks another"
        }
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
        let kind = self.kind();
        let Some((time, id)) = seen.get_mut(&kind) else {
            seen.insert(kind, (self.last_seen, self.request_id.clone()));
            return true;
        };
        // What could not be asked for a while has nothing new to say of what was seen before.
        let other = id.is_some() && self.request_id.is_some() && *id != self.request_id;
        let new = *time < self.last_seen || other;
        *time = self.last_seen.max(*time);
        if self.request_id.is_some() {
            id.clone_from(&self.request_id);
        }
        new
    }

    fn summed(refusal: Refusal) -> Self {
        let (sha256, subject) = match refusal.leaf {
            Some(leaf) => (Some(leaf.sha256.to_string()), Some(leaf.subject)),
            None => (None, None),
        };
        Self {
            code: refusal.code.to_string(),
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
            rank: 0,
        }
    }
}

impl NamedRow for Refused {
    const HEAD: &'static [&'static str] = &[
        "client",
        "code",
        "project",
        "key",
        "requests",
        "last seen",
        "request id",
    ];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let client = match (&self.subject, &self.leaf_sha256) {
            (Some(subject), _) if !subject.is_empty() => subject.as_str(),
            (_, Some(sha256)) => sha256,
            (_, None) => "no certificate",
        };
        row![
            client,
            Cell::State(Tone::Bad, self.code.clone()),
            text_or_dash(self.project_id.as_ref().map(|id| names.project(id))),
            text_or_dash(self.api_key_id.as_ref().map(|id| names.key(id))),
            self.requests.to_string(),
            moment(self.last_seen),
            text_or_dash(self.request_id.as_deref()),
        ]
    }
}
