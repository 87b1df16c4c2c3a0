//! `countersign assertion`: which clients must pass, and which must be refused, whatever changes.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, builder::PossibleValuesParser};
use countersign_client::{ApiError, Client, Received};
use countersign_types::{
    assertion::{
        AssertedCode, Assertion, AssertionCreateRequest, AssertionResult, AssertionRun,
        AssertionUpdateRequest, DeletedAssertion, Expectation,
    },
    digest::Sha256,
    id::{AssertionId, ProjectId},
    observation::Der,
};
use countersign_verify::certificate::LeafSummary;

use super::{
    api::ListOptions,
    chain, find,
    names::{NamedRow, Names},
    noun::Verb,
    reference::{Reference, resolve_all},
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Cell, Output, Row, Tone, confirm, moment, note, printable, row, text_or_dash},
};

/// The exit code of `run` when an assertion does not hold.
const BROKEN: u8 = 3;
/// How many digits of a leaf's SHA-256 a name has that is made up.
const SHORT: usize = 12;
/// The most characters of a name that is made up.
const MAX_MADE_UP: usize = 200;

#[derive(Subcommand)]
pub(crate) enum AssertionVerb {
    /// Add an assertion; every change of trust that would break it is then refused
    Add(Add),
    /// List assertions
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show an assertion
    Retrieve {
        /// The assertion: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<AssertionId>,
        /// Print only its chain, in PEM
        #[arg(long)]
        pem: bool,
    },
    /// Change an assertion's name or reason; for another expectation, add another one
    Update {
        /// The assertion: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<AssertionId>,
        /// The new name
        #[arg(long, required_unless_present = "reason", value_parser = super::parse::name)]
        name: Option<String>,
        /// The new reason; empty for none
        #[arg(long)]
        reason: Option<String>,
    },
    /// Delete assertions
    Delete {
        /// The assertions: id or name
        #[arg(required = true, value_name = "ID|NAME")]
        ids: Vec<Reference<AssertionId>>,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Judge all assertions by what is in force now; exit code 3 if one does not hold
    Run,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("presents").args(["chain", "leaf", "no_certificate"]).required(true)))]
pub(crate) struct Add {
    /// The project whose keys it is about: id or name
    #[arg(
        long,
        value_name = "ID|NAME",
        required_unless_present = "organization",
        conflicts_with = "organization"
    )]
    project: Option<Reference<ProjectId>>,
    /// It is about the organization's admin keys
    #[arg(long)]
    organization: bool,
    /// PEM file of the client's chain, leaf first, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// The SHA-256 of a client certificate that gateways let through lately, with the chain that it came
    /// with; `certificate usage` shows it
    #[arg(long, value_name = "SHA256", value_parser = find::sha256)]
    leaf: Option<Sha256>,
    /// The client presents no certificate
    #[arg(long)]
    no_certificate: bool,
    /// What must happen: `permit` or `deny`
    #[arg(long, value_name = "EXPECTATION", value_parser = expectation)]
    expect: Expectation,
    /// The code that it must be refused with [default: any]
    #[arg(long, value_name = "CODE", value_parser = codes())]
    code: Option<String>,
    /// Its name, which no other assertion has [default: made from the leaf and the scope]
    #[arg(long, value_parser = super::parse::name)]
    name: Option<String>,
    /// Why it is added, for whoever is refused because of it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn expectation(text: &str) -> Result<Expectation, String> {
    text.parse()
        .map_err(|_| "an expectation is `permit` or `deny`".to_owned())
}

fn codes() -> PossibleValuesParser {
    PossibleValuesParser::new(AssertedCode::ALL.map(AssertedCode::as_str))
}

impl Verb<Client> for AssertionVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let assertions = client.assertions();
        match self {
            Self::Add(add) => add.run(client, output).await,
            Self::List { list } => {
                let entries = list.take(assertions.stream(&list.params())).await?;
                let names = at(client, &entries, output).await;
                output.list_of("assertions", &names.beside(entries))
            }
            Self::Retrieve { id, pem } => {
                let id = id.resolve(client).await?;
                let found = assertions.retrieve(&id).await?.value;
                if pem {
                    return output.text(&chain::pem(&found.chain));
                }
                show_one(client, found, output).await
            }
            Self::Update { id, name, reason } => {
                let id = id.resolve(client).await?;
                let change = AssertionUpdateRequest { name, reason };
                let updated = assertions.update(&id, &change).await?.value;
                show_one(client, updated, output).await
            }
            Self::Delete { ids, yes } => delete(client, &ids, yes, output).await,
            Self::Run => {
                let run = assertions.run().await?.value;
                show(client, &run, output).await
            }
        }
    }
}

impl Add {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let code = self.code.as_deref().and_then(|code| code.parse().ok());
        if self.expect == Expectation::Permit && code.is_some() {
            return Err(Failure::usage(
                "`--code` goes with `--expect deny`: a chain that passes has no code",
            ));
        }
        let chain = match (&self.chain, self.leaf) {
            (Some(file), _) => Some(chain::read(file)?),
            (None, Some(_)) => None,
            (None, None) => Some(Vec::new()),
        };
        let at = self.project.as_ref().map(ToString::to_string);
        let project_id = match &self.project {
            Some(project) => Some(project.resolve(client).await?),
            None => None,
        };
        let name = self
            .name
            .unwrap_or_else(|| made_up(chain.as_deref(), self.leaf, (self.expect, at.as_deref())));
        let request = AssertionCreateRequest {
            name,
            reason: self.reason,
            project_id,
            expect: self.expect,
            code,
            chain,
            leaf_sha256: self.leaf,
        };
        let added = match client.assertions().create(&request).await {
            Ok(added) => added.value,
            Err(error) if error.api().is_some_and(is_of_leaf) => {
                return Err(Failure::from(error).hint(
                    "`countersign certificate usage NAME` shows the clients that were let through; or give the chain: `--chain FILE`",
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let id = added.id.clone();
        show_one(client, added, output).await?;
        // Added all the same: what fulfils it may come later. A key that may not look is not told.
        if let Ok(run) = client.assertions().run().await {
            let mut results = run.value.results.iter();
            let own = results.find(|result| result.assertion_id == id);
            if let Some(broken) = own.filter(|result| !result.holds) {
                note(&format!("note: it does not hold now: {}", happens(broken)));
            }
        }
        Ok(())
    }
}

/// Whether no chain is known with this leaf.
fn is_of_leaf(refused: &ApiError) -> bool {
    refused.param.as_deref() == Some("leaf_sha256")
}

/// A name for an assertion without one: `CN=billing: permit at payments`.
fn made_up(
    chain: Option<&[Der]>,
    leaf: Option<Sha256>,
    (expect, at): (Expectation, Option<&str>),
) -> String {
    let presented = chain.and_then(|chain| chain.first());
    let who = match presented.map(|Der(der)| LeafSummary::of(der)) {
        None => match leaf.map(|leaf| leaf.to_string()) {
            Some(sha256) => format!("leaf {}", sha256.get(..SHORT).unwrap_or(&sha256)),
            None => "no certificate".to_owned(),
        },
        Some(leaf) if leaf.subject.is_empty() => leaf.names.into_iter().next().unwrap_or_default(),
        Some(leaf) => leaf.subject,
    };
    let at = at.unwrap_or("the organization");
    let name = format!("{who}: {} at {at}", expect.as_str());
    printable(&name).chars().take(MAX_MADE_UP).collect()
}

/// What happens to an assertion's chain, in words.
fn happens(result: &AssertionResult) -> String {
    match &result.verdict_code {
        Some(code) => format!("the chain is refused with `{code}`: {}", result.why),
        None => format!("the chain passes: {}", result.why),
    }
}

/// The names of the projects that assertions are about, where there are any and people read them.
async fn at(client: &Client, all: &[Received<Assertion>], output: Output) -> Names {
    if output.is_table() && all.iter().any(|each| each.project_id.is_some()) {
        return Names::of_projects(client).await;
    }
    Names::default()
}

async fn show_one(client: &Client, one: Received<Assertion>, output: Output) -> CommandResult {
    let names = at(client, std::slice::from_ref(&one), output).await;
    output.one(&names.named(one))
}

/// An assertion that does not hold, or would not, in one line.
pub(super) fn broken(result: &AssertionResult, names: &Names) -> String {
    format!(
        "`{}` ({} at {}): {}",
        printable(&result.name),
        expected(&result.expect.to_string(), result.code.as_ref()),
        printable(names.scope(result.project_id.as_ref())),
        printable(&names.within(&happens(result))),
    )
}

/// The outcome of a run, and a warning of those that say nothing any more.
async fn show(client: &Client, run: &Received<AssertionRun>, output: Output) -> CommandResult {
    if output.is_table() {
        if run.results.is_empty() {
            note("there are no assertions; `countersign assertion add` makes one");
            return Ok(());
        }
        let names = Names::of_trust(client, output).await;
        output.list(&names.beside(&run.results))?;
    } else {
        output.value(run)?;
    }
    let expired = run.results.iter().filter(|result| result.leaf_expired);
    for result in expired {
        note(&format!(
            "warning: the leaf of `{}` is outside its validity, so it is refused whatever is trusted; add a current chain and delete this assertion",
            result.name
        ));
    }
    let broken = run.results.iter().filter(|result| !result.holds).count();
    if run.holds {
        return Ok(());
    }
    let message = format!("{broken} of {} assertions do not hold", run.results.len());
    Err(Failure::new(message).with_exit(BROKEN))
}

/// Deletes one after another. Those deleted before an error are still listed.
async fn delete(
    client: &Client,
    given: &[Reference<AssertionId>],
    yes: bool,
    output: Output,
) -> CommandResult {
    let names: Vec<String> = given.iter().map(ToString::to_string).collect();
    let question = format!(
        "delete {}? changes of trust are judged by it no more",
        names.join(", ")
    );
    confirm(&question, yes)?;
    let mut deleted = Vec::new();
    for id in resolve_all(given, client).await? {
        match client.assertions().delete(&id).await {
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

/// `deny`, or `deny: certificate_required`.
fn expected(expect: &str, code: Option<&impl ToString>) -> String {
    match code {
        Some(code) => format!("{expect}: {}", code.to_string()),
        None => expect.to_owned(),
    }
}

impl NamedRow for Assertion {
    const HEAD: &'static [&'static str] =
        &["name", "id", "at", "expect", "leaf", "reason", "created"];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let leaf = self.chain.first().map(|Der(der)| LeafSummary::of(der));
        let leaf = leaf.map(|leaf| leaf.subject);
        row![
            self.name.clone(),
            self.id.to_string(),
            names.scope(self.project_id.as_ref()),
            expected(&self.expect.to_string(), self.code.as_ref()),
            leaf.unwrap_or_else(|| "no certificate".to_owned()),
            text_or_dash(self.reason.as_deref()),
            moment(self.created_at),
        ]
    }
}

impl NamedRow for AssertionResult {
    const HEAD: &'static [&'static str] = &["holds", "name", "at", "expect", "verdict", "why"];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let holds = match (self.holds, self.leaf_expired) {
            (true, false) => Cell::State(Tone::Good, "yes".to_owned()),
            (true, true) => Cell::State(Tone::Warning, "leaf expired".to_owned()),
            (false, _) => Cell::State(Tone::Bad, "no".to_owned()),
        };
        row![
            holds,
            self.name.clone(),
            names.scope(self.project_id.as_ref()),
            expected(&self.expect.to_string(), self.code.as_ref()),
            expected(&self.verdict.to_string(), self.verdict_code.as_ref()),
            names.within(&self.why),
        ]
    }
}

impl Row for DeletedAssertion {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
