//! How values that TOML has no type for are read.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};

/// Reads addresses, each a network of its own, and networks.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.is_empty() {
        let message = "an empty list lets nobody connect; leave it out to let this machine";
        return Err(Error::custom(message));
    }
    let network = |text: &String| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse()).map_err(|_| {
            let wanted = "an IP address, nor a network such as `10.0.0.0/8`";
            Error::custom(format_args!("`{text}` is not {wanted}"))
        })
    };
    texts.iter().map(network).collect()
}

pub(super) fn some_seconds<'de, D>(deserializer: D) -> Result<Option<Duration>, D::Error>
where
    D: Deserializer<'de>,
{
    seconds(deserializer).map(Some)
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let value = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(value).map_err(Error::custom)
}

/// A text, or a list of texts.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a URL or a list of URLs")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_of_the_proxy_protocol_are_addresses_and_networks() {
        let read = |senders: serde_json::Value| networks(senders);
        let found = read(serde_json::json!(["192.0.2.7", "10.0.0.0/8", "fd00::/8"])).unwrap();
        let holds = |address: &str| {
            let address = address.parse::<IpAddr>().unwrap();
            found.iter().any(|network| network.contains(&address))
        };
        assert!(holds("192.0.2.7") && holds("10.1.2.3") && holds("fd00::1"));
        assert!(!holds("192.0.2.8") && !holds("11.0.0.1") && !holds("::1"));
        for (given, says) in [
            (serde_json::json!([]), "lets nobody connect"),
            (serde_json::json!(["10.0.0.0/33"]), "`10.0.0.0/33` is not"),
            (serde_json::json!(["localhost"]), "`localhost` is not"),
        ] {
            let error = read(given).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
