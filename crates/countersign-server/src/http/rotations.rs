//! Rotations: one trust anchor takes another's place (an extension).

use countersign_types::{
    UnixSeconds,
    certificate::Enforcement,
    error::ErrorCode,
    id::{CertificateId, ProjectId, RotationId},
    page::Order,
    rotation::{DEFAULT_SEEN_WITHIN, RotationStatus},
};
use serde_json::Value;

use super::{
    answer::Answer, body::wrong_type, call::Call, caller::Admin, error::ApiError,
    operation::Answered, store_error::problem,
};
use crate::{
    rotation::{End, RotationError, Rotations},
    store::{Kind, NewRotation, StoreError},
};

const OLD: &str = "old_certificate_id";
const NEW: &str = "new_certificate_id";
const PROJECTS: &str = "project_ids";
const FORCE: &str = "force";
pub(super) const SEEN_WITHIN: &str = "seen_within";
/// The most projects that one rotation names.
const MAX_PROJECTS: usize = 100;
/// Ten years: far longer than anything is kept.
const MAX_WITHIN: UnixSeconds = 10 * 366 * 24 * 60 * 60;

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let request = call.query.page::<RotationId>(Order::Desc)?;
    let store = call.app.store();
    Answer::read(&store.list_rotations(&admin.organization, &request).await?)
}

pub(super) async fn start(admin: Admin, mut call: Call) -> Answered {
    let new = NewRotation {
        old: call.certificate(OLD)?,
        new: call.certificate(NEW)?,
        projects: call.projects()?,
        enforcement: call.rotation_enforcement()?,
    };
    if new.old == new.new {
        let message = "The new certificate is the old one. Upload the one that takes its place, \
                       and name that.";
        return Err(ApiError::value(NEW, message));
    }
    let force = call.fields.boolean(FORCE)?.unwrap_or_default();
    let started = rotations(&call, &admin).start(&new, force).await;
    let (tx, change) = started.map_err(|error| match error {
        RotationError::Store(error) => at_its_place(error, &new),
        other => other.into(),
    })?;
    Answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let id = rotation(&call)?;
    let within = call.query.number(SEEN_WITHIN, 1..=MAX_WITHIN)?;
    let within = within.unwrap_or(DEFAULT_SEEN_WITHIN);
    let store = call.app.store();
    let mut rotation = store.retrieve_rotation(&admin.organization, &id).await?;
    if rotation.status == RotationStatus::InProgress {
        let rotations = rotations(&call, &admin);
        let preview = rotations.preview_end(&rotation, End::Finish, within);
        let mut preview = preview.await?;
        preview.progress.problems = preview.problems.iter().map(problem).collect();
        rotation.progress = Some(preview.progress);
    }
    Answer::read(&rotation)
}

pub(super) async fn finish(admin: Admin, call: Call) -> Answered {
    end(admin, call, End::Finish).await
}

pub(super) async fn abort(admin: Admin, call: Call) -> Answered {
    end(admin, call, End::Abort).await
}

async fn end(admin: Admin, mut call: Call, end: End) -> Answered {
    let id = rotation(&call)?;
    let force = call.fields.boolean(FORCE)?.unwrap_or_default();
    let within = call.seen_within()?;
    let rotations = rotations(&call, &admin);
    let (tx, change) = rotations.end(&id, end, force, within).await?;
    Answer::commit(tx, change).await
}

fn rotations<'a>(call: &'a Call, admin: &'a Admin) -> Rotations<'a> {
    Rotations {
        store: call.app.store(),
        judge: call.app.trials(),
        organization: &admin.organization,
        actor: admin.actor(),
    }
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        let not_ready = |message: String| Self::new(ErrorCode::RotationNotReady, message);
        let unknown = |of: String| {
            not_ready(format!(
                "Nothing is known of {of}: gateways report what they see. Wait until they have, \
                 name a longer `seen_within`, or send `\"force\": true`."
            ))
        };
        match error {
            RotationError::Store(error) => error.into(),
            RotationError::Trial(error) => error.into(),
            RotationError::StartRefuses { failing } => not_ready(format!(
                "{failing} workloads that pass now would be refused as soon as the new certificate \
                 is active: its policy says no to them. Preview its activation to see which. \
                 Change the policy, start with `\"enforcement\": \"report\"`, or send `\"force\": \
                 true`."
            )),
            RotationError::EndRefuses {
                rotation,
                failing,
                observed,
            } => not_ready(format!(
                "{failing} of {observed} workloads that were seen lately would be refused. `GET \
                 /v1/organization/rotations/{rotation}` names those that finishing would have \
                 refused. Move them, or send `\"force\": true`."
            )),
            RotationError::NothingObserved => {
                unknown("who calls at the rotation's scopes".to_owned())
            }
            RotationError::Unjudged { unjudged, observed } => unknown(format!(
                "{unjudged} of {observed} workloads, whose chains are not kept"
            )),
            RotationError::ChangedEachTime => Self::storage_unavailable(error.to_string()),
        }
    }
}

fn rotation(call: &Call) -> Result<RotationId, ApiError> {
    call.id("rotation_id", "rotation")
}

/// Says which of the ids of a start is at fault.
fn at_its_place(error: StoreError, new: &NewRotation) -> ApiError {
    let param = match &error {
        StoreError::NotFound {
            kind: Kind::Certificate,
            id,
        } if id == new.old.as_str() => Some(OLD.to_owned()),
        StoreError::NotFound {
            kind: Kind::Certificate,
            ..
        }
        | StoreError::Expired { .. } => Some(NEW.to_owned()),
        StoreError::NotFound {
            kind: Kind::Project,
            id,
        } => {
            let mut named = new.projects.iter().flatten();
            let place = named.position(|project| project.as_str() == id);
            place.map(|place| format!("{PROJECTS}[{place}]"))
        }
        _ => None,
    };
    let error = ApiError::from(error);
    match param {
        Some(param) => error.at(param),
        None => error,
    }
}

impl Call {
    fn certificate(&mut self, param: &'static str) -> Result<CertificateId, ApiError> {
        let text = self.fields.text(param)?;
        let text = text.ok_or_else(|| ApiError::missing(param))?;
        let unknown = ApiError::no_such("certificate").at(param);
        text.parse().map_err(|_| unknown)
    }

    /// Distinct projects; none named is everywhere.
    fn projects(&mut self) -> Result<Option<Vec<ProjectId>>, ApiError> {
        let Some(texts) = self.fields.texts(PROJECTS)? else {
            return Ok(None);
        };
        if !(1..=MAX_PROJECTS).contains(&texts.len()) {
            let message = format!(
                "`{PROJECTS}` names {} projects. Name 1 to {MAX_PROJECTS}, or leave it out for \
                 everywhere that the old certificate is active.",
                texts.len()
            );
            return Err(ApiError::value(PROJECTS, message));
        }
        let mut projects: Vec<ProjectId> = Vec::with_capacity(texts.len());
        for (place, text) in texts.iter().enumerate() {
            let unknown = ApiError::no_such("project").at(format!("{PROJECTS}[{place}]"));
            let project = text.parse().map_err(|_| unknown)?;
            if !projects.contains(&project) {
                projects.push(project);
            }
        }
        Ok(Some(projects))
    }

    fn rotation_enforcement(&mut self) -> Result<Enforcement, ApiError> {
        const PARAM: &str = "enforcement";
        let Some(word) = self.fields.text(PARAM)? else {
            return Ok(Enforcement::default());
        };
        word.parse().map_err(|_| {
            let message = "`enforcement` must be `enforce` or `report`. Leave it out to enforce.";
            ApiError::value(PARAM, message)
        })
    }

    fn seen_within(&mut self) -> Result<UnixSeconds, ApiError> {
        match self.fields.take(SEEN_WITHIN) {
            None => Ok(DEFAULT_SEEN_WITHIN),
            Some(Value::Number(number)) => {
                let seconds = number.as_u64().filter(|it| (1..=MAX_WITHIN).contains(it));
                seconds.ok_or_else(|| {
                    let message = format!("`{SEEN_WITHIN}` must be 1 to {MAX_WITHIN} seconds.");
                    ApiError::value(SEEN_WITHIN, message)
                })
            }
            Some(other) => Err(wrong_type(SEEN_WITHIN, "a number of seconds", &other)),
        }
    }
}
