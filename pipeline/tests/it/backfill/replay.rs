//! Files with backfills: read again where one comes up.

use std::path::{Path, PathBuf};

use super::records::{line, stamped};
use super::{backfilled, hold_slowly};
use crate::harness::difference;
use bench::oracle::{Input, recompute_prefix, scenario};
use model::{ClosedTick, GraphSettings, Tables};
use pipeline::{BadLine, Follower, ReplayError, ReplayOptions, ReplaySummary, TICK_RECORDS, replay};

struct Summing<'a> {
    inputs: &'a [Input],
    tables: Tables,
    bad_lines: usize,
    warnings: usize,
}

impl Follower for Summing<'_> {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        for change in &closed.changes {
            self.tables.apply(change)?;
        }
        let end = (closed.tick as usize * TICK_RECORDS).min(self.inputs.len());
        let truth = recompute_prefix(self.inputs, end, &GraphSettings::default());
        match difference(&self.tables, &truth) {
            Some(text) => anyhow::bail!("after tick {}: {text}", closed.tick),
            None => Ok(()),
        }
    }

    fn bad_line(&mut self, _: &BadLine) {
        self.bad_lines += 1;
    }

    fn warning(&mut self, _: String) {
        self.warnings += 1;
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn options(file: PathBuf, workers: usize) -> ReplayOptions {
    ReplayOptions {
        files: vec![file],
        settings: GraphSettings::default(),
        pinned: Default::default(),
        clock: None,
        workers,
        strict: false,
    }
}

fn replayed(
    inputs: &[Input],
    file: &Path,
    workers: usize,
) -> Result<(ReplaySummary, usize, usize), ReplayError> {
    let lines: Vec<u8> = inputs.iter().flat_map(line).collect();
    std::fs::write(file, lines).unwrap();
    let mut summing = Summing { inputs, tables: Tables::default(), bad_lines: 0, warnings: 0 };
    let summary = replay(&options(file.to_owned(), workers), &mut summing)?;
    Ok((summary, summing.bad_lines, summing.warnings))
}

/// Inputs with so many others between them that they are of several ticks.
fn spread(inputs: Vec<Input>) -> Vec<Input> {
    let others = 3500 / inputs.len();
    inputs
        .into_iter()
        .flat_map(|input| std::iter::once(input).chain(vec![Input::Other { received: None }; others]))
        .collect()
}

#[test]
fn files_give_at_every_tick_what_was_always_known() {
    let dir = tempfile::tempdir().unwrap();
    hold_slowly(10, (backfilled(), 1..3_usize), |inputs, workers| {
        let inputs = stamped(&spread(inputs.to_vec()));
        let (summary, _, _) = replayed(&inputs, &dir.path().join("records.ndjson"), *workers)
            .map_err(|error| error.to_string())?;
        let (records, ticks) = (inputs.len(), inputs.len().div_ceil(TICK_RECORDS) + 1);
        let is_whole = (summary.records, summary.ticks) == (records as u64, ticks as u64);
        if is_whole { Ok(()) } else { Err(format!("{summary:?}, but there are {records} records")) }
    });
}

/// Two positions, the later first; between them so much that they are of several ticks, a bad line and a leap
/// of time.
fn late_by_two_days() -> Vec<Input> {
    let inputs = scenario::parse(
        "
fence yard square 3.30,6.40 3.31,6.41
T1 2026-01-05T08:00:00Z 3.305,6.405
T1 2026-01-07T08:00:00Z 3.315,6.405
malformed
T1 2026-01-05T09:00:00Z 3.315,6.405
backfill 2026-01-05T00:00:00Z 2026-01-06T00:00:00Z",
    )
    .unwrap();
    stamped(&spread(inputs))
}

#[test]
fn what_is_told_of_lines_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = late_by_two_days();
    let (summary, bad_lines, warnings) = replayed(&inputs, &dir.path().join("records.ndjson"), 1).unwrap();
    assert_eq!((summary.bad_lines, bad_lines, warnings), (0, 0, 1), "the leap of time is told of once");
    assert_eq!(summary.ticks, 5, "four of records, and the end");
}

#[cfg(unix)]
#[test]
fn what_can_be_read_only_once_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("records.ndjson");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let lines: Vec<u8> = late_by_two_days().iter().flat_map(line).collect();
    let path = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(path, lines));
    let inputs = late_by_two_days();
    let mut summing = Summing { inputs: &inputs, tables: Tables::default(), bad_lines: 0, warnings: 0 };
    let error = replay(&options(pipe.clone(), 1), &mut summing).unwrap_err();
    assert!(matches!(&error, ReplayError::ReadOnce { file } if *file == pipe), "{error}");
    assert!(error.to_string().contains("save it as a file"), "{error}");
    writer.join().unwrap().ok();
}
