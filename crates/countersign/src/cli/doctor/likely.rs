//! Tries what was probably meant, where a server does not answer as the API: the base URL with its
//! version, with the other scheme, and the CA of a `dev` that runs beside.

use std::path::{Path, PathBuf};

use countersign_client::{Client, Error, ListParams, Unreachable};
use countersign_types::{certificate::Scope, error::ErrorCode};

use crate::{
    base_url::{likely_base_url, other_scheme},
    cli::{api::ApiOptions, api_failure::export},
};

/// Where `dev` keeps its files unless told otherwise.
const DEV: &str = "countersign-data";

/// What to do: the line that makes the client reach the API, if one of those that are likely does.
pub(super) async fn fix(api: &ApiOptions, error: &Error) -> Option<String> {
    let given = api.base_url();
    let given = given.trim_end_matches('/');
    for url in candidates(given) {
        if reaches(api, &url, None).await {
            return Some(tried(&export("OPENAI_BASE_URL", &url)));
        }
    }
    let untrusted = matches!(
        error,
        Error::Connection {
            cause: Unreachable::UnknownIssuer,
            ..
        }
    );
    if untrusted {
        for file in [
            Path::new(DEV).join("server-ca.pem"),
            PathBuf::from("ca.pem"),
        ] {
            if file.is_file() && reaches(api, given, Some(&file)).await {
                let file = file.canonicalize().unwrap_or(file);
                let line = export("COUNTERSIGN_SERVER_CA", &file.display().to_string());
                return Some(tried(&line));
            }
        }
    }
    None
}

fn tried(line: &str) -> String {
    format!("this was tried, and the API answers: `{line}`")
}

/// Other base URLs than the given one, the most likely first.
fn candidates(given: &str) -> Vec<String> {
    let versioned = likely_base_url(given);
    let swapped = other_scheme(given);
    let both = swapped.as_deref().and_then(likely_base_url);
    [versioned, swapped, both].into_iter().flatten().collect()
}

async fn reaches(api: &ApiOptions, url: &str, ca: Option<&Path>) -> bool {
    match api.impatient_client_at(url, ca) {
        Ok(client) => is_the_api(&client).await,
        Err(_) => false,
    }
}

/// Whether the API answers, be it with a refusal.
async fn is_the_api(client: &Client) -> bool {
    let one = ListParams {
        limit: Some(1),
        ..ListParams::default()
    };
    match client.certificates().list(&Scope::Organization, &one).await {
        Ok(_) => true,
        Err(error) => matches!(
            error.code(),
            Some(
                ErrorCode::InvalidApiKey
                    | ErrorCode::MissingScope
                    | ErrorCode::CertificateRequired
                    | ErrorCode::InvalidCertificate
                    | ErrorCode::CertificateVerificationFailed
            )
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn the_version_is_tried_before_the_other_scheme() {
        assert_eq!(
            candidates("http://a:1"),
            ["http://a:1/v1", "https://a:1", "https://a:1/v1"]
        );
        assert_eq!(candidates("https://a/v1"), ["http://a/v1"]);
    }
}
