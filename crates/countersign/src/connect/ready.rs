//! What is said of a forwarder that is ready.

use std::{fmt::Write as _, path::Path, sync::Arc};

use countersign_connect::{Server, Token};

use super::{
    ca_files::CaFiles,
    entrance::Address,
    host_flags::Base,
    identity::Identity,
    variables::{Leads, variables},
};
use crate::{
    config::process_env,
    failure::{CommandResult, Doing},
    files::{remove_if_exists, shell_exports, shell_quoted, write_private},
    output::is_terminal,
};

/// A forwarder that is ready.
pub(super) struct Ready {
    pub(super) base: Base,
    pub(super) opened: Vec<Arc<Server>>,
    pub(super) address: Address,
    pub(super) token: Option<Token>,
    pub(super) ca: Option<CaFiles>,
    /// Whether it sets the API key.
    pub(super) sets_key: bool,
    /// More variables for the base URL.
    pub(super) extra: Vec<String>,
}

impl Ready {
    /// The variables that lead a tool here.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        variables(&self.leads(), &process_env)
    }

    fn leads(&self) -> Leads {
        let path = self.base.path.clone();
        let address = match &self.address {
            Address::Port(address) => address,
            Address::Unix(socket) => {
                let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
                return Leads::Socket {
                    socket: socket.display().to_string(),
                    path,
                };
            }
        };
        let token = self.token.as_ref();
        match &self.ca {
            None => Leads::BaseUrl {
                origin: format!(
                    "http://{address}{}",
                    token.map(Token::path_prefix).unwrap_or_default()
                ),
                path,
                extra: self.extra.clone(),
                // Some key must be there, and the real one is none of the tool's business.
                key: self.sets_key.then(|| {
                    token.map_or_else(|| "unused".to_owned(), |token| token.reveal().to_owned())
                }),
            },
            Some(ca) => {
                let user = token.map(|token| format!("{}@", token.user_info()));
                Leads::Proxy {
                    url: format!("http://{}{address}", user.unwrap_or_default()),
                    bundle: ca.bundle.display().to_string(),
                    extra_roots: ca.extra.display().to_string(),
                    hosts: self
                        .opened
                        .iter()
                        .map(|each| each.host().to_owned())
                        .collect(),
                }
            }
        }
    }

    /// Writes the variables to a file for a shell.
    pub(super) fn write(&self, file: Option<&Path>) -> CommandResult {
        match file {
            Some(file) => write_private(file, &self.exports()),
            None => Ok(()),
        }
    }

    /// Removes that file, which must not name a port that nobody listens on.
    pub(super) fn forget(&self, file: Option<&Path>) -> CommandResult {
        match file {
            Some(file) => remove_if_exists(file).doing(format_args!("remove `{}`", file.display())),
            None => Ok(()),
        }
    }

    fn exports(&self) -> String {
        let variables = self.variables();
        let pairs: Vec<(&str, String)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        shell_exports(&pairs)
    }

    /// What is printed: where it listens, whose certificate it sends, and how a tool is led here. The token is
    /// shown to a person alone; elsewhere it may end up in a log.
    pub(super) fn text(&self, identities: &[Identity], written: Option<&Path>) -> String {
        let place = match &self.address {
            Address::Port(address) => address.to_string(),
            Address::Unix(path) => path.display().to_string(),
        };
        let kind = if self.ca.is_some() {
            "a proxy"
        } else {
            "a server"
        };
        let mut text = format!("countersign connect is ready: {kind} at {place}\n");
        for identity in identities {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "it {}", identity.sentence());
        }
        if let Some(ca) = &self.ca {
            let certificate = ca.certificate.display();
            let _ = writeln!(text, "tools must trust its local CA: {certificate}");
        }
        if let Some(file) = written {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            let file = shell_quoted(&file.display().to_string());
            let _ = writeln!(text, "\n# in another terminal:\n. {file}");
        } else if self.token.is_some() && !is_terminal() {
            text += "# the token is not shown where there is no terminal; `--env-file FILE` writes what leads a tool here\n";
        } else {
            text += "\n# in another terminal:\n";
            text += &self.exports();
            if let (Address::Unix(path), None) = (&self.address, &self.ca) {
                let path = shell_quoted(&path.display().to_string());
                let _ = writeln!(
                    text,
                    "curl --unix-socket {path} \"$OPENAI_BASE_URL/models\""
                );
            }
        }
        text += "\n# stop with Ctrl-C\n";
        text
    }
}
