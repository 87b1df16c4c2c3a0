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
    names::Names,
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
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    broken: AllowBroken,
}

/// What is answered of refusals before it is asked.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Sure {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Proceed even if observed workloads will be refused; exit code 3 without it
    #[arg(long)]
    allow_refusals: bool,
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
    fn permit(self, effect: &Effect, names: &Names) -> CommandResult {
        let broken = &effect.breaks_assertions;
        if broken.is_empty() {
            return Ok(());
        }
        note(&preview::broken(broken, names));
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
        asked: (&str, Ask),
        output: Output,
    ) -> CommandResult<bool> {
        self.before_all(client, &[change], None, asked, output)
            .await
    }

    /// Looks at changes that are made together, and at what they may leave without a trust anchor.
    pub(super) async fn before_all(
        &self,
        client: &Client,
        changes: &[TrustChange],
        disarmed: Option<&Disarmed>,
        (question, when): (&str, Ask),
        output: Output,
    ) -> CommandResult<bool> {
        if self.preview {
            disarmed.into_iter().for_each(Disarmed::tell);
            let found = client.preview_changes(changes).await?.value;
            preview::show(client, &found, &found.effect, &[], output).await?;
            return Ok(false);
        }
        let foreseen = match foresee(client, changes).await {
            Err(failure) if self.answers.are_complete() => {
                self.answers.unknown(&failure.to_string());
                Foreseen::Nothing
            }
            Ok(Foreseen::Nothing) if !changes.is_empty() => {
                self.answers.unknown("this server cannot preview");
                Foreseen::Nothing
            }
            foreseen => foreseen?,
        };
        self.answers
            .permit(client, &foreseen, disarmed, (question, when))
            .await?;
        Ok(true)
    }
}

impl Answers {
    /// The client that makes the change.
    pub(super) fn client(&self, client: &Client) -> Client {
        self.broken.client(client)
    }

    /// What is answered of refusals.
    pub(super) const fn sure(&self) -> Sure {
        self.sure
    }

    /// Whether nothing will be asked.
    pub(super) const fn yes(&self) -> bool {
        self.sure.yes
    }

    /// Whether the change is made whatever it does to observed traffic.
    pub(super) const fn are_complete(&self) -> bool {
        self.sure.yes && self.sure.allow_refusals
    }

    /// Says why it is not known who would be refused, where refusals are allowed.
    pub(super) fn unknown(&self, why: &str) {
        if self.are_complete() {
            note(&format!("it is unknown who would be refused: {why}"));
        }
    }

    /// Lets a change be made, as far as it is known what it does.
    pub(super) async fn permit(
        &self,
        client: &Client,
        foreseen: &Foreseen,
        disarmed: Option<&Disarmed>,
        (question, when): (&str, Ask),
    ) -> CommandResult {
        let effect = foreseen.effect();
        let names = match effect {
            Some(effect) => preview::names(client, effect, &[]).await,
            None => Names::default(),
        };
        if let Some(effect) = effect {
            self.broken.permit(effect, &names)?;
        }
        disarmed.into_iter().for_each(Disarmed::tell);
        // Said, and never a reason to stop: elsewhere the change is enforced at once.
        if let Some(gateways) = effect.and_then(preview::not_enforced) {
            note(&gateways);
        }
        if let Some(tokens) = effect.and_then(preview::tokens) {
            note(&tokens);
        }
        if let Some(passing) = effect.and_then(|effect| preview::passing(effect, &names)) {
            note(&passing);
        }
        if let Some(disarmed) = disarmed {
            self.sure.permit_disarm(disarmed)?;
        }
        if matches!(foreseen, Foreseen::Hidden) {
            let unknown =
                "it is unknown who would be refused: this key may not read observed traffic";
            let instead = "use a key with the permission `api.mtls.read`";
            self.sure.permit_loss(unknown, instead)?;
            return self
                .sure
                .ask(question, "it is unknown who would be refused");
        }
        let refuses = effect.is_some_and(|effect| !effect.starts_to_fail.is_empty());
        let used = effect.and_then(recently_used);
        if let Some(effect) = effect.filter(|_| refuses || (used.is_some() && !self.sure.yes)) {
            note(&preview::warning(effect, used, &names));
        }
        if let Some(effect) = effect.filter(|_| refuses) {
            self.sure.permit_refusals(effect)?;
            return self.sure.ask(question, "this refuses observed traffic");
        }
        match used {
            Some(_) => self.sure.ask(question, "this affects observed traffic"),
            None if disarmed.is_some() => {
                let reason = "this may leave no trust anchor enforced";
                self.sure.ask(question, reason)
            }
            None if when == Ask::Always => self.sure.ask(question, "this cannot be undone"),
            None => Ok(()),
        }
    }
}

/// When what a change takes away was last used, if that is not long ago.
fn recently_used(effect: &Effect) -> Option<UnixSeconds> {
    let is_recent = |last: &UnixSeconds| effect.judged_at.saturating_sub(*last) <= RECENTLY;
    effect.last_used.filter(is_recent)
}

impl Sure {
    /// Lets something be lost that no preview names. Someone who is asked may allow it; a script must
    /// have said so.
    pub(super) fn permit_loss(self, what: &str, instead: &str) -> CommandResult {
        if self.allow_refusals || (!self.yes && can_ask()) {
            note(what);
            return Ok(());
        }
        Err(Failure::new(format_args!("{what}; nothing was changed"))
            .hint(format!("{instead}, or pass `--yes --allow-refusals`"))
            .with_exit(WOULD_REFUSE))
    }

    /// Someone who is asked may allow it; a script must have said so.
    fn permit_refusals(self, effect: &Effect) -> CommandResult {
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
    fn permit_disarm(self, disarmed: &Disarmed) -> CommandResult {
        if disarmed.is_allowed() || (!self.yes && can_ask()) {
            return Ok(());
        }
        Err(disarmed.refusal("pass `--yes --allow-disarm` to allow it"))
    }

    /// Asks, unless it was answered before.
    pub(super) fn ask(self, question: &str, reason: &str) -> CommandResult {
        if self.yes {
            return Ok(());
        }
        ask(question, reason)
    }
}

/// What changes would do, as far as the server can say: another server than Countersign cannot, nor
/// may every key ask.
pub(super) async fn foresee(client: &Client, changes: &[TrustChange]) -> CommandResult<Foreseen> {
    if changes.is_empty() {
        return Ok(Foreseen::Nothing);
    }
    let needed = if changes.iter().any(TrustChange::is_of_workload_identity) {
        extension::PREVIEW_WORKLOAD_IDENTITY
    } else {
        extension::PREVIEW_CHANGES
    };
    if !supports(client, needed).await? {
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
