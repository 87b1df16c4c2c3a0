//! What to do about a failed call: the server's message cannot know the command line, nor how the
//! server was reached.

use countersign_client::{ApiError, Error, Unreachable};
use countersign_types::{api_key::Permission, error::ErrorCode};

use crate::{
    base_url::{likely_base_url, other_scheme},
    config::process_env,
    failure::Failure,
    files::{shell_exports, shell_quoted},
};

/// What says that plain HTTP came to a port that speaks TLS: here, in nginx, in Go.
const HTTP_TO_HTTPS: [&str; 2] = ["HTTPS port", "HTTP request to an HTTPS server"];

/// How a server of this kind begins to say that it has no such path.
const NO_SUCH_PATH: &str = "There is nothing at this path.";

/// The exit code of a change that assertions forbid.
const ASSERTION_FAILED: u8 = 3;
/// What to do about one.
pub(super) const BREAK_ANYWAY: &str = "delete the assertion if it is no longer meant, or pass `--allow-broken-assertions`; the audit log then names it";

/// Where the key comes from, unless a flag names a file.
const KEY: &str = "OPENAI_ADMIN_KEY";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = match &error {
            Error::Config(_) => Self::usage(&error),
            _ if error.code() == Some(ErrorCode::AssertionFailed) => {
                Self::new(&error).with_exit(ASSERTION_FAILED)
            }
            _ => Self::new(&error),
        };
        match advice(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn advice(error: &Error) -> Option<String> {
    match error {
        Error::Config(_) => Some("run `countersign doctor` to check the set-up".to_owned()),
        Error::Connection { origin, cause } => Some(unreachable(origin, cause)),
        Error::Timeout { origin, .. } => Some(format!(
            "see whether it is there: `curl -m 5 {origin}/healthz`; `--timeout` sets how long each attempt may take"
        )),
        Error::Decode { .. } => Some(
            "is that the URL of the API? its URL comes from `OPENAI_BASE_URL` or `--base-url`; `countersign doctor` tries others".to_owned(),
        ),
        Error::Api(refused) => of_refusal(refused),
        _ => None,
    }
}

/// A line that sets a variable, to be pasted.
pub(super) fn export(variable: &str, value: &str) -> String {
    shell_exports(&[(variable, value.to_owned())])
        .trim_end()
        .to_owned()
}

/// The base URL that a command was given, by its variable: a flag is not known here.
fn given_base_url(origin: &str) -> String {
    process_env("OPENAI_BASE_URL")
        .filter(|url| url.starts_with(origin))
        .unwrap_or_else(|| format!("{origin}/v1"))
}

fn swap_scheme(url: &str) -> Option<String> {
    let swapped = other_scheme(url)?;
    let swapped = likely_base_url(&swapped).unwrap_or(swapped);
    Some(format!("`{}`", export("OPENAI_BASE_URL", &swapped)))
}

fn unreachable(origin: &str, cause: &Unreachable) -> String {
    const STARTED: &str = "is the server running? its URL comes from `OPENAI_BASE_URL` or `--base-url`; `countersign dev` starts one here";
    match cause {
        Unreachable::NotTls | Unreachable::NotHttp | Unreachable::Closed => {
            swap_scheme(&given_base_url(origin)).unwrap_or_else(|| STARTED.to_owned())
        }
        Unreachable::UnknownHost => {
            let host = origin.rsplit("://").next().unwrap_or(origin);
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            format!(
                "is the name right? `getent hosts {}`; the URL comes from `OPENAI_BASE_URL` or `--base-url`",
                shell_quoted(host)
            )
        }
        Unreachable::UnknownIssuer => trust(origin),
        Unreachable::IssuerAsServer => {
            "give the server a certificate that its CA issued; one made with `openssl req -x509` needs `-addext basicConstraints=critical,CA:FALSE`".to_owned()
        }
        Unreachable::Expired | Unreachable::NotYetValid => format!(
            "if this machine's clock is right (`date -u`), the server needs another: `{}`",
            show_certificate(origin, "-dates")
        ),
        Unreachable::WrongName { names } => match (names.as_slice(), origin.split_once("://")) {
            ([name], Some((scheme, _))) if !name.contains('*') => {
                let port = origin.rsplit_once(':').map(|(_, port)| port);
                let port = port.filter(|port| port.parse::<u16>().is_ok());
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                format!(
                    "use the name that it is for: `{}`",
                    export("OPENAI_BASE_URL", &format!("{scheme}://{name}{port}/v1"))
                )
            }
            _ => "use a name that it is for in `OPENAI_BASE_URL`".to_owned(),
        },
        Unreachable::ClientCertificate(_) => {
            "give one that it accepts with `--client-certificate` and `--client-key`, or in `OPENAI_MTLS_CLIENT_CERT_FILE` and `OPENAI_MTLS_CLIENT_KEY_FILE`".to_owned()
        }
        _ => STARTED.to_owned(),
    }
}

/// How to trust the CA of a server.
fn trust(origin: &str) -> String {
    let name = "COUNTERSIGN_SERVER_CA";
    let given = match process_env(name) {
        Some(file) => format!("`{file}` (`{name}`) does not hold it"),
        None => "give the CA's file".to_owned(),
    };
    format!(
        "{given}: `export {name}=FILE` or `--server-ca FILE`; who issued it: `{}`",
        show_certificate(origin, "-issuer")
    )
}

fn show_certificate(origin: &str, what: &str) -> String {
    let authority = origin.rsplit("://").next().unwrap_or(origin);
    let address = if authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        authority.to_owned()
    } else {
        format!("{authority}:443")
    };
    format!("openssl s_client -connect {address} </dev/null | openssl x509 -noout {what}")
}

fn of_refusal(refused: &ApiError) -> Option<String> {
    let message = refused.message.as_str();
    if HTTP_TO_HTTPS.iter().any(|says| message.contains(says)) {
        return swap_scheme(refused.base_url.trim_end_matches('/'));
    }
    if matches!(refused.status, 404 | 405)
        && let Some(likely) = likely_base_url(&refused.base_url)
    {
        return Some(format!(
            "the base URL is `{}`; should it be this one? `{}`",
            refused.base_url,
            export("OPENAI_BASE_URL", &likely)
        ));
    }
    if message.starts_with(NO_SUCH_PATH)
        && let Some(origin) = origin_of(&refused.base_url)
        && refused.base_url.trim_end_matches('/') != format!("{origin}/v1")
    {
        return Some(format!(
            "the base URL is `{}`; should it be this one? `{}`",
            refused.base_url,
            export("OPENAI_BASE_URL", &format!("{origin}/v1"))
        ));
    }
    match refused.error_code() {
        Some(code) => of_code(code, message).map(str::to_owned),
        None if refused.status == 404 => Some(
            "what answers there is not this API; its URL comes from `OPENAI_BASE_URL` or `--base-url`".to_owned(),
        ),
        None => None,
    }
}

/// The scheme, host and port of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let start = url.find("://")? + 3;
    let end = url
        .get(start..)?
        .find('/')
        .map_or(url.len(), |at| start + at);
    url.get(..end)
}

/// Whether a key that was refused was given with quotes around it, as `dotenv` files and some shells
/// leave them.
fn is_quoted(key: &str) -> bool {
    key.trim().starts_with(['"', '\''])
}

fn of_code(code: ErrorCode, message: &str) -> Option<&'static str> {
    Some(match code {
        ErrorCode::InvalidApiKey if message.contains("kind of key") => {
            "this command takes an admin key; one is shown by `countersign organization create` and `countersign admin-key create`"
        }
        ErrorCode::InvalidApiKey if process_env(KEY).is_some_and(|key| is_quoted(&key)) => {
            "the key in `OPENAI_ADMIN_KEY` has quotes around it: set it without"
        }
        ErrorCode::InvalidApiKey => {
            "give an admin key of this server in `OPENAI_ADMIN_KEY` or with `--admin-key-file`"
        }
        ErrorCode::MissingScope if message.contains(Permission::Management.as_str()) => {
            "use another admin key; the operator makes one on the server's machine: `countersign organization create-key NAME --name KEY`"
        }
        ErrorCode::MissingScope => {
            "see which keys there are and what each may: `countersign admin-key list`"
        }
        ErrorCode::AssertionFailed => BREAK_ANYWAY,
        ErrorCode::CertificateRequired => {
            "give one with `--client-certificate` and `--client-key`, or in `OPENAI_MTLS_CLIENT_CERT_FILE` and `OPENAI_MTLS_CLIENT_KEY_FILE`"
        }
        ErrorCode::CertificateInUse => {
            "deactivate it first: `countersign certificate deactivate ID`, with `--project` for a project"
        }
        ErrorCode::MtlsCertificateInvalid => {
            "run `countersign certificate inspect FILE` to see what the file is"
        }
        _ => return None,
    })
}
