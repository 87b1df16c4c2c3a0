//! Telemetry by OTLP over HTTP: spans and metrics, sent from a thread of their own. Whoever collects them
//! may be slow, silent or gone: nothing waits for it, what finds no room is counted and dropped, and a stop
//! takes a bounded time. The settings are OpenTelemetry's own environment variables; without them there is
//! no thread.

mod collector;
mod exposition;
mod metric_data;
mod sampling;
mod settings;
mod span_data;
mod telemetry;

pub use settings::{Service, Settings, SettingsError};
pub use telemetry::{Figures, Telemetry};
