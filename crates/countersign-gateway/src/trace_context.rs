//! W3C Trace Context: the trace that a request belongs to. What a client says of it passes if it is
//! well-formed; otherwise the request begins a trace here. Where spans are collected, the upstream is told
//! of the span of this gateway.

use countersign_trace::{Ids, LENGTH, Spans, TraceId, Traceparent as Given};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::options::Traceparent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace of a request, and its span, if it is recorded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traced {
    /// None where the request goes on without a trace.
    pub(crate) trace: Option<TraceId>,
    pub(crate) span: Option<Recorded>,
}

/// The span of a request that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) ids: Ids,
    /// What the client says.
    pub(crate) given: Option<Given>,
}

/// Keeps a well-formed `traceparent`, and replaces any other, with the `tracestate` that came with
/// it, by one that is made of this request's own number.
pub(crate) fn settle(
    headers: &mut HeaderMap,
    number: u128,
    setting: Traceparent,
    spans: Option<&Spans>,
) -> Traced {
    // Most requests have neither: one pass over their names is less than a look for each.
    let mut names = headers.keys();
    if !names.any(|name| *name == TRACEPARENT || *name == TRACESTATE) {
        return begin(headers, number, setting, spans);
    }
    if let Some(given) = given(headers) {
        let recorded = spans.is_some_and(|spans| spans.samples(Some(&given), &given.trace));
        return Traced {
            trace: Some(given.trace),
            span: recorded.then(|| {
                let ids = Ids {
                    trace: given.trace,
                    ..Ids::of(number)
                };
                tell(headers, &ids.header(true));
                Recorded {
                    ids,
                    given: Some(given),
                }
            }),
        };
    }
    headers.remove(TRACESTATE);
    headers.remove(TRACEPARENT);
    begin(headers, number, setting, spans)
}

/// The trace of a request that another proxy has, by what that proxy says of it. Nobody is told of the span: the
/// proxy sends the request on. What it says more than once is not believed.
pub(crate) fn of_decision<'a>(
    mut said: impl Iterator<Item = &'a [u8]>,
    number: u128,
    setting: Traceparent,
    spans: &Spans,
) -> Traced {
    let given = match (said.next(), said.next()) {
        (Some(only), None) => Given::read(only),
        _ => None,
    };
    let own = Ids::of(number);
    let ids = given.map_or(own, |given| Ids {
        trace: given.trace,
        ..own
    });
    // As for requests: what nobody else is asked to record begins no trace.
    let wanted = given.is_some() || !matches!(setting, Traceparent::CreateUnsampled);
    let recorded = wanted && spans.samples(given.as_ref(), &ids.trace);
    Traced {
        trace: (given.is_some() || recorded).then_some(ids.trace),
        span: recorded.then_some(Recorded { ids, given }),
    }
}

/// Begins a trace.
fn begin(
    headers: &mut HeaderMap,
    number: u128,
    setting: Traceparent,
    spans: Option<&Spans>,
) -> Traced {
    let own = Ids::of(number);
    let wanted = match setting {
        Traceparent::CreateSampled => Some(true),
        Traceparent::CreateUnsampled => Some(false),
        Traceparent::Pass => None,
    };
    // What nobody else is asked to record is recorded here only where it is told to nobody.
    let recorded =
        wanted != Some(false) && spans.is_some_and(|spans| spans.samples(None, &own.trace));
    if let Some(sampled) = wanted {
        let sampled = sampled && (spans.is_none() || recorded);
        tell(headers, &own.header(sampled));
    }
    Traced {
        trace: (wanted.is_some() || recorded).then_some(own.trace),
        span: recorded.then_some(Recorded {
            ids: own,
            given: None,
        }),
    }
}

/// What a client says, if it says it once.
fn given(headers: &HeaderMap) -> Option<Given> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let first = all.next()?;
    all.next()
        .is_none()
        .then(|| Given::read(first.as_bytes()))?
}

fn tell(headers: &mut HeaderMap, value: &[u8; LENGTH]) {
    let Ok(mut value) = HeaderValue::from_bytes(value) else {
        return;
    };
    // It is unique, so it must not go into the HTTP/2 header table of its connection.
    value.set_sensitive(true);
    headers.insert(TRACEPARENT, value);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn settled(given: &[&str], setting: Traceparent, spans: Option<&Spans>) -> (Traced, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert(TRACESTATE, HeaderValue::from_static("a=1"));
        for value in given {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        let traced = settle(&mut headers, 7, setting, spans);
        (traced, headers)
    }

    fn check(given: &[&str], setting: Traceparent) -> (Option<TraceId>, HeaderMap) {
        let (traced, headers) = settled(given, setting, None);
        assert_eq!(traced.span, None);
        (traced.trace, headers)
    }

    #[test]
    fn a_well_formed_traceparent_passes() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes";
        for given in [GIVEN, later] {
            let (id, headers) = check(&[given], Traceparent::CreateSampled);
            assert_eq!(id.unwrap().as_str(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(headers[TRACEPARENT], given);
            assert_eq!(headers[TRACESTATE], "a=1");
        }
    }

    #[test]
    fn any_other_is_replaced_and_its_state_dropped() {
        let upper = GIVEN.to_uppercase();
        let longer = format!("{GIVEN}-x");
        for given in [
            &[][..],
            &[""],
            &["x"],
            &[GIVEN, GIVEN],
            &[&upper],
            &[&longer],
            &["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"],
            &["00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x"],
        ] {
            let (id, headers) = check(given, Traceparent::CreateSampled);
            let made = headers[TRACEPARENT].as_bytes();
            assert_eq!(Given::read(made).map(|made| made.trace), id, "{given:?}");
            assert!(made.ends_with(b"-01"), "{given:?}");
            assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
            assert!(!headers.contains_key(TRACESTATE), "{given:?}");
            let (id, headers) = check(given, Traceparent::Pass);
            assert!(id.is_none() && headers.is_empty(), "{given:?}");
        }
        let (_, headers) = check(&[], Traceparent::CreateUnsampled);
        assert!(headers[TRACEPARENT].as_bytes().ends_with(b"-00"));
    }

    /// Spans that are recorded where a client says so, and else as given here.
    fn spans(roots: bool) -> Arc<Spans> {
        let sample = move |given: Option<&Given>, _: &TraceId| given.map_or(roots, |it| it.sampled);
        Spans::new(1, Arc::new(sample), Arc::new(|| 0)).0
    }

    #[test]
    fn the_upstream_is_told_of_the_span_that_is_recorded_here() {
        let spans = spans(true);
        let (traced, headers) = settled(&[GIVEN], Traceparent::CreateSampled, Some(&spans));
        let told = Given::read(headers[TRACEPARENT].as_bytes()).unwrap();
        let recorded = traced.span.unwrap();
        let parent = recorded.given.unwrap().parent;
        assert_eq!(parent.as_str(), "b7ad6b7169203331");
        assert_eq!(told.parent, recorded.ids.span);
        assert_ne!(told.parent, parent);
        assert_eq!(told.trace.as_str(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(headers[TRACESTATE], "a=1");

        let (traced, headers) = settled(&[], Traceparent::CreateSampled, Some(&spans));
        let told = Given::read(headers[TRACEPARENT].as_bytes()).unwrap();
        let recorded = traced.span.unwrap();
        assert_eq!((told.parent, told.sampled), (recorded.ids.span, true));
        assert_eq!(recorded.given, None);

        let (traced, headers) = settled(&[], Traceparent::Pass, Some(&spans));
        assert!(traced.span.is_some() && headers.is_empty());
        let (traced, headers) = settled(&[], Traceparent::CreateUnsampled, Some(&spans));
        assert!(traced.span.is_none() && headers[TRACEPARENT].as_bytes().ends_with(b"-00"));
    }

    #[test]
    fn a_decision_takes_up_what_the_proxy_says_once() {
        let of = |said: &[&str], setting, roots| {
            let said = said.iter().map(|said| said.as_bytes());
            of_decision(said, 7, setting, &spans(roots))
        };
        let taken = of(&[GIVEN], Traceparent::CreateUnsampled, false);
        let recorded = taken.span.unwrap();
        assert_eq!(
            recorded.ids.trace.as_str(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(recorded.given.unwrap().parent.as_str(), "b7ad6b7169203331");
        let unsampled = GIVEN.replace("-01", "-00");
        let passed = of(&[&unsampled], Traceparent::CreateSampled, true);
        assert!(passed.span.is_none() && passed.trace.is_some());
        for said in [&[][..], &["x"], &[GIVEN, GIVEN]] {
            let begun = of(said, Traceparent::CreateSampled, true).span.unwrap();
            assert_eq!((begun.given, begun.ids), (None, Ids::of(7)));
            let none = Traced {
                trace: None,
                span: None,
            };
            assert_eq!(of(said, Traceparent::CreateUnsampled, true), none);
            assert_eq!(of(said, Traceparent::CreateSampled, false), none);
        }
    }

    #[test]
    fn what_is_not_recorded_passes_as_it_came() {
        let unsampled = GIVEN.replace("-01", "-00");
        let (traced, headers) = settled(
            &[&unsampled],
            Traceparent::CreateSampled,
            Some(&spans(true)),
        );
        assert_eq!(traced.span, None);
        assert_eq!(headers[TRACEPARENT], unsampled);
        let (traced, headers) = settled(&[], Traceparent::CreateSampled, Some(&spans(false)));
        assert_eq!(traced.span, None);
        assert!(headers[TRACEPARENT].as_bytes().ends_with(b"-00"));
    }
}
