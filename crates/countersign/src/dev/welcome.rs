//! What `dev` prints when it is ready: commands that can be pasted as they are.

use std::{env, path::Path};

use super::{directory::DevDirectory, ready::Ready};
use crate::files::shell_quoted;

/// The text: for each thing to try, a shell comment and the command.
pub(super) fn text(directory: &DevDirectory, ready: &Ready<'_>) -> String {
    let quoted = |path: &Path| shell_quoted(&path.display().to_string());
    let env_file = quoted(&directory.env_file());
    let program = program();
    format!(
        "\
countersign dev is ready: the API at {base_url}, the gateway at {gateway_url},
data in {directory}

# in another terminal, first:
. {env_file}

# upload the dev CA and list it
{program} certificate upload \"$COUNTERSIGN_CLIENT_CA\" --name dev-ca
{program} certificate list -o table

# the same list with curl
curl -s \"$OPENAI_BASE_URL/organization/certificates\" -H \"Authorization: Bearer $OPENAI_ADMIN_KEY\"

# and with the OpenAI Python SDK (pip install openai)
python3 -c 'import openai; print(*openai.OpenAI().admin.organization.certificates.list(), sep=\"\\n\")'

# call the echo upstream through the gateway: no trust anchor is active, so the key is enough
call() {{ curl -s --cacert \"$COUNTERSIGN_SERVER_CA\" -H \"Authorization: Bearer $OPENAI_API_KEY\" \"$@\" \"$COUNTERSIGN_GATEWAY_URL/hello\"; echo; }}
call

# activate the dev CA for the project: a call without a certificate is refused, one with the right
# certificate is accepted, one with a certificate from another CA is refused
{program} certificate activate dev-ca --project dev --wait --yes --allow-refusals
call
call --cert \"$OPENAI_MTLS_CLIENT_CERT_FILE\" --key \"$OPENAI_MTLS_CLIENT_KEY_FILE\"
call --cert {untrusted} --key {untrusted_key}

# why was it refused? and what is enforced now?
{program} explain --last -o table
{program} status -o table

# deactivate it again: the key is enough
{program} certificate deactivate dev-ca --project dev --wait --yes --allow-disarm
call

# stop with Ctrl-C
",
        base_url = ready.base_url(),
        gateway_url = ready.gateway_url(),
        untrusted = quoted(&ready.identity.untrusted),
        untrusted_key = quoted(&ready.identity.untrusted_key),
        directory = directory.path.display(),
    )
}

/// The command that runs this program: its name if the shell finds it, else its path.
pub(super) fn program() -> String {
    const NAME: &str = "countersign";
    // Another program of that name may come first in the path.
    let own = env::current_exe().unwrap_or_else(|_| NAME.into());
    let same = |directory: &Path| directory.join(NAME).canonicalize().ok() == Some(own.clone());
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|directory| same(&directory)) {
        return NAME.to_owned();
    }
    shell_quoted(&own.display().to_string())
}
