//! Spans as OTLP has them.

use countersign_trace::{Side, Span, Value};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as Data, Status, span::SpanKind, status::StatusCode,
    },
};

/// What these spans were made by.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "countersign".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(crate) fn request(resource: &Resource, spans: &[Span]) -> ExportTraceServiceRequest {
    let spans = spans.iter().map(data).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn data(span: &Span) -> Data {
    let id = |id: u64| id.to_be_bytes().to_vec();
    Data {
        trace_id: span.trace.number().to_be_bytes().to_vec(),
        span_id: id(span.id.number()),
        parent_span_id: span
            .parent
            .map_or_else(Vec::new, |parent| id(parent.number())),
        name: span.name.clone(),
        kind: match span.side {
            Side::Server => SpanKind::Server.into(),
            Side::Client => SpanKind::Client.into(),
        },
        start_time_unix_nano: span.time.0,
        end_time_unix_nano: span.time.1,
        attributes: span
            .attributes
            .iter()
            .map(|(key, value)| text_or_number(key, value))
            .collect(),
        status: span.failed.then(|| Status {
            code: StatusCode::Error.into(),
            ..Status::default()
        }),
        ..Data::default()
    }
}

fn text_or_number(key: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone()),
        Value::Number(number) => any_value::Value::IntValue(*number),
    };
    attribute(key, value)
}

pub(crate) fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
