//! Positions a second from a CSV file through the graph, as `watchtower replay` does it, but nothing is
//! written.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Context;
use model::{ClosedTick, GraphSettings};
use pipeline::{BadLine, Follower, ReplayOptions};
use serde_json::json;

use super::Options;
use super::report::{Figure, Report};
use crate::simulate;

struct Ignored;

impl Follower for Ignored {
    fn closed(&mut self, _: &ClosedTick) -> anyhow::Result<()> {
        Ok(())
    }
    fn bad_line(&mut self, _: &BadLine) {}
    fn warning(&mut self, _: String) {}
    fn progress(&mut self, _: u64, _: u64) {}
}

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let (vehicles, hours, runs) = if options.quick { (200, 2.0, 1) } else { (1000, 24.0, 5) };
    let fleet = simulate::Options {
        vehicles,
        fences: 100,
        hours,
        seed: 7,
        out: dir.path().to_owned(),
        ..simulate::Options::default()
    };
    let written = simulate::run(&fleet, &|_, _| {})?;
    let files = vec![dir.path().join("fences.geojson"), dir.path().join("positions.csv")];
    for workers in [1, 2] {
        let replay = ReplayOptions {
            files: files.clone(),
            settings: GraphSettings::default(),
            pinned: BTreeSet::new(),
            clock: None,
            workers,
            strict: false,
        };
        let mut rates = Vec::new();
        for _ in 0..runs {
            let started = Instant::now();
            let summary = pipeline::replay(&replay, &mut Ignored)?;
            rates.push(summary.records as f64 / started.elapsed().as_secs_f64());
        }
        report.add(&Figure {
            bench: "replay",
            figure: "csv",
            unit: "positions/s",
            params: vec![
                ("positions", json!(written.fixes)),
                ("vehicles", json!(vehicles)),
                ("fences", json!(100)),
                ("workers", json!(workers)),
                ("written", json!("nothing")),
            ],
            runs: rates,
        });
    }
    Ok(())
}
