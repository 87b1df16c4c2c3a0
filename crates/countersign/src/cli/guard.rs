//! The guard before every change that can refuse observed traffic: it says who would be refused, and
//! asks. In a script, where nobody can be asked, flags answer.

use clap::Args;
use countersign_client::Client;
use countersign_types::{
    UnixSeconds, extension,
    preview::{Effect, TrustChange},
};

use super::{
    api_failure::BREAK_ANYWAY,
    disarm::Disarmed,
    preview::{self, WOULD_REFUSE},
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Output, ask, can_ask, note},
};

/// What was used within this many seconds is not taken away without asking: 7 days.
const RECENTLY: UnixSeconds = 7 * 24 * 60 * 60;

#[derive(Debug, Clone, Args)]
pub(super) struct Guard {
    /// Change nothing; show which workloads would be refused or would pass. Exit code 3 if any would be refused
    #[arg(long, conflicts_with_all = ["yes", "allow_refusals", "allow_broken_assertions"])]
    preview: bool,
    #[command(flatten)]
    answers: Answers,
}

/// What is answered before it is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct Answers {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Proceed even if observed workloads will be refused; exit code 3 without it
    #[arg(long)]
    allow_refusals: bool,
    #[command(flatten)]
    broken: AllowBroken,
}

/// Whether a change may break assertions.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct AllowBroken {
    /// Proceed even if assertions will no longer hold; exit code 3 without it
    #[arg(long)]
    allow_broken_assertions: bool,
}

impl AllowBroken {
    /// The client that makes the change.
    pub(super) fn client(self, client: &Client) -> Client {
        if self.allow_broken_assertions {
            return client.allowing_broken_assertions();
        }
        client.clone()
    }

    /// Names the assertions that a change would break, and refuses it unless that is allowed. Nobody
    /// is asked: whoever added one said that it must hold.
    fn permit(self, effect: &Effect) -> CommandResult {
        let broken = &effect.breaks_assertions;
        if broken.is_empty() {
            return Ok(());
        }
        note(&preview::broken(broken));
        if self.allow_broken_assertions {
            return Ok(());
        }
        let count = preview::assertions(broken.len());
        let message = format!("{count} would no longer hold; nothing was changed");
        Err(Failure::new(message)
            .hint(BREAK_ANYWAY)
            .with_exit(WOULD_REFUSE))
    }
}

/// What is known of a change before it is made.
pub(super) enum Foreseen {
    /// What it would do to observed traffic and to assertions.
    Effect(Box<Effect>),
    /// Nothing: the server cannot say, or it does nothing to either.
    Nothing,
    /// The server could say, and this key may not know.
    Hidden,
}

impl Foreseen {
    pub(super) fn effect(&self) -> Option<&Effect> {
        match self {
            Self::Effect(effect) => Some(effect),
            Self::Nothing | Self::Hidden => None,
        }
    }
}

/// When to ask although nobody is known to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Always: the change cannot be undone.
    Always,
    /// If what it takes away was used recently.
    IfUsed,
}

impl Guard {
    /// Whether nothing is to be changed.
    pub(super) const fn is_preview(&self) -> bool {
        self.preview
    }

    pub(super) const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The client that makes the change.
    pub(super) fn client(&self, client: &Client) -> Client {
        self.answers.client(client)
    }

    /// Looks at a change before it is made; whether it is to be made.
    pub(super) async fn before(
        &self,
        client: &Client,
        change: TrustChange,
        (question, when): (&str, Ask),
        output: Output,
    ) -> CommandResult<bool> {
        self.before_all(client, &[change], (question, when), output)
            .await
    }

    /// Looks at changes that are made together.
    pub(super) async fn before_all(
        &self,
        client: &Client,
        changes: &[TrustChange],
        (question, when): (&str, Ask),
        output: Output,
    ) -> CommandResult<bool> {
        if self.preview {
            let found = client.preview_changes(changes).await?.value;
            preview::show(&found, &found.effect, &[], output)?;
            return Ok(false);
        }
        let foreseen = match foresee(client, changes).await {
            Err(failure) if self.answers.are_complete() => {
                self.answers.unknown(&failure.to_string());
                return Ok(true);
            }
            foreseen => foreseen?,
        };
        if matches!(foreseen, Foreseen::Nothing) && !changes.is_empty() {
            self.answers.unknown("this server cannot preview");
        }
        self.answers.permit_foreseen(&foreseen, question, when)?;
        Ok(true)
    }
}

impl Answers {
    /// The client that makes the change.
    pub(super) fn client(&self, client: &Client) -> Client {
        self.broken.client(client)
    }

    /// Whether nothing will be asked.
    pub(super) const fn yes(&self) -> bool {
        self.yes
    }

    /// Whether the change is made whatever it does to observed traffic.
    pub(super) const fn are_complete(&self) -> bool {
        self.yes && self.allow_refusals
    }

    /// Says why it is not known who would be refused, where refusals are allowed.
    pub(super) fn unknown(&self, why: &str) {
        if self.are_complete() {
            note(&format!("it is unknown who would be refused: {why}"));
        }
    }

    /// Lets a change be made, as far as it is known what it does.
    pub(super) fn permit_foreseen(
        &self,
        foreseen: &Foreseen,
        question: &str,
        when: Ask,
    ) -> CommandResult {
        if !matches!(foreseen, Foreseen::Hidden) {
            return self.permit(foreseen.effect(), None, question, when);
        }
        let unknown = "it is unknown who would be refused: this key may not read observed traffic";
        self.permit_loss(unknown, "use a key with the permission `api.mtls.read`")?;
        self.ask(question, "it is unknown who would be refused")
    }

    /// Lets something be lost that no preview names. Someone who is asked may allow it; a script must
    /// have said so.
    pub(super) fn permit_loss(&self, what: &str, instead: &str) -> CommandResult {
        if self.allow_refusals || (!self.yes && can_ask()) {
            note(what);
            return Ok(());
        }
        Err(Failure::new(format_args!("{what}; nothing was changed"))
            .hint(format!("{instead}, or pass `--yes --allow-refusals`"))
            .with_exit(WOULD_REFUSE))
    }

    /// Lets a change be made whose effect is known, or cannot be.
    pub(super) fn permit(
        &self,
        effect: Option<&Effect>,
        disarmed: Option<&Disarmed>,
        question: &str,
        when: Ask,
    ) -> CommandResult {
        if let Some(effect) = effect {
            self.broken.permit(effect)?;
        }
        if let Some(disarmed) = disarmed {
            note(&disarmed.what);
        }
        if let Some(passing) = effect.and_then(preview::passing) {
            note(&passing);
        }
        if let Some(disarmed) = disarmed {
            self.permit_disarm(disarmed)?;
        }
        let used = effect.and_then(|effect| {
            let is_recent = |last: &UnixSeconds| effect.judged_at.saturating_sub(*last) <= RECENTLY;
            effect.last_used.filter(is_recent)
        });
        let refuses = effect.filter(|effect| !effect.starts_to_fail.is_empty());
        if let Some(effect) = refuses {
            note(&preview::warning(effect, used));
            self.permit_refusals(effect)?;
            return self.ask(question, "this refuses observed traffic");
        }
        match (effect, used) {
            (Some(effect), Some(_)) => {
                if !self.yes {
                    note(&preview::warning(effect, used));
                }
                self.ask(question, "this affects observed traffic")
            }
            _ if disarmed.is_some() => {
                self.ask(question, "this may leave no trust anchor enforced")
            }
            _ if when == Ask::Always => self.ask(question, "this cannot be undone"),
            _ => Ok(()),
        }
    }

    /// Someone who is asked may allow it; a script must have said so.
    fn permit_refusals(&self, effect: &Effect) -> CommandResult {
        if self.allow_refusals || (!self.yes && can_ask()) {
            return Ok(());
        }
        let count = preview::workloads(effect.starts_to_fail.len());
        let message = format!("{count} would be refused; nothing was changed");
        Err(Failure::new(message)
            .hint("pass `--yes --allow-refusals` to refuse them")
            .with_exit(WOULD_REFUSE))
    }

    /// Someone who is asked may allow it; a script must have said so.
    fn permit_disarm(&self, disarmed: &Disarmed) -> CommandResult {
        if disarmed.allowed || (!self.yes && can_ask()) {
            return Ok(());
        }
        let message = "no trust anchor would be enforced any more; nothing was changed";
        Err(Failure::new(message)
            .hint("pass `--yes --allow-disarm` to allow it")
            .with_exit(WOULD_REFUSE))
    }

    fn ask(&self, question: &str, reason: &str) -> CommandResult {
        if self.yes {
            return Ok(());
        }
        ask(question, reason)
    }
}

/// What changes would do, as far as the server can say: another server than Countersign cannot, nor
/// may every key ask.
pub(super) async fn foresee(client: &Client, changes: &[TrustChange]) -> CommandResult<Foreseen> {
    if changes.is_empty() || !supports(client, extension::PREVIEW_CHANGES).await? {
        return Ok(Foreseen::Nothing);
    }
    match client.preview_changes(changes).await {
        Ok(found) => Ok(Foreseen::Effect(Box::new(found.value.effect))),
        Err(error) if error.status() == Some(403) => Ok(Foreseen::Hidden),
        Err(error) => Err(error.into()),
    }
}

/// Whether the server has an extension. One that is not Countersign answers this question with an
/// error, and is then used without a preview.
pub(super) async fn supports(client: &Client, extension: &str) -> CommandResult<bool> {
    match client.countersign().extensions().await {
        Ok(known) => Ok(known.iter().any(|one| one == extension)),
        Err(error) if matches!(error.status(), Some(400..=499)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
