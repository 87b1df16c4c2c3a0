//! URIs in their normal form (RFC 3986 sections 6.2.2 and 6.2.3). Whatever text is given has one.

use std::net::Ipv6Addr;

/// The scheme of a URI (RFC 3986 section 3.1).
pub(super) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (begins && scheme.chars().all(known)).then_some(scheme)
}

/// The normal form. What is no URI keeps its text.
pub(super) fn normal(uri: &str) -> String {
    let uri = uri.trim();
    let Some(scheme) = scheme(uri) else {
        return uri.to_owned();
    };
    let rest = uri.get(scheme.len() + 1..).unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let Some(rest) = rest.strip_prefix("//") else {
        return format!("{scheme}:{}", opaque(&scheme, &unreserved(rest)));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let path = without_dots(&unreserved(path));
    let path = if path.is_empty() { "/" } else { &path };
    // Without its last dots, what was no port may be one.
    let once = normal_authority(&scheme, authority);
    let (authority, rest) = (normal_authority(&scheme, &once), unreserved(rest));
    format!("{scheme}://{authority}{path}{rest}")
}

/// What follows the scheme where there is no authority. A URN's namespace has no case (RFC 8141 section 3.1),
/// and neither have UUIDs (RFC 9562 section 4).
fn opaque(scheme: &str, rest: &str) -> String {
    match rest.split_once(':') {
        Some((namespace, name)) if scheme == "urn" => {
            let namespace = namespace.to_ascii_lowercase();
            let name = if namespace == "uuid" {
                name.to_ascii_lowercase()
            } else {
                name.to_owned()
            };
            format!("{namespace}:{name}")
        }
        _ => rest.to_owned(),
    }
}

fn normal_authority(scheme: &str, authority: &str) -> String {
    let authority = unreserved(authority);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), authority.as_str()),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port))
            if port.chars().all(|c| c.is_ascii_digit())
                && (host.ends_with(']') || !host.contains(':')) =>
        {
            (host, port)
        }
        _ => (host, ""),
    };
    let host = normal_host(host);
    let port = port.trim_start_matches('0');
    if port.is_empty() || Some(port) == usual_port(scheme) {
        format!("{user}{host}")
    } else {
        format!("{user}{host}:{port}")
    }
}

fn normal_host(host: &str) -> String {
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: Option<Ipv6Addr> = inside.and_then(|address| address.parse().ok());
    match address {
        Some(address) => format!("[{address}]"),
        None => host.trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn usual_port(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        "ldap" => "389",
        "ldaps" => "636",
        "ftp" => "21",
        "ssh" => "22",
        _ => return None,
    })
}

/// Decodes what needs no `%`, and writes the rest in capital digits.
fn unreserved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after
            .get(..2)
            .and_then(|two| u8::from_str_radix(two, 16).ok())
        {
            // `from_str_radix` takes a sign for a digit.
            Some(byte) if !after.starts_with('+') => {
                let c = char::from(byte);
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') {
                    out.push(c);
                } else {
                    out.push('%');
                    out.push_str(&after.get(..2).unwrap_or_default().to_ascii_uppercase());
                }
                rest = after.get(2..).unwrap_or_default();
            }
            // No character stands for itself after it, so that it could only be meant itself.
            _ => {
                out.push_str("%25");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A path without its dot segments (RFC 3986 section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    kept.iter().map(|segment| format!("/{segment}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equivalent_uris_have_one_form() {
        for (uri, expected) in [
            ("HTTP://Example.com:80", "http://example.com/"),
            ("http://example.com.:080/", "http://example.com/"),
            (
                "https://example.com:8443/%7Ea%2fB",
                "https://example.com:8443/~a%2FB",
            ),
            ("spiffe://TD/../a//b", "spiffe://td/a//b"),
            ("spiffe://td/a/", "spiffe://td/a/"),
            ("spiffe://td/a/.", "spiffe://td/a/"),
            (
                "https://u%41@[2001:DB8:0::1]:/?Q=%2a#F",
                "https://uA@[2001:db8::1]/?Q=%2A#F",
            ),
            ("URN:UUID:F81D4FAE-7DEC", "urn:uuid:f81d4fae-7dec"),
            ("urn:Example:A%62", "urn:example:Ab"),
            ("mailto:A@b", "mailto:A@b"),
            ("no scheme", "no scheme"),
            ("a://b/%zz%+1%", "a://b/%25zz%25+1%25"),
            ("a://:..", "a:///"),
            ("a://b:0..", "a://b/"),
        ] {
            assert_eq!(normal(uri), expected, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own(uri in "[a-z]{0,4}:?/{0,2}[a-zA-Z0-9%./@:?#\\[\\]-]{0,40}") {
            let once = normal(&uri);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
