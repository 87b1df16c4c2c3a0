//! The flags that give a CEL policy.

use std::path::{Path, PathBuf};

use clap::Args;

use super::input::read_text;
use crate::{
    failure::{CommandResult, Failure},
    files::shell_quoted,
};

#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyText {
    /// CEL policy that the verified client certificate must satisfy
    #[arg(long, value_name = "CEL", conflicts_with = "policy_file")]
    policy: Option<String>,
    /// File that holds the CEL policy, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    policy_file: Option<PathBuf>,
}

impl PolicyText {
    /// Reads the policy for a certificate, which is called so if there is one yet.
    pub(super) fn read(self, certificate: Option<&str>) -> CommandResult<Option<String>> {
        let policy = match (self.policy, self.policy_file) {
            (Some(text), _) => refuse_file(text)?,
            (None, Some(path)) => read_text(&path)?.trim_end().to_owned(),
            (None, None) => return Ok(None),
        };
        if policy.trim().is_empty() {
            let none = match certificate {
                Some(name) => format!(
                    "to have no policy: `countersign certificate set-policy {} --none`",
                    shell_quoted(name)
                ),
                None => "to have no policy, leave out the flag".to_owned(),
            };
            return Err(Failure::usage("the policy is empty").hint(none));
        }
        Ok(Some(policy))
    }
}

/// The name of a file is no policy, though it may look like one: `policy.cel` is a field of `policy`.
pub(super) fn refuse_file(text: String) -> CommandResult<String> {
    let name = text.strip_prefix('@').unwrap_or(&text);
    if name.is_empty() || !Path::new(name).is_file() {
        return Ok(text);
    }
    let failure = Failure::usage(format_args!("`{text}` is a file, not a policy"));
    Err(failure.hint(format!("pass `--policy-file {}`", shell_quoted(name))))
}
