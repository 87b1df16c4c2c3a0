//! Completion in a shell: of commands, and of what a server has, such as certificates. Nobody waits
//! long for a suggestion: after a short time there are none.

use std::{any::TypeId, ffi::OsStr, time::Duration};

use clap::{Arg, Args, Command};
use clap_complete::{
    CompleteEnv, Shell,
    engine::{ArgValueCompleter, CompletionCandidate},
    env::Shells,
};
use countersign_client::Client;
use countersign_types::id::{
    ApiKeyId, AssertionId, CertificateId, DenialId, FederationRuleId, GatewayId, ProjectId,
    RotationId, ServiceAccountId, WebhookId, WorkloadIdentityProviderId,
};

use super::{
    api::{block_on, needed_project},
    audit_log::{About, EventType},
    noun::{ProjectClient, ProjectOptions, ProviderOptions},
    reference::{Directory, Entry, Identifier, Listing, Reference},
};
use crate::failure::{CommandResult, Doing, Failure};

/// The variable by which a shell asks for completions.
const VARIABLE: &str = "COUNTERSIGN_COMPLETE";
/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers a shell that asks for completions, and ends the process then.
pub(crate) fn if_asked(root: fn() -> Command) {
    CompleteEnv::with_factory(root).var(VARIABLE).complete();
}

/// The script that makes a shell ask.
pub(super) fn script(shell: Shell) -> CommandResult<Vec<u8>> {
    const PROGRAM: &str = "countersign";
    let shells = Shells::builtins();
    let name = shell.to_string();
    let completer = shells
        .completer(&name)
        .ok_or_else(|| Failure::usage(format_args!("there are no completions for `{name}`")))?;
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .doing("write the script")?;
    Ok(script)
}

/// The argument with what completes it, if that is known by its type.
pub(super) fn with_values(argument: Arg, noun: Option<&str>) -> Arg {
    let kind = argument.get_value_parser().type_id();
    let is = |id: TypeId| kind == id;
    let completer = if is(TypeId::of::<Reference<CertificateId>>()) {
        of_client::<CertificateId>()
    } else if is(TypeId::of::<Reference<ProjectId>>()) {
        of_client::<ProjectId>()
    } else if is(TypeId::of::<Reference<AssertionId>>()) {
        of_client::<AssertionId>()
    } else if is(TypeId::of::<Reference<DenialId>>()) {
        of_client::<DenialId>()
    } else if is(TypeId::of::<Reference<RotationId>>()) {
        of_client::<RotationId>()
    } else if is(TypeId::of::<Reference<WebhookId>>()) {
        of_client::<WebhookId>()
    } else if is(TypeId::of::<Reference<WorkloadIdentityProviderId>>()) {
        of_client::<WorkloadIdentityProviderId>()
    } else if is(TypeId::of::<Reference<FederationRuleId>>()) {
        of_provider()
    } else if is(TypeId::of::<Reference<GatewayId>>()) {
        of_client::<GatewayId>()
    } else if is(TypeId::of::<Reference<ServiceAccountId>>()) {
        of_project::<ServiceAccountId>()
    } else if is(TypeId::of::<Reference<ApiKeyId>>()) {
        match noun {
            Some("api-key") => of_project::<ApiKeyId>(),
            Some("admin-key") => of_client::<ApiKeyId>(),
            _ => return argument,
        }
    } else if is(TypeId::of::<About>()) {
        match argument.get_id().as_str() {
            "actor" => of_client::<ApiKeyId>(),
            _ => of_client::<CertificateId>(),
        }
    } else if is(TypeId::of::<EventType>()) {
        ArgValueCompleter::new(|current: &OsStr| {
            let all = EventType::all().map(|name| (name.to_owned(), None));
            beginning_with(current, all)
        })
    } else {
        return argument;
    };
    argument.add(completer)
}

fn of_client<I: Identifier>() -> ArgValueCompleter
where
    Client: Directory<I>,
{
    ArgValueCompleter::new(|current: &OsStr| {
        let read = in_time(async |options: ProjectOptions| options.client()?.entries().await);
        named(current, read)
    })
}

fn of_project<I: Identifier>() -> ArgValueCompleter
where
    ProjectClient: Directory<I>,
{
    ArgValueCompleter::new(|current: &OsStr| {
        let read = in_time(async |options: ProjectOptions| {
            let client = options.client()?;
            let project = needed_project(options.into_project())?;
            let project = project.resolve(&client).await?;
            ProjectClient { client, project }.entries().await
        });
        named(current, read)
    })
}

fn of_provider() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let read = in_time(async |options: ProviderOptions| {
            let on = options.resolve().await?;
            Directory::<FederationRuleId>::entries(&on).await
        });
        named(current, read)
    })
}

/// What a server has, if it says so in time.
fn in_time<I, O: Args>(read: impl AsyncFnOnce(O) -> CommandResult<Listing<I>>) -> Vec<Entry<I>> {
    let read = block_on(async {
        let read = tokio::time::timeout(PATIENCE, read(given_options()?)).await;
        read.unwrap_or(Ok(Listing::None))
    });
    read.map(Listing::known).unwrap_or_default()
}

/// The options that say where to look, as far as they are in the line that is completed.
fn given_options<O: Args>() -> CommandResult<O> {
    let root = O::augment_args(Command::new("countersign"));
    let line: Vec<String> = std::env::args_os()
        .skip_while(|word| word != "--")
        .filter_map(|word| word.into_string().ok())
        .collect();
    let mut words = vec!["countersign".to_owned()];
    for argument in root.get_arguments() {
        let Some(long) = argument.get_long() else {
            continue;
        };
        let flag = format!("--{long}");
        let place = line.iter().position(|word| *word == flag);
        let value = place.and_then(|place| line.get(place + 1));
        words.extend(value.map(|value| format!("{flag}={value}")));
    }
    let matches = root.try_get_matches_from(words).map_err(Failure::usage)?;
    O::from_arg_matches(&matches).map_err(Failure::usage)
}

/// Names, with the ids that they stand for; an id where there is no name, or one was begun.
fn named<I: Identifier>(current: &OsStr, entries: Vec<Entry<I>>) -> Vec<CompletionCandidate> {
    let by_id = current.to_str().is_some_and(|text| {
        let is_id = |entry: &Entry<I>| entry.id.as_ref().starts_with(text);
        text.len() > 2 && entries.iter().any(is_id)
    });
    let candidates = entries.into_iter().map(|entry| {
        let id = entry.id.as_ref().to_owned();
        match entry.name {
            Some(name) if !by_id && !name.contains(char::is_whitespace) => (name, Some(id)),
            name => (id, name),
        }
    });
    beginning_with(current, candidates)
}

fn beginning_with(
    current: &OsStr,
    candidates: impl Iterator<Item = (String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let begun = current.to_str().unwrap_or_default();
    candidates
        .filter(|(value, _)| value.starts_with(begun))
        .map(|(value, about)| CompletionCandidate::new(value).help(about.map(Into::into)))
        .collect()
}
