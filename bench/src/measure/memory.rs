//! What a vehicle costs in memory, once its history is as long as it will get: the resident set of this
//! process with intake and graph, less what it was before.
//!
//! Fixes are fed for longer than they are kept, so that the old ones go while new ones come. Each case has a
//! process of its own: what an allocator holds back from one case would be missing in the next.

use std::process::Command;

use anyhow::{Context, ensure};
use model::{GraphSettings, Record};
use pipeline::Computes;
use serde_json::json;

use super::Options;
use super::bare::{BareGraph, TICK};
use super::country::CountryFleet;
use super::report::{Figure, Report};
use super::truck::Reports;

const REPORT_MS: i64 = 30_000;
const FENCES: u32 = 1000;
const SEED: u64 = 7;

struct Case {
    vehicles: u32,
    /// How many fixes of a vehicle are kept.
    fixes: u64,
    /// How many are fed.
    fed: u64,
}

/// A short history, and that of 24 hours.
const CASES: [Case; 2] =
    [Case { vehicles: 100_000, fixes: 64, fed: 160 }, Case { vehicles: 10_000, fixes: 2880, fed: 3600 }];

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    if let Some(fixes) = options.fixes {
        let case = CASES.iter().find(|case| case.fixes == fixes);
        let known = CASES.map(|case| case.fixes.to_string()).join(", ");
        let case = case
            .with_context(|| format!("there is no case with {fixes} fixes a vehicle; known are {known}"))?;
        return one(case, options.quick, report);
    }
    for case in CASES {
        let mut command = Command::new(&options.program);
        command.args(["bench", "memory", "--fixes", &case.fixes.to_string()]);
        command.args(options.json.then_some("--json")).args(options.quick.then_some("--quick"));
        let status = command
            .status()
            .with_context(|| format!("cannot start {} for a case of its own", options.program.display()))?;
        ensure!(status.success(), "the case with {} fixes a vehicle ended with {status}", case.fixes);
    }
    Ok(())
}

fn one(case: &Case, quick: bool, report: &mut Report) -> anyhow::Result<()> {
    let vehicles = if quick { case.vehicles / 10 } else { case.vehicles };
    let kept_ms = case.fixes as i64 * REPORT_MS;
    let settings = GraphSettings { horizon_ms: kept_ms, keep_ms: Some(kept_ms), ..GraphSettings::default() };
    let reports = Reports { driving_ms: REPORT_MS, parked_ms: REPORT_MS };
    let mut fleet = CountryFleet::new(vehicles, reports, SEED);
    let fences = fleet.country().fences(FENCES)?;
    // A slice is what all vehicles report once. The first one makes room for all.
    let mut slice = Vec::new();
    fleet.next_slice(&mut slice);
    let before = Memory::now()?;
    let mut graph = BareGraph::start_for(Computes::Visits, settings, 1)?;
    for fence in &fences {
        graph.record(Record::FenceUpsert(fence.clone()));
    }
    graph.end_tick()?;
    for _ in 0..case.fed {
        for chunk in slice.chunks(TICK) {
            for seen in chunk {
                graph.position(fleet.id(seen.truck), seen.position());
            }
            graph.end_tick()?;
        }
        fleet.next_slice(&mut slice);
    }
    graph.close_all()?;
    let after = Memory::now()?;
    drop(graph);
    let mut add = |figure, bytes: u64| {
        let a_vehicle = bytes.saturating_sub(before.resident_bytes) as f64 / f64::from(vehicles);
        report.add(&Figure {
            bench: "memory",
            figure,
            unit: "bytes a vehicle",
            params: vec![
                ("vehicles", json!(vehicles)),
                ("fixes_kept_a_vehicle", json!(case.fixes)),
                ("fixes_fed_a_vehicle", json!(case.fed)),
                ("every_s", json!(REPORT_MS / 1000)),
                ("fences", json!(FENCES)),
                ("workers", json!(1)),
                ("resident_mib", json!(bytes / (1024 * 1024))),
                ("resident_mib_before", json!(before.resident_bytes / (1024 * 1024))),
            ],
            runs: vec![a_vehicle],
        });
    };
    add("resident, more than before", after.resident_bytes);
    add("at most, more than before", after.peak_bytes);
    Ok(())
}

/// What the kernel says of a process.
pub(super) struct Memory {
    pub resident_bytes: u64,
    pub peak_bytes: u64,
}

impl Memory {
    fn now() -> anyhow::Result<Memory> {
        Memory::of(std::process::id())
    }

    /// Of a process that is running.
    pub fn of(process_id: u32) -> anyhow::Result<Memory> {
        let path = format!("/proc/{process_id}/status");
        let status = std::fs::read_to_string(&path)
            .with_context(|| format!("memory is measured through {path}, which only Linux has"))?;
        Memory::from_status(&status).with_context(|| format!("{path} does not tell the resident set"))
    }

    fn from_status(status: &str) -> Option<Memory> {
        let bytes = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
        };
        Some(Memory { resident_bytes: bytes("VmRSS")?, peak_bytes: bytes("VmHWM")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let memory = Memory::from_status("VmPeak:\t  99 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n");
        let memory = memory.unwrap();
        assert_eq!((memory.resident_bytes, memory.peak_bytes), (1 << 20, 2 << 20));
        assert!(Memory::from_status("VmRSS:\t1024 kB\n").is_none());
    }

    #[test]
    fn memory_that_is_used_shows() {
        let before = Memory::now().unwrap();
        let used = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with_it = Memory::now().unwrap();
        assert!(with_it.resident_bytes > before.resident_bytes + (32 << 20), "{} bytes", used.len());
    }
}
