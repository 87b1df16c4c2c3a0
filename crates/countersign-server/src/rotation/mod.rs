//! Starting and ending rotations. Each step is tried first and judged on the observed traffic,
//! outside the write; it is made only if the organization is still what was judged.

mod progress;

use std::sync::Arc;

use countersign_types::{
    UnixSeconds,
    audit::Actor,
    certificate::Scope,
    id::{OrganizationId, RotationId},
    rotation::{DEFAULT_SEEN_WITHIN, Rotation, RotationProgress, RotationStatus},
};

use crate::{
    preview::{Trial, TrialError, TrialJudge},
    store::{Change, NewRotation, RotationProblem, Store, StoreError, WriteTx},
};
use progress::Judging;

/// How often a step is judged again when the organization changed in between.
const ATTEMPTS: usize = 5;

/// How a rotation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Finish,
    Abort,
}

/// Why a rotation was not started or ended. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// Starting would refuse workloads that pass.
    #[error("{failing} workloads that pass would be refused by the new certificate's policy")]
    StartRefuses { failing: usize },
    /// Ending would refuse workloads that pass.
    #[error("{failing} of {observed} workloads would be refused without the certificate")]
    EndRefuses {
        rotation: RotationId,
        failing: u64,
        observed: u64,
    },
    /// Nobody was seen at the rotation's scopes, so nothing is known of what finishing would do.
    #[error("nobody was seen at the scopes of the rotation")]
    NothingObserved,
    /// The chains of some workloads are not kept, so these cannot be judged.
    #[error("the chains of {unjudged} of {observed} workloads are not kept")]
    Unjudged { unjudged: u64, observed: u64 },
    /// Others kept changing the organization.
    #[error("the organization changed each time that a rotation was judged")]
    ChangedEachTime,
}

/// What ending a rotation would do.
pub(crate) struct EndPreview {
    /// Who has moved; its problems are in `problems`, not in here.
    pub(crate) progress: RotationProgress,
    /// What stands in the way of finishing.
    pub(crate) problems: Vec<RotationProblem>,
    /// Why the end cannot be made without force.
    refused: Option<StoreError>,
    /// The organization's revision that was judged.
    revision: u64,
}

/// Starts and ends an organization's rotations for one actor.
pub(crate) struct Rotations<'a> {
    pub(crate) store: &'a Store,
    pub(crate) judge: &'a TrialJudge,
    pub(crate) organization: &'a OrganizationId,
    pub(crate) actor: Actor,
}

impl Rotations<'_> {
    /// Starts a rotation; what it answers is not committed. Without `force` it refuses a start
    /// that would refuse workloads at once: the new certificate's policy can deny what another
    /// certificate lets through.
    pub(crate) async fn start(
        &self,
        new: &NewRotation,
        force: bool,
    ) -> Result<(WriteTx, Change<Rotation>), RotationError> {
        for _ in 0..ATTEMPTS {
            let judged = if force {
                None
            } else {
                Some(self.judge_start(new).await?)
            };
            let Some(mut tx) = self.write_at(judged).await? else {
                continue;
            };
            let change = tx.start_rotation(new.clone()).await?;
            return Ok((tx, change));
        }
        Err(RotationError::ChangedEachTime)
    }

    /// Ends a rotation; what it answers is not committed. Without `force` it refuses an end that
    /// would refuse workloads seen within so many seconds, or of which nothing is known.
    pub(crate) async fn end(
        &self,
        id: &RotationId,
        end: End,
        force: bool,
        within: UnixSeconds,
    ) -> Result<(WriteTx, Change<Rotation>), RotationError> {
        for _ in 0..ATTEMPTS {
            let rotation = self.store.retrieve_rotation(self.organization, id).await?;
            // One that has ended is answered as it is, without asking what ending it would do.
            let judged = if force || rotation.status != RotationStatus::InProgress {
                None
            } else {
                let preview = self.preview_end(&rotation, end, within).await?;
                Some(preview.check(end, id)?)
            };
            let Some(mut tx) = self.write_at(judged).await? else {
                continue;
            };
            let change = match end {
                End::Finish => tx.finish_rotation(id, force).await?,
                End::Abort => tx.abort_rotation(id, force).await?,
            };
            return Ok((tx, change));
        }
        Err(RotationError::ChangedEachTime)
    }

    /// Tries an end of a rotation and judges it on who was seen within so many seconds.
    pub(crate) async fn preview_end(
        &self,
        rotation: &Rotation,
        end: End,
        within: UnixSeconds,
    ) -> Result<EndPreview, RotationError> {
        let since = self.judge.now().saturating_sub(within);
        let tried = try_end(self.write().await?, rotation, end).await?;
        let TriedEnd {
            trial,
            problems,
            refused,
        } = tried;
        let (rotation, revision) = (rotation.clone(), trial.before.revision);
        let judged = self.judge.judge(self.organization, since, move |now| {
            Judging::new(rotation, &trial, since, now)
        });
        Ok(EndPreview {
            progress: judged.await?,
            problems,
            refused,
            revision,
        })
    }

    /// Judges a start, and answers the organization's revision that it judged.
    async fn judge_start(&self, new: &NewRotation) -> Result<u64, RotationError> {
        let since = self.judge.now().saturating_sub(DEFAULT_SEEN_WITHIN);
        let trial = try_start(self.write().await?, new.clone()).await?;
        let revision = trial.before.revision;
        let found = self
            .judge
            .judge(self.organization, since, move |now| {
                trial.comparing(&Scope::Organization, now)
            })
            .await?;
        let failing = found.starts_to_fail.len();
        if failing > 0 {
            return Err(RotationError::StartRefuses { failing });
        }
        Ok(revision)
    }

    async fn write(&self) -> Result<WriteTx, StoreError> {
        self.store
            .write(self.organization, self.actor.clone())
            .await
    }

    /// Begins a write; none when the organization is no longer at the revision that was judged.
    async fn write_at(&self, judged: Option<u64>) -> Result<Option<WriteTx>, StoreError> {
        let mut tx = self.write().await?;
        let changed = match judged {
            Some(judged) => tx.organization_revision().await? != judged,
            None => false,
        };
        Ok((!changed).then_some(tx))
    }
}

impl EndPreview {
    /// Refuses an end that would refuse workloads, or of which nothing is known; answers the
    /// revision that was judged.
    fn check(self, end: End, rotation: &RotationId) -> Result<u64, RotationError> {
        if let Some(error) = self.refused {
            return Err(error.into());
        }
        let RotationProgress {
            observed,
            failing_count: failing,
            unjudged_count: unjudged,
            ..
        } = self.progress;
        if failing > 0 {
            return Err(RotationError::EndRefuses {
                rotation: rotation.clone(),
                failing,
                observed,
            });
        }
        match end {
            End::Finish if observed == 0 => Err(RotationError::NothingObserved),
            End::Finish if unjudged > 0 => Err(RotationError::Unjudged { unjudged, observed }),
            // Aborting goes back to what was in force before, so it may be done blindly.
            End::Finish | End::Abort => Ok(self.revision),
        }
    }
}

async fn try_start(mut tx: WriteTx, new: NewRotation) -> Result<Trial, StoreError> {
    let before = Arc::new(tx.bundle().await?);
    let _: Rotation = tx.start_rotation(new).await?.answer;
    let after = Arc::new(tx.bundle().await?);
    Ok(Trial {
        before,
        after,
        tokens: None,
    })
}

/// An end that was tried and rolled back.
struct TriedEnd {
    trial: Trial,
    problems: Vec<RotationProblem>,
    /// Why it was refused; then nothing would change.
    refused: Option<StoreError>,
}

async fn try_end(mut tx: WriteTx, rotation: &Rotation, end: End) -> Result<TriedEnd, StoreError> {
    let before = Arc::new(tx.bundle().await?);
    let problems = tx.rotation_problems(rotation).await?;
    let ended = match end {
        End::Finish => tx.finish_rotation(&rotation.id, false).await,
        End::Abort => tx.abort_rotation(&rotation.id, false).await,
    };
    // The rotation's own refusals are part of its progress; any other error ends the request.
    let (refused, after) = match ended {
        Ok(_) => (None, Arc::new(tx.bundle().await?)),
        Err(
            error @ (StoreError::RotationBroken { .. }
            | StoreError::WouldDisarm { .. }
            | StoreError::RotationEnded),
        ) => (Some(error), Arc::clone(&before)),
        Err(error) => return Err(error),
    };
    Ok(TriedEnd {
        trial: Trial {
            before,
            after,
            tokens: None,
        },
        problems,
        refused,
    })
}
