//! `docs/gateway-settings.md` is made of the types beside: their names, comments and defaults.
//! `UPDATE_PAGES=1` writes it anew.

use std::fmt::Write as _;

use super::GatewayOptions;

const SOURCE: &str = concat!(
    include_str!("../options.rs"),
    include_str!("decisions.rs"),
    include_str!("log.rs"),
    include_str!("receipts.rs"),
    include_str!("route.rs"),
    include_str!("token_exchange.rs")
);
const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/gateway-settings.md"
);

/// The sections of the file, by the types that they are read into, and how each begins.
const SECTIONS: [(&str, &str, &str); 8] = [
    (
        "GatewayOptions",
        "At the top of the file",
        "the whole gateway",
    ),
    (
        "Route",
        "`[[routes]]`",
        "once for each route; the first that matches is used",
    ),
    (
        "Decisions",
        "`[[decisions]]`",
        "once for each listener where another proxy asks ([decision-service.md](decision-service.md))",
    ),
    (
        "Log",
        "`[log]`",
        "the program's own log; `--log-format` and `--log-level` win over `COUNTERSIGN_LOG_FORMAT` and \
         `COUNTERSIGN_LOG_LEVEL`, and these over the file",
    ),
    (
        "Paths",
        "`[paths]`",
        "how paths are read, with Envoy's names",
    ),
    (
        "ForwardedHeaders",
        "`[forwarded_headers]`",
        "what upstreams are told of the client's connection",
    ),
    (
        "TokenExchange",
        "`[token_exchange]`",
        "exchanging client certificates for tokens",
    ),
    (
        "Limits",
        "`[limits]`",
        "what clients and upstreams may take",
    ),
];

/// A setting, as the source has it.
struct Field {
    name: String,
    kind: String,
    about: String,
    optional: bool,
}

/// What stands between the braces of a type.
fn body(name: &str) -> &'static str {
    let heads = [
        format!("pub struct {name} {{\n"),
        format!("pub enum {name} {{\n"),
    ];
    let found = heads
        .iter()
        .find_map(|head| SOURCE.split_once(head.as_str()));
    let (_, rest) = found.unwrap_or_else(|| panic!("no type `{name}`"));
    rest.split_once("\n}\n").unwrap().0
}

/// The comment, the attributes and the declaration of each line of a type.
fn entries(name: &str) -> Vec<(String, String, String)> {
    let (mut about, mut attributes, mut found) = (Vec::new(), String::new(), Vec::new());
    for line in body(name).lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            about.push(comment.trim());
        } else if line.starts_with("#[") {
            attributes += line;
        } else if !line.is_empty() {
            found.push((
                about.join(" "),
                attributes.clone(),
                line.trim_end_matches(',').to_owned(),
            ));
            about.clear();
            attributes.clear();
        }
    }
    found
}

fn fields(name: &str) -> Vec<Field> {
    let (before, _) = SOURCE.split_once(&format!("pub struct {name} {{")).unwrap();
    let head = before.rsplit("///").next().unwrap();
    let all_optional = head.contains("deny_unknown_fields, default");
    entries(name)
        .into_iter()
        .map(|(about, attributes, declared)| {
            let (name, kind) = declared.split_once(": ").unwrap();
            Field {
                name: name.trim_start_matches("pub ").to_owned(),
                kind: kind.to_owned(),
                about,
                optional: all_optional || attributes.contains("default"),
            }
        })
        .collect()
}

/// `CreateSampled` as it stands in the file: `create_sampled`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// What a variant of an enum looks like in the file.
fn variant(declared: &str) -> String {
    match declared.split_once('(') {
        None => format!("`\"{}\"`", snake(declared)),
        Some((_, "ProxyCertificate)")) => {
            "`{ client_certificate = { ca = \"FILE\", names = [\"NAME\"] } }`".to_owned()
        }
        Some((_, "ProxySecret)")) => {
            "`{ secret = { file = \"FILE\", header = \"NAME\" } }`".to_owned()
        }
        Some((name, "Vec<u32>)")) => format!("`{{ {} = [UID] }}`", snake(name)),
        Some((name, "PathBuf)")) => format!("`{{ {} = \"FILE\" }}`", snake(name)),
        Some((name, _)) => format!("`{{ {} = \"proj_…\" }}`", snake(name)),
    }
}

/// A type in words.
fn words(kind: &str) -> String {
    let inner = kind
        .strip_prefix("Option<")
        .map_or(kind, |rest| rest.trim_end_matches('>'));
    match inner {
        "bool" => "`true` or `false`".to_owned(),
        "usize" | "u32" | "u64" => "whole number".to_owned(),
        "Duration" => "seconds".to_owned(),
        "String" => "text".to_owned(),
        "PathBuf" => "path".to_owned(),
        "SocketAddr" => "IP address and port".to_owned(),
        "Vec<String>" => "URL, or a list of URLs".to_owned(),
        "Vec<IpNet>" => "list of addresses and networks".to_owned(),
        "DecisionAddress" => "IP address and port, or `unix:` and a path".to_owned(),
        "HostNames" => "list of host names".to_owned(),
        "Vec<Route>" | "Vec<Decisions>" | "Log" | "Paths" | "Limits" | "ForwardedHeaders"
        | "TokenExchange" => "section, below".to_owned(),
        map if map.contains("BTreeMap") => "table of names and values".to_owned(),
        list if list.starts_with("Vec<") => {
            let of = list.trim_start_matches("Vec<").trim_end_matches('>');
            format!("list of {}", choices(of))
        }
        choice => choices(choice),
    }
}

fn choices(name: &str) -> String {
    let variants: Vec<String> = entries(name)
        .iter()
        .map(|(.., declared)| variant(declared))
        .collect();
    variants.join(", ")
}

/// The defaults, as the types themselves have them: read from the least that a file may say.
fn defaults() -> String {
    let least = serde_json::json!({
        "listen": "127.0.0.1:1", "certificate": "-", "private_key": "-", "control_plane": "-",
        "key_file": "-", "data_dir": "-", "routes": [{"upstream": "-"}],
        "decisions": [{"listen": "127.0.0.1:1", "protocol": "auth_request", "certificate": "alb"}],
    });
    let options: GatewayOptions = serde_json::from_value(least).unwrap();
    format!("{options:#?}")
}

/// The default of a setting in a section, as it would stand in the file.
fn default(all: &str, section: &str, field: &Field) -> String {
    if !field.optional {
        return "required".to_owned();
    }
    let (_, within) = all.split_once(&format!("{section} {{")).unwrap();
    let start = format!("\n{}{}: ", " ".repeat(indentation(within)), field.name);
    let (_, rest) = within.split_once(&start).unwrap();
    let value: Vec<&str> = rest.lines().take(1).collect();
    let value = value.concat();
    if value.ends_with(['[', '(']) && !value.ends_with("{") {
        let lines: Vec<&str> = rest
            .lines()
            .skip(1)
            .map(str::trim)
            .take_while(|line| !matches!(*line, "]," | "),"))
            .collect();
        let inner: Vec<String> = lines
            .iter()
            .map(|line| shown(line.trim_end_matches(',')))
            .collect();
        let inner = inner.join(", ");
        return match value.as_str() {
            "Some(" => format!("`{inner}`"),
            _ => format!("`[{inner}]`"),
        };
    }
    match shown(value.trim_end_matches(',')).as_str() {
        "" | "{}" | "Log {" | "Paths {" | "Limits {" | "ForwardedHeaders {" => String::new(),
        shown => format!("`{shown}`"),
    }
}

fn indentation(within: &str) -> usize {
    let line = within.lines().nth(1).unwrap();
    line.len() - line.trim_start().len()
}

/// A value as `Debug` writes it, as the file would have it.
fn shown(value: &str) -> String {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
    if let Some(milliseconds) = value
        .strip_suffix("ms")
        .and_then(|number| number.parse::<f64>().ok())
    {
        return (milliseconds / 1000.0).to_string();
    }
    if let Some(seconds) = value
        .strip_suffix('s')
        .filter(|number| number.parse::<f64>().is_ok())
    {
        return seconds.to_owned();
    }
    match value {
        "None" => String::new(),
        "0ns" => "0".to_owned(),
        "true" | "false" | "{}" => value.to_owned(),
        variant if plain(variant) && variant.starts_with(|c: char| c.is_ascii_uppercase()) => {
            format!("\"{}\"", snake(variant))
        }
        network if network.contains('/') && !network.starts_with('"') => format!("\"{network}\""),
        other => other.to_owned(),
    }
}

fn page() -> String {
    let defaults = defaults();
    let mut page = "# Settings of a gateway\n\nEvery setting of `gateway.toml`. This page is made of the program's own types, and a test compares them;\nwhat the settings are for is in [gateway.md](gateway.md). A setting that is not here is an error, which names\nthe line. Sizes are in bytes, times in seconds (also with a fraction). Where no default is given, the setting is\nabsent, or its description says what stands in for it. Routes, `key_file`, `control_plane_ca` and\n`log.level` are read again [when you reload](gateway.md#reload-and-stop); the others only when the gateway starts.\n".to_owned();
    for (name, title, about) in SECTIONS {
        let _ = write!(
            page,
            "\n## {title}\n\n{}: {about}.\n\n| key | type | default | |\n| --- | --- | --- | --- |\n",
            if title.starts_with('`') {
                "Section"
            } else {
                "Settings"
            }
        );
        for field in fields(name) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                field.name,
                words(&field.kind),
                default(&defaults, name, &field),
                field.about
            );
        }
    }
    page + "\n## What the words mean\n" + &meanings()
}

/// The values of each closed set, with what each does.
fn meanings() -> String {
    let mut text = String::new();
    for (key, name) in [
        ("identity", "IdentitySource"),
        ("routes.authorization", "Authorization"),
        ("decisions.protocol", "DecisionProtocol"),
        ("decisions.certificate", "CertificateForm"),
        ("decisions.asked_by", "AskedBy"),
        ("routes.receipt, decisions.receipt", "ReceiptPlace"),
        ("xfcc_fields", "XfccField"),
        ("xfcc_format", "XfccFormat"),
        ("traceparent", "Traceparent"),
        ("log.format", "LogFormat"),
        (
            "paths.path_with_escaped_slashes_action",
            "EscapedSlashesAction",
        ),
        (
            "forwarded_headers.x_forwarded, forwarded",
            "ForwardedAction",
        ),
    ] {
        let _ = write!(text, "\n`{key}`:\n\n");
        for (about, _, declared) in entries(name) {
            let _ = writeln!(text, "- {}: {about}", variant(&declared));
        }
    }
    text
}

#[test]
fn the_page_lists_every_setting() {
    let made = page();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(PAGE, &made).unwrap();
    }
    let there = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(made == there, "run this test with UPDATE_PAGES=1");
    for key in ["control_plane_ca", "name", "threads", "max_bundle_age"] {
        assert!(made.contains(&format!("| `{key}` | ")), "{key}");
    }
}
