//! Metrics as OTLP has them, under the names that Prometheus knows them by.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
    },
    resource::v1::Resource,
};

use crate::{
    exposition::{Family, Sample, families},
    span_data::{attribute, scope},
};

/// When what is counted began, and when it was read, in nanoseconds since the beginning of 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period {
    pub(crate) begun: u64,
    pub(crate) now: u64,
}

/// What a text in Prometheus's format says.
pub(crate) fn request(
    resource: &Resource,
    text: &str,
    period: Period,
) -> ExportMetricsServiceRequest {
    let families = families(text);
    let metrics = families.iter().filter_map(|family| metric(family, period));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(family: &Family<'_>, period: Period) -> Option<Metric> {
    let numbers = || family.values.iter().map(|value| number(value, period));
    let data = match family.kind {
        "counter" => metric::Data::Sum(Sum {
            data_points: numbers().collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        "gauge" => metric::Data::Gauge(Gauge {
            data_points: numbers().collect(),
        }),
        "histogram" => metric::Data::Histogram(Histogram {
            data_points: histograms(family, period),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
        _ => return None,
    };
    Some(Metric {
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        unit: unit(family.name).to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

/// The unit, which the name ends with, as UCUM writes it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "1",
    }
}

fn number(sample: &Sample<'_>, period: Period) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: period.begun,
        time_unix_nano: period.now,
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    let labels = labels.iter().filter(|(name, _)| *name != LE);
    labels
        .map(|(name, value)| attribute(name, any_value::Value::StringValue(value.clone())))
        .collect()
}

/// The label that says where a step ends.
const LE: &str = "le";

/// The histograms of a family, by their labels.
fn histograms(family: &Family<'_>, period: Period) -> Vec<HistogramDataPoint> {
    let mut points: BTreeMap<Vec<&(&str, String)>, HistogramDataPoint> = BTreeMap::new();
    for sample in &family.values {
        let key = sample.labels.iter().filter(|(name, _)| *name != LE);
        let point = points
            .entry(key.collect())
            .or_insert_with(|| HistogramDataPoint {
                attributes: attributes(&sample.labels),
                start_time_unix_nano: period.begun,
                time_unix_nano: period.now,
                ..HistogramDataPoint::default()
            });
        match sample.end {
            "_sum" => point.sum = Some(sample.value),
            "_count" => point.count = whole(sample.value),
            "_bucket" => add_step(point, sample),
            _ => {}
        }
    }
    points.into_values().collect()
}

/// Adds a step: here each counts by itself, and there with all those below.
fn add_step(point: &mut HistogramDataPoint, sample: &Sample<'_>) {
    let below: u64 = point.bucket_counts.iter().sum();
    point
        .bucket_counts
        .push(whole(sample.value).saturating_sub(below));
    let end = sample.labels.iter().find(|(name, _)| *name == LE);
    if let Some(Ok(end)) = end.map(|(_, end)| end.parse::<f64>())
        && end.is_finite()
    {
        point.explicit_bounds.push(end);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count is a whole number, and none is negative"
)]
fn whole(count: f64) -> u64 {
    count.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Period = Period { begun: 1, now: 2 };

    fn read(text: &str) -> Vec<Metric> {
        let mut request = request(&Resource::default(), text, PERIOD);
        let mut resource = request.resource_metrics.remove(0);
        resource.scope_metrics.remove(0).metrics
    }

    #[test]
    fn counters_gauges_and_histograms_are_what_they_were() {
        let metrics = read(
            "# HELP a_total so many\n# TYPE a_total counter\na_total{b=\"c\"} 3\n\
             # HELP d_bytes d\n# TYPE d_bytes gauge\nd_bytes 7\n\
             # HELP e_seconds e\n# TYPE e_seconds histogram\n\
             e_seconds_bucket{f=\"g\",le=\"0.5\"} 1\ne_seconds_bucket{f=\"g\",le=\"1\"} 3\n\
             e_seconds_bucket{f=\"g\",le=\"+Inf\"} 4\ne_seconds_sum{f=\"g\"} 2.5\n\
             e_seconds_count{f=\"g\"} 4\n# TYPE h summary\nh 1\n",
        );
        let [counter, gauge, histogram] = metrics.as_slice() else {
            panic!("{metrics:?}");
        };
        assert_eq!(
            (counter.description.as_str(), counter.unit.as_str()),
            ("so many", "1")
        );
        let Some(metric::Data::Sum(sum)) = &counter.data else {
            panic!("{counter:?}");
        };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].start_time_unix_nano, 1);
        assert_eq!(sum.data_points[0].attributes[0].key, "b");
        assert_eq!(gauge.unit, "By");
        let Some(metric::Data::Histogram(histogram)) = &histogram.data else {
            panic!("{histogram:?}");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts, [1, 2, 1]);
        assert_eq!(point.explicit_bounds, [0.5, 1.0]);
        assert_eq!((point.count, point.sum), (4, Some(2.5)));
        assert_eq!(point.attributes.len(), 1);
    }
}
