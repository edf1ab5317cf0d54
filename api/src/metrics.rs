//! Figures of the service: counters that cost a request one atomic addition, and their text for Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use model::Table;
use sinks::live::{Report, SinkState};
use sources::kafka::InputStatus;

use crate::http::Shared;

/// Source codes are small numbers; what is beyond shares the first place, as `unknown`.
const SOURCES: usize = 5;
/// Upper bounds of the append latency's buckets, microseconds.
const LATENCY_BOUNDS_US: [u64; 14] =
    [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];

/// Why something was refused at the door.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Record,
    NotABody,
    TooLarge,
    Unauthorized,
    Unsupported,
    QueueFull,
    Unavailable,
}

impl Refusal {
    const NAMES: [&'static str; 7] =
        ["record", "not_a_body", "too_large", "unauthorized", "unsupported", "queue_full", "unavailable"];
}

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    accepted: [AtomicU64; SOURCES],
    refused: [[AtomicU64; Refusal::NAMES.len()]; SOURCES],
    append_buckets: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    append_sum_us: AtomicU64,
    answers: [AtomicU64; 6],
    /// How often refused parts of a body could not be kept as dead letters.
    pub letters_lost: AtomicU64,
}

fn place(source: u8) -> usize {
    let place = usize::from(source);
    if place < SOURCES { place } else { 0 }
}

impl Metrics {
    pub fn accepted(&self, source: u8, records: usize) {
        self.accepted[place(source)].fetch_add(records as u64, Ordering::Relaxed);
    }

    pub fn refused(&self, source: u8, refusal: Refusal, times: usize) {
        self.refused[place(source)][refusal as usize].fetch_add(times as u64, Ordering::Relaxed);
    }

    pub fn append_took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        self.append_buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.append_sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).min(5);
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    /// The text that Prometheus reads.
    pub fn render(&self, shared: &Shared, now_ms: i64) -> String {
        let mut text = Text(String::with_capacity(4096));
        self.render_door(&mut text);
        self.render_append(&mut text);
        render_state(&mut text, shared, now_ms);
        let sinks: Vec<Report> = shared.api.sinks.iter().map(|status| status.report()).collect();
        render_sinks(&mut text, &sinks);
        if let Some(status) = &shared.api.postgis {
            render_postgis(&mut text, status);
        }
        if let Some(input) = &shared.api.kafka_input {
            render_kafka_input(&mut text, input);
        }
        text.head("watchtower_http_answers_total", "counter", "Answers by class of status.");
        for (class, count) in self.answers.iter().enumerate().skip(1) {
            let labels = format!("class=\"{class}xx\"");
            text.line("watchtower_http_answers_total", &labels, count.load(Ordering::Relaxed));
        }
        let lost = self.letters_lost.load(Ordering::Relaxed);
        text.single(
            "watchtower_dead_letters_lost_total",
            "counter",
            "Refusals that could not be kept.",
            lost,
        );
        text.0
    }

    fn render_door(&self, text: &mut Text) {
        let named = |source: usize| sources::source_name(u8::try_from(source).unwrap_or(0));
        text.head("watchtower_records_accepted_total", "counter", "Records accepted and durable.");
        for (source, count) in self.accepted.iter().enumerate() {
            let labels = format!("source=\"{}\"", named(source));
            text.line("watchtower_records_accepted_total", &labels, count.load(Ordering::Relaxed));
        }
        text.head("watchtower_refused_total", "counter", "Records, or whole bodies, refused at the door.");
        for (source, counts) in self.refused.iter().enumerate() {
            for (count, reason) in counts.iter().zip(Refusal::NAMES) {
                let labels = format!("source=\"{}\",reason=\"{reason}\"", named(source));
                text.line("watchtower_refused_total", &labels, count.load(Ordering::Relaxed));
            }
        }
    }

    fn render_append(&self, text: &mut Text) {
        let name = "watchtower_append_seconds";
        text.head(name, "histogram", "Time from an append until it is durable.");
        let mut total = 0;
        for (bucket, count) in self.append_buckets.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let bound = LATENCY_BOUNDS_US.get(bucket).map(|us| format!("{}", *us as f64 / 1e6));
            let labels = format!("le=\"{}\"", bound.as_deref().unwrap_or("+Inf"));
            text.line("watchtower_append_seconds_bucket", &labels, total);
        }
        let sum_s = self.append_sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        text.line("watchtower_append_seconds_sum", "", sum_s);
        text.line("watchtower_append_seconds_count", "", total);
    }
}

fn render_sinks(text: &mut Text, sinks: &[Report]) {
    let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Report) -> f64| {
        if sinks.is_empty() {
            return;
        }
        text.head(name, kind, help);
        for report in sinks {
            text.line(name, &format!("sink=\"{}\"", report.name), value(report));
        }
    };
    each("watchtower_sink_up", "gauge", "1 when the sink takes changes.", &|report| {
        f64::from(u8::from(report.state.is_up()))
    });
    each("watchtower_sink_stopped", "gauge", "1 when the sink has stopped for good.", &|report| {
        f64::from(u8::from(report.state == SinkState::Stopped))
    });
    each("watchtower_sink_tick", "gauge", "The tick that the sink's rows are exact for.", &|report| {
        report.as_of.tick as f64
    });
    each("watchtower_sink_lag_ticks", "gauge", "Closed ticks that the sink does not have.", &|report| {
        report.lag_ticks as f64
    });
    each("watchtower_sink_lag_seconds", "gauge", "How much time those are.", &|report| {
        report.lag_ms as f64 / 1000.0
    });
    each("watchtower_sink_rows_total", "counter", "Rows written or removed.", &|report| {
        report.written.rows as f64
    });
    each("watchtower_sink_dead_letters_total", "counter", "Rows that the other end refused.", &|report| {
        report.written.dead_letters as f64
    });
    each("watchtower_sink_failures_total", "counter", "Failures; each is tried again.", &|report| {
        report.failures as f64
    });
    each("watchtower_sink_resyncs_total", "counter", "Comparisons with the rows that stand.", &|report| {
        report.resyncs as f64
    });
}

fn render_postgis(text: &mut Text, status: &sources::postgis::Status) {
    let is_up = u8::from(status.is_up.load(Ordering::Relaxed));
    text.single("watchtower_postgis_up", "gauge", "1 when the table of fences is followed.", is_up);
    for (name, kind, help, value) in [
        ("watchtower_postgis_fences", "gauge", "Fences that came from the table.", &status.fences),
        ("watchtower_postgis_refused_rows", "gauge", "Rows that are no fences.", &status.refused_rows),
        (
            "watchtower_postgis_held_deletes",
            "gauge",
            "Fences that stay although their rows are gone, since too many went at once.",
            &status.held_deletes,
        ),
        ("watchtower_postgis_upserts_total", "counter", "Fences sent.", &status.upserts),
        ("watchtower_postgis_deletes_total", "counter", "Fences deleted.", &status.deletes),
        ("watchtower_postgis_sweeps_total", "counter", "Comparisons of the table.", &status.sweeps),
        ("watchtower_postgis_failures_total", "counter", "Failures; each is tried again.", &status.failures),
    ] {
        text.single(name, kind, help, value.load(Ordering::Relaxed));
    }
}

fn render_kafka_input(text: &mut Text, input: &InputStatus) {
    let up = u8::from(input.is_up());
    text.single(
        "watchtower_kafka_input_up",
        "gauge",
        "1 when the brokers of the topics that are read answer.",
        up,
    );
    let name = "watchtower_kafka_input_messages_total";
    text.single(name, "counter", "Messages of Kafka that were read.", input.messages());
    let name = "watchtower_kafka_input_lag";
    text.single(name, "gauge", "Offsets of Kafka's topics that are not read yet.", input.lag());
}

fn render_state(text: &mut Text, shared: &Shared, now_ms: i64) {
    let api = &shared.api;
    let (stamp, records, rows, rejects) = {
        let state = api.views.read();
        let rows = [
            (Table::Presences.as_str(), state.presences.len()),
            (Table::Visits.as_str(), state.visits.len()),
            (Table::Crossings.as_str(), state.crossings.len()),
            ("trucks", state.trucks.len()),
            ("fences", state.fences.known()),
            (Table::Trips.as_str(), state.trips.len()),
            (Table::Alerts.as_str(), state.alerts.len()),
            (Table::Kpis.as_str(), state.kpis.len()),
        ];
        (state.stamp, state.records, rows, state.rejects.totals())
    };
    text.single("watchtower_tick", "gauge", "The last tick that is shown.", stamp.tick);
    let journal_tick = api.log.last_tick().map_or(0, |(tick, _)| tick);
    text.single("watchtower_journal_tick", "gauge", "The last tick that is durable.", journal_tick);
    let lag_s = (now_ms - stamp.instant.0).max(0) as f64 / 1000.0;
    text.single("watchtower_instant_lag_seconds", "gauge", "Age of the instant that is shown.", lag_s);
    text.single("watchtower_records", "gauge", "Records up to the last tick shown.", records);
    text.head("watchtower_rows", "gauge", "Rows kept in the views.");
    for (table, count) in rows {
        text.line("watchtower_rows", &format!("table=\"{table}\""), count);
    }
    text.head("watchtower_rejects", "gauge", "Records not used, or not in full, by reason.");
    for (reason, count) in rejects.iter() {
        text.line("watchtower_rejects", &format!("reason=\"{}\"", reason.as_str()), count);
    }
    let letters = api.dead_letters.counts();
    text.single("watchtower_dead_letters", "gauge", "Dead letters kept.", letters.kept);
    text.single("watchtower_dead_letter_bytes", "gauge", "Bytes of dead letters kept.", letters.bytes);
    let name = "watchtower_dead_letters_dropped_total";
    text.single(name, "counter", "Dead letters that went because of a limit.", letters.dropped_total);
    let clients = api.config.max_sse_clients.saturating_sub(shared.sse_slots.available_permits());
    text.single("watchtower_sse_clients", "gauge", "Clients that follow the changes.", clients);
    text.single("watchtower_ready", "gauge", "1 when the views are current.", u8::from(api.views.is_ready()));
}

/// Prometheus text in the making.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}
