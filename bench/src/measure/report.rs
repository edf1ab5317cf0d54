//! Figures as people and programs read them.

use std::fs;

use serde_json::{Map, Value, json};

/// One figure of a benchmark, measured several times.
pub struct Figure {
    /// The benchmark.
    pub bench: &'static str,
    /// What was measured.
    pub figure: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it was measured with.
    pub params: Vec<(&'static str, Value)>,
    /// Every run.
    pub runs: Vec<f64>,
}

/// Prints figures as they come.
pub struct Report {
    json: bool,
    machine: String,
    quick: bool,
}

/// How this program was built: figures of a debug build say nothing.
const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

impl Report {
    /// Tells the machine and the build.
    #[must_use]
    pub fn begin(json: bool, quick: bool) -> Report {
        let report = Report { json, machine: machine(), quick };
        let debug = if cfg!(debug_assertions) { ": NOT to be quoted" } else { "" };
        let kind = if quick { ", quick runs: NOT to be quoted" } else { "" };
        report.note(&format!("machine: {}", report.machine));
        report.note(&format!("build: watchtower {} {BUILD} build{debug}{kind}", env!("CARGO_PKG_VERSION")));
        report
    }

    /// A line for people.
    pub fn note(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }

    /// Prints one figure: median, minimum, maximum and all runs.
    pub fn add(&mut self, figure: &Figure) {
        let mut sorted = figure.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return };
        let median = sorted[sorted.len() / 2];
        if self.json {
            let params: Map<String, Value> =
                figure.params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let object = json!({
                "bench": figure.bench, "figure": figure.figure, "unit": figure.unit, "params": params,
                "min": min, "median": median, "max": max, "runs": figure.runs,
                "machine": self.machine, "build": BUILD, "quick": self.quick,
            });
            println!("{object}");
            return;
        }
        let params: Vec<String> = figure.params.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let runs: Vec<String> = figure.runs.iter().map(|run| shown(*run)).collect();
        println!(
            "{} {}: median {} {} (min {}, max {}; runs {}) with {}",
            figure.bench,
            figure.figure,
            shown(median),
            figure.unit,
            shown(*min),
            shown(*max),
            runs.join(" "),
            params.join(" ")
        );
    }
}

fn shown(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else if value >= 1e4 {
        format!("{:.1}k", value / 1e3)
    } else {
        format!("{value:.3}")
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("model name"))?.to_owned();
            line.split_once(':').map(|(_, name)| name.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("{cores} cores, {processor}, load {load} at the start")
}
