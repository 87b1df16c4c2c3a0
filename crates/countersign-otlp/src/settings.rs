//! OpenTelemetry's environment variables, as its specification has them.

use std::{path::PathBuf, str::FromStr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_proto::tonic::{common::v1::KeyValue, resource::v1::Resource};
use percent_encoding::percent_decode_str;

/// What is sent where, and how.
#[derive(Debug)]
pub struct Settings {
    pub(crate) traces: Option<Destination>,
    pub(crate) metrics: Option<Destination>,
    pub(crate) resource: Resource,
    /// A CA that the collector's certificate is verified against, besides the public ones.
    pub(crate) ca: Option<PathBuf>,
    /// How many spans may wait, and how many are sent at once.
    pub(crate) most_waiting: usize,
    pub(crate) batch: usize,
    /// How long spans are gathered before they are sent, and how often metrics are.
    pub(crate) gather: Duration,
    pub(crate) interval: Duration,
}

/// The most spans that may wait, whatever is asked for.
const MOST_WAITING: usize = 1 << 20;

/// Where one signal goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
}

/// Why nothing can be sent as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A protocol that is not spoken here.
    #[error(
        "`{variable}` is `{value}`: only `http/protobuf` is sent; use the collector's HTTP port, usually 4318"
    )]
    Protocol {
        /// Where it was given.
        variable: String,
        /// What was given.
        value: String,
    },
}

/// What the process is called where nothing else names it.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What tells this process from others of the same name: without it, their figures would be taken for one's.
    pub instance: &'a str,
}

/// Reads an environment variable; one that is empty counts as unset.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// What the environment asks for; none unless it names a collector.
    ///
    /// # Errors
    /// When it asks for what is not done here.
    pub fn from_env(env: Env<'_>, service: Service<'_>) -> Result<Option<Self>, SettingsError> {
        let is_disabled =
            env("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if is_disabled {
            return Ok(None);
        }
        let traces = Destination::of("TRACES", "v1/traces", env)?;
        let metrics = Destination::of("METRICS", "v1/metrics", env)?;
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            traces,
            metrics,
            resource: resource(service),
            ca: env("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from),
            most_waiting: number(env, "OTEL_BSP_MAX_QUEUE_SIZE")
                .unwrap_or(2048)
                .min(MOST_WAITING),
            batch: number(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(512),
            gather: milliseconds(env, "OTEL_BSP_SCHEDULE_DELAY").unwrap_or(Duration::from_secs(5)),
            interval: milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL")
                .unwrap_or(Duration::from_secs(60)),
        }))
    }
}

impl Destination {
    /// Where a signal goes: a variable of its own wins over the one for all.
    fn of(signal: &str, path: &str, env: Env<'_>) -> Result<Option<Self>, SettingsError> {
        if env(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|exporter| exporter != "otlp") {
            return Ok(None);
        }
        let own = |name: &str| format!("OTEL_EXPORTER_OTLP_{signal}_{name}");
        let all = |name: &str| format!("OTEL_EXPORTER_OTLP_{name}");
        let either = |name: &str| {
            [own(name), all(name)]
                .into_iter()
                .find_map(|variable| env(&variable).map(|value| (variable, value)))
        };
        let base = || {
            let base = env(&all("ENDPOINT"))?;
            Some(format!("{}/{path}", base.trim_end_matches('/')))
        };
        let Some(url) = env(&own("ENDPOINT")).or_else(base) else {
            return Ok(None);
        };
        if let Some((variable, value)) = either("PROTOCOL").filter(|(_, it)| it != "http/protobuf")
        {
            return Err(SettingsError::Protocol { variable, value });
        }
        let timeout = either("TIMEOUT").and_then(|(_, value)| value.trim().parse().ok());
        Ok(Some(Self {
            url,
            headers: either("HEADERS").map_or_else(HeaderMap::new, |(_, given)| headers(&given)),
            timeout: timeout.map_or(Duration::from_secs(10), Duration::from_millis),
        }))
    }
}

/// `a=b,c=d`, percent-encoded. They may be secrets: they are never shown.
fn headers(given: &str) -> HeaderMap {
    let pairs = given.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_str(name.trim()).ok()?, value))
    });
    pairs.collect()
}

fn number(env: Env<'_>, name: &str) -> Option<usize> {
    let number = env(name)?.trim().parse().ok()?;
    (number > 0).then_some(number)
}

fn milliseconds(env: Env<'_>, name: &str) -> Option<Duration> {
    let number = u64::try_from(number(env, name)?).ok()?;
    Some(Duration::from_millis(number))
}

/// What this process is: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, which the library reads, and
/// what they leave open.
fn resource(service: Service<'_>) -> Resource {
    const NAME: &str = "service.name";
    let given = opentelemetry_sdk::Resource::builder().build();
    let mut attributes: Vec<KeyValue> = given
        .iter()
        .filter(|(key, value)| {
            key.as_str() != NAME || !value.as_str().starts_with("unknown_service")
        })
        .map(|(key, value)| KeyValue {
            key: key.as_str().to_owned(),
            value: Some(value.clone().into()),
            ..KeyValue::default()
        })
        .collect();
    let own = [
        (NAME, service.name),
        ("service.version", service.version),
        ("service.instance.id", service.instance),
    ];
    for (key, value) in own {
        if !attributes.iter().any(|known| known.key == key) {
            attributes.push(KeyValue {
                key: key.to_owned(),
                value: Some(opentelemetry::Value::from(value.to_owned()).into()),
                ..KeyValue::default()
            });
        }
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        let env = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let service = Service {
            name: "a",
            version: "1",
            instance: "i",
        };
        Settings::from_env(&env, service)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn nothing_is_sent_unless_a_collector_is_named() {
        assert!(read(&[]).unwrap().is_none());
        assert!(
            read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")])
                .unwrap()
                .is_none()
        );
        let none = [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ];
        assert!(read(&[ENDPOINT, none[0], none[1]]).unwrap().is_none());
        let metrics = read(&[ENDPOINT, none[0]]).unwrap().unwrap();
        assert!(metrics.traces.is_none() && metrics.metrics.is_some());
    }

    #[test]
    fn a_signal_has_its_own_variables_or_those_for_all() {
        let settings = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces/x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=y"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "500"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "7"),
        ]);
        let settings = settings.unwrap().unwrap();
        let (traces, metrics) = (settings.traces.unwrap(), settings.metrics.unwrap());
        assert_eq!(traces.url, "http://traces/x");
        assert_eq!(metrics.url, "http://collector:4318/v1/metrics");
        assert_eq!(traces.headers["api-key"], "a b");
        assert_eq!(traces.headers["x"], "y");
        assert!(!format!("{traces:?}").contains("a b"));
        assert_eq!(traces.timeout, Duration::from_secs(10));
        assert_eq!(metrics.timeout, Duration::from_millis(500));
        assert_eq!((settings.most_waiting, settings.batch), (7, 512));
        let named = |key: &str| {
            settings
                .resource
                .attributes
                .iter()
                .any(|each| each.key == key)
        };
        assert!(named("service.name") && named("service.version"));
    }

    #[test]
    fn a_protocol_that_is_not_spoken_is_named() {
        let error = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("`OTEL_EXPORTER_OTLP_PROTOCOL` is `grpc`"),
            "{error}"
        );
        let same = [ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
        assert!(read(&same).unwrap().is_some());
    }
}
