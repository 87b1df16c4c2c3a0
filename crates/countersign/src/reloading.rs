//! What a running control plane takes up: a configuration when it is told to, a certificate by itself.

use std::{path::PathBuf, sync::Arc, time::Duration};

use countersign_server::{App, Warning, metrics::show_own_certificate};
use countersign_tls::{ReloadingServerConfig, roots_from_file};

use crate::{
    config::{Configuration, Layer, SETTINGS, Settings},
    failure::{CommandResult, Failure},
    logs,
    signals::{Asked, Requests, Signals},
    supervision,
};

/// How often the certificate's files are looked at.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(1);

/// The setting that is used as soon as it is reloaded.
const LOG_LEVEL: &str = "log.level";

/// Reads the certificate again when its files change, until the process ends.
pub(crate) async fn follow_certificate(
    tls: Arc<ReloadingServerConfig>,
    certificate: PathBuf,
    app: App,
) {
    let mut ticks = tokio::time::interval(CERTIFICATE_INTERVAL);
    loop {
        ticks.tick().await;
        let warning = Warning::TlsCertificateNotReloaded;
        match tls.reload_if_changed() {
            Ok(false) => {}
            Ok(true) => {
                app.set_warning(warning, false);
                show_own_certificate(&certificate);
                tracing::info!("TLS certificate reloaded");
            }
            Err(error) => {
                app.set_warning(warning, true);
                tracing::error!(%error, "cannot reload the TLS certificate; the old one stays in use");
            }
        }
    }
}

/// Takes up what an operator has changed, when a signal asks for it.
pub(crate) struct Reloading {
    pub(crate) requests: Requests,
    /// Reads the configuration again: file, variables and flags.
    pub(crate) reread: Box<dyn Fn() -> CommandResult<Configuration> + Send + Sync>,
    /// The values that are in use.
    pub(crate) used: Layer,
    pub(crate) level: logs::Level,
}

impl Reloading {
    pub(crate) async fn obey(self, signals: Signals, app: App) {
        let Self {
            requests,
            reread,
            used,
            level,
        } = self;
        let act = |asked| match asked {
            Asked::Reload => {
                supervision::reloading();
                reload(reread(), &used, &level, &app);
                supervision::ready();
            }
            // There is no log file: what is logged goes to standard error.
            Asked::Reopen => {}
        };
        signals.obey(requests, act).await;
    }
}

/// Takes up a configuration that was read again. The log level is used at once; what else has changed
/// waits for the next start, and the log says so. The certificate is followed in any case.
fn reload(
    configuration: CommandResult<Configuration>,
    used: &Layer,
    level: &logs::Level,
    app: &App,
) {
    // What it could not start with is not good either.
    let configuration = configuration.and_then(|configuration| {
        check_files(&configuration.settings).map_err(Failure::new)?;
        Ok(configuration)
    });
    let is_wrong = configuration.is_err();
    app.set_warning(Warning::ConfigurationNotReloaded, is_wrong);
    let configuration = match configuration {
        Ok(configuration) => configuration,
        Err(failure) => {
            let error = failure.message();
            tracing::error!(
                error,
                "cannot reload the configuration; the old one stays in use"
            );
            return;
        }
    };
    level.set(configuration.settings.log.level);
    for setting in SETTINGS.iter().filter(|setting| setting.key != LOG_LEVEL) {
        let value = |layer: &Layer| layer.get(setting.key).map(|given| given.value.clone());
        if value(used) != value(&configuration.values) {
            tracing::warn!(
                "`{}` has changed: it is used from the next start on",
                setting.key
            );
        }
    }
    tracing::info!("configuration reloaded");
}

/// Whether a control plane could start with these files.
fn check_files(settings: &Settings) -> Result<(), countersign_tls::Error> {
    if let Some(files) = &settings.serve.tls {
        files.check()?;
    }
    match &settings.webhooks.ca_file {
        Some(file) => roots_from_file(file).map(drop),
        None => Ok(()),
    }
}
