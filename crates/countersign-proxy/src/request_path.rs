//! Which path a request means. It is found once, before any matching, so that whoever matches it
//! and the upstream see the same path.

use http::{
    Request, Uri,
    uri::{PathAndQuery, Scheme},
};

use crate::request_target::MalformedRequest;

/// What becomes of an encoded slash (`%2f`), a backslash, and an encoded backslash (`%5c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// The request is refused.
    #[default]
    Reject,
    /// It becomes a slash.
    Unescape,
    /// It stays as it is, and is no slash here.
    Keep,
}

/// How a path is read. The names are Envoy's.
#[derive(Debug, Clone, Copy)]
pub struct PathRules {
    /// Whether dot segments are resolved, and not refused.
    pub normalize_path: bool,
    /// Whether `//` becomes `/`, and is not refused.
    pub merge_slashes: bool,
    /// What becomes of encoded slashes.
    pub escaped_slashes: EscapedSlashes,
}

impl Default for PathRules {
    fn default() -> Self {
        Self {
            normalize_path: false,
            merge_slashes: true,
            escaped_slashes: EscapedSlashes::Reject,
        }
    }
}

/// Gives a request the path that it means.
///
/// # Errors
/// When the path is one that two servers could read differently, and the rules do not say how.
pub fn settle_path<B>(request: &mut Request<B>, rules: PathRules) -> Result<(), MalformedRequest> {
    let Some(path) = meant(request.uri().path(), rules)? else {
        return Ok(());
    };
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let unreadable = MalformedRequest::Ambiguous("an unreadable path");
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| unreadable)?);
    if parts.authority.is_some() && parts.scheme.is_none() {
        parts.scheme = Some(Scheme::HTTPS);
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| unreadable)?;
    Ok(())
}

/// The path to match, without what follows `;` in its segments: some servers ignore that.
#[must_use]
pub fn without_parameters(path: &str) -> std::borrow::Cow<'_, str> {
    if !path.contains(';') {
        return path.into();
    }
    let name = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    let names: Vec<String> = path.split('/').map(name).collect();
    names.join("/").into()
}

/// The path that is meant, if it is another than this.
fn meant(path: &str, rules: PathRules) -> Result<Option<String>, MalformedRequest> {
    if is_plain(path) {
        return Ok(None);
    }
    let decoded = decode(path, rules.escaped_slashes)?;
    let merged = merge_slashes(decoded, rules.merge_slashes)?;
    let resolved = resolve_dots(merged, rules.normalize_path)?;
    Ok((resolved != path).then_some(resolved))
}

/// Whether a path means itself, as nearly all do: one pass, which is less than to look for each sign.
fn is_plain(path: &str) -> bool {
    let mut after_slash = false;
    for byte in path.bytes() {
        let is_special = match byte {
            b'%' | b'\\' => true,
            b'/' | b'.' => after_slash,
            _ => false,
        };
        if is_special {
            return false;
        }
        after_slash = byte == b'/';
    }
    true
}

/// Decodes what need not be encoded (RFC 3986 section 6.2.2.2), and treats encoded slashes.
fn decode(path: &str, slashes: EscapedSlashes) -> Result<String, MalformedRequest> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let length = if from.starts_with('\\') { 1 } else { 3 };
        let (written, after) = from
            .split_at_checked(length)
            .ok_or(MalformedRequest::Ambiguous(
                "an incomplete percent-encoding in the path",
            ))?;
        rest = after;
        let byte = match written.strip_prefix('%') {
            None => b'\\',
            Some(digits) => hex(digits)?,
        };
        match byte {
            0 => return Err(MalformedRequest::Ambiguous("`%00` in the path")),
            b'/' | b'\\' => match slashes {
                EscapedSlashes::Reject => {
                    return Err(MalformedRequest::Ambiguous(
                        "an encoded slash or a backslash in the path",
                    ));
                }
                EscapedSlashes::Unescape => decoded.push('/'),
                EscapedSlashes::Keep => decoded.push_str(written),
            },
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                decoded.push(char::from(byte));
            }
            _ => decoded.push_str(written),
        }
    }
    decoded.push_str(rest);
    Ok(decoded)
}

fn hex(digits: &str) -> Result<u8, MalformedRequest> {
    let malformed = MalformedRequest::Ambiguous("a malformed percent-encoding in the path");
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(malformed);
    }
    u8::from_str_radix(digits, 16).map_err(|_| malformed)
}

fn merge_slashes(path: String, merge: bool) -> Result<String, MalformedRequest> {
    if !path.contains("//") {
        return Ok(path);
    }
    if !merge {
        return Err(MalformedRequest::Ambiguous("`//` in the path"));
    }
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    Ok(merged)
}

/// Resolves dot segments (RFC 3986 section 5.2.4), or refuses them.
fn resolve_dots(path: String, resolve: bool) -> Result<String, MalformedRequest> {
    let is_dots = |name: &str| matches!(name, "." | "..");
    let name_of = |segment: &str| segment.split(';').next().map(str::to_owned);
    let dotted = |segment: &str| name_of(segment).is_some_and(|name| is_dots(&name));
    if !path.split('/').any(dotted) {
        return Ok(path);
    }
    if !resolve {
        return Err(MalformedRequest::Ambiguous("a dot segment in the path"));
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => {
                // Above the root, two servers could go to different places.
                kept.pop()
                    .ok_or(MalformedRequest::Ambiguous("a path above the root"))?;
            }
            _ if dotted(segment) => {
                return Err(MalformedRequest::Ambiguous(
                    "a dot segment with parameters in the path",
                ));
            }
            _ => kept.push(segment),
        }
        if segments.peek().is_none() && is_dots(segment) {
            kept.push("");
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(path: &str, rules: PathRules) -> Option<String> {
        let mut request = Request::get(path).body(()).unwrap();
        settle_path(&mut request, rules).ok()?;
        Some(request.uri().to_string())
    }

    #[test]
    fn one_path_is_meant_or_none() {
        let rules = PathRules::default();
        for (path, meant) in [
            ("/v1/echo?x=/../%2f", "/v1/echo?x=/../%2f"),
            ("/v1/a.b/.well-known/...", "/v1/a.b/.well-known/..."),
            ("/v1/%6frganization", "/v1/organization"),
            ("/v1//organization?a", "/v1/organization?a"),
            ("/caf%C3%A9/%20", "/caf%C3%A9/%20"),
            ("/v1/a;b=.", "/v1/a;b=."),
            ("/%252e%252e/", "/%252e%252e/"),
            ("https://a/v1/%7eme", "https://a/v1/~me"),
        ] {
            assert_eq!(settled(path, rules).as_deref(), Some(meant), "{path}");
        }
        for path in [
            "/v1/../internal",
            "/v1/%2e%2e/internal",
            "/v1/.%2E/internal",
            "/v1/..;/internal",
            "/v1/.",
            "/v1/..%2finternal",
            "/v1/a%5cb",
            "/v1\\b",
            "/v1/%00",
            "/v1/%",
            "/v1/%zz",
            "/v1/%+1",
        ] {
            assert_eq!(settled(path, rules), None, "{path}");
        }
    }

    #[test]
    fn the_settings_say_what_is_done_instead() {
        let rules = PathRules {
            normalize_path: true,
            merge_slashes: false,
            escaped_slashes: EscapedSlashes::Unescape,
        };
        for (path, meant) in [
            ("/v1/./a/%2e%2e/b", Some("/v1/b")),
            ("/v1/a/..", Some("/v1/")),
            ("/v1/a%2F..%5cb", Some("/v1/b")),
            ("/../a", None),
            ("/a/..;x/b", None),
            ("/v1//a", None),
            ("/v1/%2fa", None),
        ] {
            assert_eq!(settled(path, rules).as_deref(), meant, "{path}");
        }
        let rules = PathRules {
            escaped_slashes: EscapedSlashes::Keep,
            ..rules
        };
        let kept = settled("/v1/meta%2fllama", rules);
        assert_eq!(kept.as_deref(), Some("/v1/meta%2fllama"));
    }

    #[test]
    fn parameters_do_not_hide_a_segment() {
        let path = "/v1/organization;x=1/certificates;y";
        assert_eq!(without_parameters(path), "/v1/organization/certificates");
    }
}
