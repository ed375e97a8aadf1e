//! `/metrics`: what the pipelines count, under the names of the control API, and what the server itself does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use manade_pipeline::status::{FeedStatus, PipelineStatus, SinkStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;
use crate::problem::Problem;
use crate::respond;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// What the server counts of itself.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    pub connections: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 4.0, 8))),
            connections: Gauge::default(),
        }
    }

    /// `took`: until the answer began.
    pub fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            _ => "other",
        };
        let labels =
            vec![("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_u16().to_string())];
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&vec![("route", route.to_owned())]).observe(took.as_secs_f64());
    }

    /// In OpenMetrics' text.
    pub fn text(&self, pipelines: Vec<PipelineStatus>) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("manade");
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time until an answer began",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register("http_connections", "Connections open now", self.connections.clone());
        registry.register_collector(Box::new(Pipelines(pipelines)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response<Body>, Problem> {
    let text = app.metrics.text(app.backend.pipelines()).map_err(|_| Problem::internal())?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(if accept.contains("application/openmetrics-text") {
        respond::text(StatusCode::OK, OPEN_METRICS, text)
    } else {
        respond::text(StatusCode::OK, PROMETHEUS, prometheus_text(&text))
    })
}

/// The same in Prometheus' own text format, in which a counter's family has its sample's name.
fn prometheus_text(open_metrics: &str) -> String {
    let counters: Vec<&str> =
        open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match described.and_then(|rest| rest.split_once(' ')) {
            Some((name, rest)) if counters.contains(&name) => {
                text.push_str(&line[..7]);
                text.push_str(name);
                text.push_str("_total ");
                text.push_str(rest);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The pipelines' counters and gauges as of one moment.
#[derive(Debug)]
struct Pipelines(Vec<PipelineStatus>);

type Reading<T> = (&'static str, &'static str, fn(&T) -> u64);

impl Collector for Pipelines {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let counters: [Reading<PipelineStatus>; 4] = [
            ("pipeline_read", "Events read", |status| status.counters.read),
            ("pipeline_processed", "Events processed", |status| status.counters.processed),
            ("pipeline_dead", "Events that became dead letters", |status| status.counters.dead),
            ("pipeline_expired", "Dead letters dropped by age or size", |status| status.counters.expired),
        ];
        for (name, help, value) in counters {
            self.pipelines(&mut encoder, name, help, |status| Some(ConstCounter::new(value(status))))?;
        }
        let gauges: [Reading<PipelineStatus>; 2] = [
            ("pipeline_backlog", "Bytes (file) or accepted events (others) known and not processed yet", |status| {
                status.backlog
            }),
            ("pipeline_dead_letters", "Dead letters kept now", |status| status.dead_letters),
        ];
        for (name, help, value) in gauges {
            self.pipelines(&mut encoder, name, help, |status| Some(ConstGauge::new(clamped(value(status)))))?;
        }
        self.pipelines(&mut encoder, "pipeline_watermark_seconds", "Watermark, seconds since the epoch", |status| {
            status.watermark.map(|micros| ConstGauge::new(micros as f64 / 1e6))
        })?;
        self.pipelines(
            &mut encoder,
            "pipeline_newest_seconds",
            "Event time of the newest event, seconds since the epoch",
            |status| status.newest.map(|micros| ConstGauge::new(micros as f64 / 1e6)),
        )?;
        self.states(&mut encoder)?;
        self.feeds(&mut encoder)?;
        self.results(&mut encoder)?;
        self.sinks(&mut encoder)
    }
}

impl Pipelines {
    fn pipelines<M: EncodeMetric + prometheus_client::metrics::TypedMetric>(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        value: impl Fn(&PipelineStatus) -> Option<M>,
    ) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(name, help, None, M::TYPE)?;
        for status in &self.0 {
            if let Some(metric) = value(status) {
                let labels = [("pipeline", status.name.as_str())];
                metric.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Of sources outside.
    fn feeds(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        if self.0.iter().all(|status| status.feed.is_none()) {
            return Ok(());
        }
        let counters: [Reading<FeedStatus>; 2] = [
            ("feed_received", "Messages that came, each time that they came", |feed| feed.received),
            ("feed_repeated", "Events that had been accepted before and were left out", |feed| feed.repeated),
        ];
        for (name, help, value) in counters {
            self.pipelines(encoder, name, help, |status| status.feed.as_ref().map(|of| ConstCounter::new(value(of))))?;
        }
        self.pipelines(encoder, "feed_unacknowledged", "Messages that came and are not acknowledged yet", |status| {
            status.feed.as_ref().map(|feed| ConstGauge::new(clamped(feed.unacknowledged)))
        })?;
        self.pipelines(encoder, "feed_ready", "Messages that wait at the source", |status| {
            Some(ConstGauge::new(clamped(status.feed.as_ref()?.ready?)))
        })
    }

    /// One for the state that a pipeline is in, zero for the others.
    fn states(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        use manade_pipeline::status::PipelineState::{Failed, Finished, Running, Stopped, Waiting};
        let states = [
            (Running, "running"),
            (Finished, "finished"),
            (Waiting, "waiting"),
            (Failed, "failed"),
            (Stopped, "stopped"),
        ];
        let help = "Whether a pipeline is in a state";
        let gauge = <ConstGauge<i64> as prometheus_client::metrics::TypedMetric>::TYPE;
        let mut family = encoder.encode_descriptor("pipeline_state", help, None, gauge)?;
        for status in &self.0 {
            for (state, name) in states {
                let labels = [("pipeline", status.name.as_str()), ("state", name)];
                ConstGauge::new(i64::from(status.state == state)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn results(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        use manade_pipeline::status::ResultStatus;
        let counters: [Reading<ResultStatus>; 5] = [
            ("result_selected", "Rows that reached the aggregate or the sink", |result| result.counters.selected),
            ("result_written", "Rows written to the collection or sink", |result| result.counters.written),
            ("result_late", "Rows left out because their window was closed", |result| result.counters.late),
            ("result_failed", "Events that failed in the result's SQL", |result| result.counters.failed),
            ("result_expired", "Rows dropped by age or size", |result| result.counters.expired),
        ];
        let counter = <ConstCounter<u64> as prometheus_client::metrics::TypedMetric>::TYPE;
        for (name, help, value) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, counter)?;
            for (labels, result) in self.labelled() {
                ConstCounter::new(value(result)).encode(family.encode_family(&labels)?)?;
            }
        }
        let gauge = <ConstGauge<i64> as prometheus_client::metrics::TypedMetric>::TYPE;
        let mut family = encoder.encode_descriptor("result_rows", "Rows in the collection now", None, gauge)?;
        for (labels, result) in self.labelled() {
            ConstGauge::new(clamped(result.rows)).encode(family.encode_family(&labels)?)?;
        }
        let help = "Watermark of the result, seconds since the epoch";
        let mut family = encoder.encode_descriptor("result_watermark_seconds", help, None, gauge)?;
        for (labels, result) in self.labelled() {
            if let Some(micros) = result.watermark {
                ConstGauge::new(micros as f64 / 1e6).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Those outside.
    fn sinks(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let sinks: Vec<_> = self
            .labelled()
            .flat_map(|([pipeline, result], status)| {
                status.sinks.iter().map(move |sink| ([pipeline, result, ("sink", sink.name.as_str())], sink))
            })
            .collect();
        if sinks.is_empty() {
            return Ok(());
        }
        let counters: [Reading<SinkStatus>; 2] = [
            ("sink_delivered", "Rows written to the sink, each time that they were", |sink| sink.delivered),
            ("sink_refused", "Rows that the sink refused for good", |sink| sink.refused),
        ];
        let counter = <ConstCounter<u64> as prometheus_client::metrics::TypedMetric>::TYPE;
        for (name, help, value) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, counter)?;
            for (labels, sink) in &sinks {
                ConstCounter::new(value(sink)).encode(family.encode_family(labels)?)?;
            }
        }
        let gauges: [Reading<SinkStatus>; 2] = [
            ("sink_waiting", "Rows that the sink does not have yet", |sink| sink.waiting),
            ("sink_trouble", "Whether the sink cannot be written at the moment", |sink| sink.trouble.is_some().into()),
        ];
        let gauge = <ConstGauge<i64> as prometheus_client::metrics::TypedMetric>::TYPE;
        for (name, help, value) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, gauge)?;
            for (labels, sink) in &sinks {
                ConstGauge::new(clamped(value(sink))).encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }

    fn labelled(&self) -> impl Iterator<Item = ([(&'static str, &str); 2], &manade_pipeline::status::ResultStatus)> {
        self.0.iter().flat_map(|status| {
            let labelled = |result| (labels(&status.name, result), result);
            status.results.iter().map(labelled)
        })
    }
}

fn labels<'a>(pipeline: &'a str, result: &'a manade_pipeline::status::ResultStatus) -> [(&'static str, &'a str); 2] {
    [("pipeline", pipeline), ("result", result.name.as_str())]
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
