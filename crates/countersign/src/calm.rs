//! The log of `dev`: a line for each request, and warnings.

use std::fmt;

use time::OffsetDateTime;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

use crate::clock;

/// The requests of gateways to the control plane, which nobody made by hand.
const OF_GATEWAYS: &str = "/v1/countersign/";

/// The format of the log: requests in a line each, warnings as ever, and nothing else.
pub(crate) struct Calm(pub(crate) Format<Full>);

/// What is read of an event.
#[derive(Default)]
struct Fields {
    message: String,
    method: String,
    route: String,
    code: String,
    meaning: String,
    status: u64,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "message" => &mut self.message,
            "method" => &mut self.method,
            "route" => &mut self.route,
            "code" => &mut self.code,
            "meaning" => &mut self.meaning,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.status = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<S, N> FormatEvent<S, N> for Calm
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let is_request = metadata.target() == "countersign::access";
        if *metadata.level() <= Level::WARN && !is_request {
            return self.0.format_event(context, writer, event);
        }
        if !is_request {
            return Ok(());
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.route.starts_with(OF_GATEWAYS) && fields.status < 400 {
            return Ok(());
        }
        let Fields {
            method,
            route,
            code,
            meaning,
            status,
            ..
        } = fields;
        let mut what = match status {
            0 => code,
            status => format!("{status} {code}"),
        };
        if !meaning.is_empty() {
            what = format!("{}: {meaning}", what.trim());
        }
        let line = line(clock::now(), &method, &route, what.trim_start_matches(": "));
        writeln!(writer, "{line}")
    }
}

/// A request in a line.
pub(crate) fn line(at: OffsetDateTime, method: &str, path: &str, what: &str) -> String {
    let (hour, minute, second) = at.to_hms();
    let what = what.trim();
    format!("{hour:02}:{minute:02}:{second:02}  {method} {path}  {what}")
}
