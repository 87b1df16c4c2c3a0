//! What a base URL should probably be.

/// The same URL with the other scheme.
pub(crate) fn other_scheme(url: &str) -> Option<String> {
    let swapped = url
        .strip_prefix("http://")
        .map(|rest| format!("https://{rest}"));
    swapped.or_else(|| Some(format!("http://{}", url.strip_prefix("https://")?)))
}

/// What a base URL should be: every known server has this API under its version.
pub(crate) fn likely_base_url(url: &str) -> Option<String> {
    let url = url.trim_end_matches('/');
    let (origin, path) = split_origin(url)?;
    let is_version = |segment: &&str| {
        segment.strip_prefix('v').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    // There is only one version of this API.
    let likely = match segments.iter().position(is_version) {
        Some(0) | None => format!("{origin}/v1"),
        Some(at) => format!("{origin}/{}/v1", segments.get(..at)?.join("/")),
    };
    (likely != url).then_some(likely)
}

fn split_origin(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    let end = url
        .get(start..)?
        .find('/')
        .map_or(url.len(), |at| start + at);
    Some((url.get(..end)?, url.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_ends_with_the_version() {
        for (given, likely) in [
            ("http://127.0.0.1:8085", Some("http://127.0.0.1:8085/v1")),
            ("http://127.0.0.1:8085/", Some("http://127.0.0.1:8085/v1")),
            (
                "https://a.example/v1/organization",
                Some("https://a.example/v1"),
            ),
            (
                "https://a.example/api/v1/organization/certificates",
                Some("https://a.example/api/v1"),
            ),
            ("https://a.example/v1/v1", Some("https://a.example/v1")),
            (
                "https://a.example/organization",
                Some("https://a.example/v1"),
            ),
            ("https://a.example/v1", None),
            ("https://a.example/v1/", None),
            ("https://a.example/v2", Some("https://a.example/v1")),
            (
                "https://a.example/proxy/v2/x",
                Some("https://a.example/proxy/v1"),
            ),
        ] {
            assert_eq!(likely_base_url(given).as_deref(), likely, "{given}");
        }
    }

    #[test]
    fn a_scheme_is_swapped_and_nothing_else() {
        let swapped = |url| other_scheme(url).unwrap_or_default();
        assert_eq!(swapped("http://a:1/v1"), "https://a:1/v1");
        assert_eq!(swapped("https://a:1/v1"), "http://a:1/v1");
        assert_eq!(swapped("ftp://a"), "");
    }
}
