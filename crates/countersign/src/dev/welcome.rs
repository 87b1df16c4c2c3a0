//! What `dev` says when it is ready: commands to paste that work as they stand.

use std::{env, path::Path};

use super::{Ready, Room};
use crate::files::shell_quoted;

/// The text: a shell comment for each thing to try, and the command.
pub(super) fn text(room: &Room, ready: &Ready) -> String {
    let env_file = shell_quoted(&room.env_file().display().to_string());
    let program = program();
    format!(
        "\
countersign dev is ready at {base_url}; its data is in {directory}

# in another terminal, first:
. {env_file}

# upload the dev CA, and look at it
{program} certificate upload \"$COUNTERSIGN_CLIENT_CA\" --name dev-ca
{program} certificate list -o table

# the same list with curl
curl -s \"$OPENAI_BASE_URL/organization/certificates\" -H \"Authorization: Bearer $OPENAI_ADMIN_KEY\"

# and with the OpenAI Python SDK (pip install openai)
python3 -c 'import openai; print(*openai.OpenAI().admin.organization.certificates.list(), sep=\"\\n\")'

# stop with Ctrl-C
",
        base_url = ready.base_url(),
        directory = room.path.display(),
    )
}

/// How a shell calls this program: by its name where that finds it, else by its path.
fn program() -> String {
    const NAME: &str = "countersign";
    let own = env::current_exe().unwrap_or_else(|_| NAME.into());
    let same = |directory: &Path| directory.join(NAME).canonicalize().ok() == Some(own.clone());
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|directory| same(&directory)) {
        return NAME.to_owned();
    }
    shell_quoted(&own.display().to_string())
}
