//! The variables that lead a tool to the forwarder.

/// What they are made of.
pub(super) enum Leads {
    /// To the forwarder as the server: its URL up to the server's own path, and that path.
    BaseUrl {
        origin: String,
        path: String,
        /// Variables of the caller's choice.
        extra: Vec<String>,
        /// What stands for the API key, which the forwarder sets.
        key: Option<String>,
    },
    /// To a Unix socket, which no variable of theirs can name.
    Socket { socket: String, path: String },
    /// To the forwarder as the proxy: its URL, the files of the local CA, and the hosts.
    Proxy {
        url: String,
        bundle: String,
        extra_roots: String,
        hosts: Vec<String>,
    },
}

/// Where a tool finds the roots that it trusts instead of its own.
const BUNDLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "DENO_CERT",
];

/// What is on this machine needs no proxy.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The variables, with what `env` has so far of those that are lists.
pub(super) fn variables(
    leads: &Leads,
    env: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    match leads {
        Leads::BaseUrl {
            origin,
            path,
            extra,
            key,
        } => {
            let exact = format!("{origin}{path}");
            let mut all = vec![("COUNTERSIGN_CONNECT_URL".to_owned(), exact.clone())];
            all.extend(base_urls(&exact, path));
            all.extend(extra.iter().map(|name| (name.clone(), exact.clone())));
            if let Some(key) = key {
                all.push(("OPENAI_API_KEY".to_owned(), key.clone()));
            }
            // It is on this machine, whatever proxy leads out of it.
            let known = env("NO_PROXY")
                .or_else(|| env("no_proxy"))
                .unwrap_or_default();
            let missing = LOCAL
                .iter()
                .filter(|local| !known.split(',').any(|each| each.trim() == **local));
            let list: Vec<&str> = std::iter::once(known.as_str())
                .filter(|known| !known.is_empty())
                .chain(missing.copied())
                .collect();
            all.extend(both_cases("NO_PROXY", &list.join(",")));
            all
        }
        Leads::Socket { socket, path } => {
            let exact = format!("http://localhost{path}");
            let mut all = vec![("COUNTERSIGN_CONNECT_SOCKET".to_owned(), socket.clone())];
            all.extend(base_urls(&exact, path));
            all
        }
        Leads::Proxy {
            url,
            bundle,
            extra_roots,
            hosts,
        } => {
            let mut all = both_cases("HTTPS_PROXY", url).to_vec();
            let is_meant = |local: &&&str| {
                !hosts
                    .iter()
                    .any(|host| host.trim_matches(['[', ']']) == **local)
            };
            let local: Vec<&str> = LOCAL.iter().filter(is_meant).copied().collect();
            all.extend(both_cases("NO_PROXY", &local.join(",")));
            all.extend(BUNDLES.map(|name| (name.to_owned(), bundle.clone())));
            all.push(("NODE_EXTRA_CA_CERTS".to_owned(), extra_roots.clone()));
            // Without it, Node's own `fetch` knows no proxy.
            all.push(("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned()));
            all
        }
    }
}

/// The base URL of this API ends with its version.
fn base_urls(exact: &str, path: &str) -> [(String, String); 2] {
    let with_version = if path.is_empty() {
        format!("{exact}/v1")
    } else {
        exact.to_owned()
    };
    ["OPENAI_BASE_URL", "OPENAI_API_BASE"].map(|name| (name.to_owned(), with_version.clone()))
}

/// Some tools read one, some the other.
fn both_cases(name: &str, value: &str) -> [(String, String); 2] {
    [name.to_owned(), name.to_ascii_lowercase()].map(|name| (name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn all(leads: &Leads, no_proxy: Option<&str>) -> BTreeMap<String, String> {
        let env = |name: &str| (name == "NO_PROXY").then(|| no_proxy.map(str::to_owned))?;
        variables(leads, &env).into_iter().collect()
    }

    #[test]
    fn a_base_url_ends_with_a_version_and_is_reached_without_a_proxy() {
        let mut leads = Leads::BaseUrl {
            origin: "http://127.0.0.1:9000/t/token".to_owned(),
            path: String::new(),
            extra: vec!["LLM_URL".to_owned()],
            key: None,
        };
        let found = all(&leads, Some("internal, 127.0.0.1"));
        assert_eq!(found["OPENAI_BASE_URL"], "http://127.0.0.1:9000/t/token/v1");
        assert_eq!(found["LLM_URL"], "http://127.0.0.1:9000/t/token");
        assert_eq!(found["no_proxy"], "internal, 127.0.0.1,localhost,::1");
        assert!(!found.contains_key("OPENAI_API_KEY"));
        if let Leads::BaseUrl { path, key, .. } = &mut leads {
            *path = "/api/v2".to_owned();
            *key = Some("token".to_owned());
        }
        let found = all(&leads, None);
        assert_eq!(
            found["OPENAI_API_BASE"],
            "http://127.0.0.1:9000/t/token/api/v2"
        );
        assert_eq!(found["OPENAI_API_KEY"], "token");
        assert_eq!(found["NO_PROXY"], "localhost,127.0.0.1,::1");
    }

    #[test]
    fn a_proxy_comes_with_its_ca_and_leads_to_this_machine_only_if_that_is_meant() {
        let leads = |host: &str| Leads::Proxy {
            url: "http://connect:token@127.0.0.1:9000".to_owned(),
            bundle: "/bundle.pem".to_owned(),
            extra_roots: "/extra.pem".to_owned(),
            hosts: vec![host.to_owned()],
        };
        let found = all(&leads("api.example.com"), Some("api.example.com"));
        assert_eq!(found["https_proxy"], "http://connect:token@127.0.0.1:9000");
        assert_eq!(found["NO_PROXY"], "localhost,127.0.0.1,::1");
        assert_eq!(found["SSL_CERT_FILE"], "/bundle.pem");
        assert_eq!(found["NODE_EXTRA_CA_CERTS"], "/extra.pem");
        assert_eq!(
            all(&leads("[::1]"), None)["NO_PROXY"],
            "localhost,127.0.0.1"
        );
    }
}
