//! What all nouns of the command line have in common: options that say where to look, and a verb.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use countersign_client::{Client, FederationRules};
use countersign_server::store::Store;
use countersign_types::id::{ProjectId, WorkloadIdentityProviderId};

use super::{
    api::{ApiOptions, block_on, needed_project},
    reference::Reference,
};
use crate::{
    config::Database,
    database::{self, DatabaseOptions},
    failure::{CommandResult, Failure},
    output::Output,
};

/// A noun and what is to be done with it.
#[derive(Args)]
pub(crate) struct Noun<V: Subcommand, O: Args = ApiOptions> {
    #[command(flatten)]
    options: O,
    #[command(subcommand)]
    verb: V,
}

/// The verbs of a noun, done on a `T`: a client, a project, a database.
pub(crate) trait Verb<T>: Subcommand {
    /// Does a verb that needs no `T`; gives back one that does.
    fn run_offline(self, _output: Output) -> ControlFlow<CommandResult, Self> {
        ControlFlow::Continue(self)
    }

    /// Does the verb.
    async fn run(self, on: &T, output: Output) -> CommandResult;
}

/// The verbs of a noun that the operator works with on the database itself.
pub(crate) trait OperatorVerb: Verb<Store> {
    /// Whether the verb creates a database where there is none. Others fail: an empty database
    /// would answer, but not with what the operator asked about.
    fn creates_database(&self) -> bool {
        false
    }
}

/// The options of a noun that belongs to a project.
#[derive(Args)]
pub(crate) struct ProjectOptions {
    /// The project: id or name [env: OPENAI_PROJECT_ID]
    #[arg(long, global = true, value_name = "ID|NAME")]
    project: Option<Reference<ProjectId>>,
    #[command(flatten)]
    api: ApiOptions,
}

impl ProjectOptions {
    /// The client that these options and the environment describe.
    pub(super) fn client(&self) -> CommandResult<Client> {
        self.api.client()
    }

    pub(super) fn into_project(self) -> Option<Reference<ProjectId>> {
        self.project
    }
}

/// A project of a server.
pub(crate) struct ProjectClient {
    pub(crate) client: Client,
    pub(crate) project: ProjectId,
}

/// The options of a noun that belongs to a provider.
#[derive(Args)]
pub(crate) struct ProviderOptions {
    /// The workload identity provider: id or name
    #[arg(long, global = true, value_name = "ID|NAME")]
    provider: Option<Reference<WorkloadIdentityProviderId>>,
    #[command(flatten)]
    api: ApiOptions,
}

impl ProviderOptions {
    /// The provider that is named, on the server that these options and the environment describe.
    pub(super) async fn resolve(&self) -> CommandResult<ProviderClient> {
        let Some(provider) = &self.provider else {
            let failure = Failure::usage("no workload identity provider given");
            return Err(failure.hint("pass `--provider ID|NAME`"));
        };
        let client = self.api.client()?;
        let provider = provider.resolve(&client).await?;
        Ok(ProviderClient { client, provider })
    }
}

/// A provider of a server.
pub(super) struct ProviderClient {
    pub(super) client: Client,
    pub(super) provider: WorkloadIdentityProviderId,
}

impl ProviderClient {
    pub(super) fn rules(&self) -> FederationRules {
        self.client.federation_rules(&self.provider)
    }
}

impl<V: Verb<Client>> Noun<V> {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        // Without this, checking a file would ask for a key that it has no use for.
        match self.verb.run_offline(output) {
            ControlFlow::Break(done) => done,
            ControlFlow::Continue(verb) => {
                let client = self.options.client()?;
                block_on(verb.run(&client, output))
            }
        }
    }
}

impl<V: Verb<ProjectClient>> Noun<V, ProjectOptions> {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let project = needed_project(self.options.project)?;
        let client = self.options.api.client()?;
        block_on(async {
            let project = project.resolve(&client).await?;
            self.verb
                .run(&ProjectClient { client, project }, output)
                .await
        })
    }
}

impl<V: OperatorVerb> Noun<V, DatabaseOptions> {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let settings = self.options.configuration(Vec::new())?.settings;
        let database = settings.database.resolve()?;
        if let Database::Sqlite(directory) = &database
            && !self.verb.creates_database()
            && !database::exists_in(directory)
        {
            if directory.is_file() {
                return Err(Failure::new(format_args!(
                    "`{}` is a file, not a data directory",
                    directory.display()
                ))
                .hint("give the directory that it is in with `--data-dir`"));
            }
            return Err(Failure::new(format_args!(
                "there is no database in `{}`",
                directory.display()
            ))
            .hint(
                "point `--data-dir` at the server's data directory, or `--database-url-file` at its PostgreSQL URL",
            ));
        }
        block_on(async {
            let store = database::open(&database)
                .await?
                .with_quotas(settings.quotas);
            self.verb.run(&store, output).await
        })
    }
}
