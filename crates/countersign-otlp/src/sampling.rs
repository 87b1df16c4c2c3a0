//! Which requests are recorded: `OTEL_TRACES_SAMPLER`, which the library reads.

use std::sync::Arc;

use countersign_trace::{Sample, TraceId, Traceparent};
use opentelemetry::{
    Context,
    trace::{
        SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId as Id, TraceState,
    },
};
use opentelemetry_sdk::trace::{Config, SamplingDecision};

pub(crate) fn configured() -> Sample {
    let sampler = Config::default().sampler;
    Arc::new(move |given: Option<&Traceparent>, trace: &TraceId| {
        let id = Id::from_bytes(trace.number().to_be_bytes());
        let parent = given.map(|given| {
            let flags = if given.sampled {
                TraceFlags::SAMPLED
            } else {
                TraceFlags::default()
            };
            let span = SpanId::from_bytes(given.parent.number().to_be_bytes());
            let context = SpanContext::new(id, span, flags, true, TraceState::default());
            Context::new().with_remote_span_context(context)
        });
        let result = sampler.should_sample(parent.as_ref(), id, "", &SpanKind::Server, &[], &[]);
        matches!(result.decision, SamplingDecision::RecordAndSample)
    })
}
