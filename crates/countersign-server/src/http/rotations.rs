//! Rotations: one trust anchor takes another's place (an extension).

use countersign_types::{
    UnixSeconds,
    error::ErrorCode,
    extension::ENFORCEMENT,
    id::{ProjectId, RotationId},
    rotation::{
        DEFAULT_SEEN_WITHIN, EndRotationRequest, Rotation, RotationStatus, StartRotationRequest,
    },
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Advice, Body, OptionalBody, RequestBody, TO_ENFORCE},
    caller::Admin,
    error::{ApiError, CHANGED_EACH_TIME},
    paging::Paging,
    path::Path,
    query::{Query, WholeOr},
    store_error::problem,
    trust_write::{self, Override},
};
use crate::{
    rotation::{End, RotationError, Rotations},
    store::{Kind, NewRotation, StoreError},
};

const OLD: &str = "old_certificate_id";
const NEW: &str = "new_certificate_id";
const PROJECTS: &str = "project_ids";
/// The most projects that one rotation names.
const MAX_PROJECTS: usize = 100;
/// Ten years: far longer than anything is kept.
const MAX_WITHIN: UnixSeconds = 10 * 366 * 24 * 60 * 60;

type Within = WholeOr<1, MAX_WITHIN, DEFAULT_SEEN_WITHIN>;

/// Which workloads count.
#[derive(Deserialize, IntoParams)]
pub(super) struct RotationQuery {
    /// Only workloads that were seen within so many seconds count.
    #[serde(default)]
    #[param(inline)]
    seen_within: Within,
}

pub(super) async fn list(admin: Admin, app: App, page: Paging<RotationId>) -> PageAnswer<Rotation> {
    let rotations = app
        .store()
        .list_rotations(&admin.organization, &page.request);
    answer::page(&rotations.await?)
}

pub(super) async fn start(
    admin: Admin,
    app: App,
    Query(allow): Query<Override>,
    Body(request): Body<StartRotationRequest>,
) -> Answer<Rotation> {
    let force = request.force.unwrap_or_default();
    let new = NewRotation {
        old: request.old_certificate_id,
        new: request.new_certificate_id,
        projects: request.project_ids.map(distinct),
        enforcement: request.enforcement.unwrap_or_default(),
    };
    let make = || async {
        let started = rotations(&app, &admin).start(&new, force).await;
        started.map_err(|error| match error {
            RotationError::Store(error) => with_param(error, &new),
            other => other.into(),
        })
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

fn distinct(projects: Vec<ProjectId>) -> Vec<ProjectId> {
    let mut distinct: Vec<ProjectId> = Vec::with_capacity(projects.len());
    for project in projects {
        if !distinct.contains(&project) {
            distinct.push(project);
        }
    }
    distinct
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(id): Path<RotationId>,
    Query(query): Query<RotationQuery>,
) -> Answer<Rotation> {
    let store = app.store();
    let mut rotation = store.retrieve_rotation(&admin.organization, &id).await?;
    if rotation.status == RotationStatus::InProgress {
        let rotations = rotations(&app, &admin);
        let preview = rotations.preview_end(&rotation, End::Finish, query.seen_within.0);
        let mut preview = preview.await?;
        preview.progress.problems = preview.problems.iter().map(problem).collect();
        rotation.progress = Some(preview.progress);
    }
    answer::read(&rotation)
}

pub(super) async fn finish(
    admin: Admin,
    app: App,
    Path(id): Path<RotationId>,
    Query(allow): Query<Override>,
    OptionalBody(request): OptionalBody<EndRotationRequest>,
) -> Answer<Rotation> {
    end((admin, app), &id, &allow, request, End::Finish).await
}

pub(super) async fn abort(
    admin: Admin,
    app: App,
    Path(id): Path<RotationId>,
    Query(allow): Query<Override>,
    OptionalBody(request): OptionalBody<EndRotationRequest>,
) -> Answer<Rotation> {
    end((admin, app), &id, &allow, request, End::Abort).await
}

async fn end(
    (admin, app): (Admin, App),
    id: &RotationId,
    allow: &Override,
    request: EndRotationRequest,
    end: End,
) -> Answer<Rotation> {
    let force = request.force.unwrap_or_default();
    let within = request.seen_within.unwrap_or(DEFAULT_SEEN_WITHIN);
    let make = || async {
        let ended = rotations(&app, &admin).end(id, end, force, within).await;
        ended.map_err(ApiError::from)
    };
    trust_write::commit(&admin, &app, allow, make).await
}

fn rotations<'a>(app: &'a App, admin: &'a Admin) -> Rotations<'a> {
    Rotations {
        store: app.store(),
        judge: app.trials(),
        organization: &admin.organization,
        actor: admin.actor(),
    }
}

impl RequestBody for StartRotationRequest {
    const ADVICE: Advice = &[(ENFORCEMENT, TO_ENFORCE)];

    fn check(&mut self) -> Result<(), ApiError> {
        if let Some(projects) = &self.project_ids
            && !(1..=MAX_PROJECTS).contains(&projects.len())
        {
            let message = format!(
                "`{PROJECTS}` names {} projects. Name 1 to {MAX_PROJECTS}, or leave it out for \
                 everywhere that the old certificate is active.",
                projects.len()
            );
            return Err(ApiError::value(PROJECTS, message));
        }
        if self.old_certificate_id == self.new_certificate_id {
            let message = "The new certificate is the old one. Upload the one that takes its \
                           place, and name that.";
            return Err(ApiError::value(NEW, message));
        }
        Ok(())
    }
}

impl RequestBody for EndRotationRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        match self.seen_within {
            Some(seconds) if !(1..=MAX_WITHIN).contains(&seconds) => {
                let message =
                    format!("`seen_within` must be a whole number from 1 to {MAX_WITHIN}.");
                Err(ApiError::value("seen_within", message))
            }
            _ => Ok(()),
        }
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
                "{failing} {} now would be refused as soon as the new certificate \
                 is active: its policy denies them. Preview its activation to see which. Change \
                 the policy, start with `\"enforcement\": \"report\"`, or send `\"force\": true`.",
                if failing == 1 {
                    "workload that passes"
                } else {
                    "workloads that pass"
                }
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
            RotationError::ChangedEachTime => {
                Self::storage_unavailable(CHANGED_EACH_TIME, error.to_string())
            }
        }
    }
}

/// Names the id that an error is about.
fn with_param(error: StoreError, new: &NewRotation) -> ApiError {
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
