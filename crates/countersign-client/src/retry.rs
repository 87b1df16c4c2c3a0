//! When a call is retried, and after how long: as the official OpenAI SDKs do it.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime},
};

use backon::ExponentialBuilder;
use http::{HeaderMap, StatusCode};

/// How often a call is retried by default.
pub(crate) const DEFAULT_MAX_RETRIES: u32 = 2;
/// The longest wait that a server may ask for; a longer one is ignored.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// The wait before the first retry.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The wait that doubling ends at.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
/// How much of a wait is taken off at random at most, so that clients do not retry in step.
const JITTER: f64 = 0.25;

/// Whether an answer is worth a retry. `x-should-retry` overrides the status.
pub(crate) fn is_worthwhile(status: StatusCode, headers: &HeaderMap) -> bool {
    match text(headers, "x-should-retry") {
        Some("true") => true,
        Some("false") => false,
        _ => matches!(status.as_u16(), 408 | 409 | 429 | 500..),
    }
}

/// The waits before so many retries: half a second, doubled each time up to eight seconds.
pub(crate) fn backoff(retries: u32) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_BACKOFF)
        .with_max_delay(LONGEST_BACKOFF)
        .with_max_times(usize::try_from(retries).unwrap_or(usize::MAX))
}

/// How long to wait instead of `backoff`: as long as the server asks, within reason, else the
/// backoff less the jitter. `random` is between 0 and 1.
pub(crate) fn delay(
    backoff: Duration,
    headers: &HeaderMap,
    now: SystemTime,
    random: f64,
) -> Duration {
    asked(headers, now).unwrap_or_else(|| backoff.mul_f64(1.0 - JITTER * random))
}

fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let milliseconds = || number(headers, "retry-after-ms").map(|ms| ms / 1000.0);
    let seconds = || number(headers, "retry-after");
    let date = || {
        let date = httpdate::parse_http_date(text(headers, "retry-after")?).ok()?;
        date.duration_since(now).ok()
    };
    milliseconds()
        .or_else(seconds)
        .and_then(|wait| Duration::try_from_secs_f64(wait).ok())
        .or_else(date)
        .filter(|wait| !wait.is_zero() && *wait <= LONGEST_ASKED)
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    text(headers, name)?.parse().ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A number between 0 and 1, different on each call. The standard library seeds each hasher from
/// the system. That is random enough to spread clients, and nothing depends on it being secret.
pub(crate) fn random() -> f64 {
    let drawn = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or_default();
    f64::from(drawn) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn millis(retry: usize, pairs: &[(&'static str, &str)], random: f64) -> u128 {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 15:00:00 GMT").unwrap();
        let backoff = backoff(u32::MAX).build().nth(retry).unwrap();
        delay(backoff, &headers(pairs), now, random).as_millis()
    }

    #[test]
    fn what_the_server_asks_for_is_honoured_up_to_a_minute() {
        let cases: &[(&[(&'static str, &str)], u128)] = &[
            (&[("retry-after", "1")], 1000),
            (&[("retry-after", "1.5")], 1500),
            (&[("retry-after", "60")], 60_000),
            (&[("retry-after-ms", "20")], 20),
            (&[("retry-after-ms", "20"), ("retry-after", "3")], 20),
            (&[("retry-after", "Mon, 23 Nov 2026 15:00:07 GMT")], 7000),
            // Ignored: the first backoff stands.
            (&[("retry-after", "61")], 500),
            (&[("retry-after", "0")], 500),
            (&[("retry-after", "-1")], 500),
            (&[("retry-after", "NaN")], 500),
            (&[("retry-after", "inf")], 500),
            (&[("retry-after", "soon")], 500),
            (&[("retry-after-ms", "1e300")], 500),
            (&[("retry-after", "Mon, 23 Nov 2026 14:59:00 GMT")], 500),
            (&[("retry-after", "Mon, 23 Nov 2026 15:02:00 GMT")], 500),
        ];
        for (given, wanted) in cases {
            assert_eq!(millis(0, given, 0.0), *wanted, "{given:?}");
        }
    }

    #[test]
    fn backing_off_doubles_to_eight_seconds_less_a_quarter_at_most() {
        let waits: Vec<u128> = (0..6).map(|retry| millis(retry, &[], 0.0)).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(millis(100, &[], 1.0), 6000);
        assert_eq!(millis(0, &[], 1.0), 375);
        assert_eq!(backoff(2).build().count(), 2);
    }

    #[test]
    fn the_statuses_worth_a_retry_are_those_of_the_sdks() {
        for (status, wanted) in [
            (200, false),
            (307, false),
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (408, true),
            (409, true),
            (429, true),
            (500, true),
            (503, true),
            (599, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_worthwhile(status, &headers(&[])), wanted, "{status}");
            assert!(is_worthwhile(
                status,
                &headers(&[("x-should-retry", "true")])
            ));
            assert!(!is_worthwhile(
                status,
                &headers(&[("x-should-retry", "false")])
            ));
        }
    }

    #[test]
    fn random_numbers_stay_between_zero_and_one_and_vary() {
        let drawn: Vec<f64> = (0..100).map(|_| random()).collect();
        assert!(drawn.iter().all(|each| (0.0..=1.0).contains(each)));
        assert!(drawn.iter().any(|each| *each < 0.5) && drawn.iter().any(|each| *each > 0.5));
    }
}
