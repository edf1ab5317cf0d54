//! `watchtower replay`

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Context;
use indicatif::ProgressBar;
use model::ClosedTick;
use pipeline::{BadLine, Follower, ReplayError, ReplayOptions};
use sinks::Sink;
use sinks::files::{FilesConfig, FilesSink};

use crate::args::{ReplayArgs, load_config};
use crate::progress;
use crate::{Outcome, Usage};

/// Bad lines are printed one by one up to this many; all are counted.
const MAX_BAD_LINES_PRINTED: u64 = 20;

pub fn run(args: &ReplayArgs) -> anyhow::Result<Outcome> {
    let config = load_config(args.config.config.as_deref(), &args.config.set)?;
    let settings = config.graph_settings()?;
    let pinned: BTreeSet<String> =
        args.config.set.iter().filter_map(|s| s.split_once('=')).map(|(k, _)| k.trim().to_owned()).collect();
    let options = ReplayOptions {
        files: args.files.clone(),
        settings,
        pinned,
        clock: args.clock,
        workers: args.workers.map_or(config.workers.unwrap_or(1), usize::from),
        strict: args.strict,
    };
    let sink = match &args.out {
        Some(dir) => Some(FilesSink::create(&FilesConfig { dir: dir.clone(), changes: args.changes })?),
        None => None,
    };
    let mut output = Output { sink, bar: progress::bar(0, progress::BYTES), bad_lines: 0 };
    let started = Instant::now();
    let summary = match pipeline::replay(&options, &mut output) {
        Ok(summary) => summary,
        Err(ReplayError::File(error)) if error.exit_code() == 2 => {
            return Err(Usage(error.to_string()).into());
        }
        Err(ReplayError::Strict(bad)) => {
            let stopped = ReplayError::Strict(bad);
            eprintln!("watchtower: {stopped}");
            return Ok(Outcome::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    output.bar.finish_and_clear();
    if let Some(sink) = &mut output.sink {
        sink.finish().context("the output could not be written")?;
    }
    if summary.bad_lines > MAX_BAD_LINES_PRINTED {
        eprintln!("... and {} more bad lines", summary.bad_lines - MAX_BAD_LINES_PRINTED);
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{} records ({} bad lines) in {} ticks up to {}, {seconds:.2} s, {:.0} records/s",
        summary.records,
        summary.bad_lines,
        summary.ticks,
        summary.instant,
        summary.records as f64 / seconds
    );
    for error in &summary.cut_short {
        eprintln!("watchtower: {error}");
    }
    Ok(if summary.cut_short.is_empty() { Outcome::Done } else { Outcome::Failed })
}

struct Output {
    sink: Option<FilesSink>,
    bar: ProgressBar,
    bad_lines: u64,
}

impl Follower for Output {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        self.sink.as_mut().map_or(Ok(()), |sink| sink.apply(closed))
    }

    fn bad_line(&mut self, bad: &BadLine) {
        self.bad_lines += 1;
        if self.bad_lines <= MAX_BAD_LINES_PRINTED {
            self.bar.suspend(|| eprintln!("{}:{}: {}", bad.file.display(), bad.line, bad.reason));
        }
    }

    fn warning(&mut self, text: String) {
        self.bar.suspend(|| eprintln!("warning: {text}"));
    }

    fn progress(&mut self, done_bytes: u64, all_bytes: u64) {
        self.bar.set_length(all_bytes);
        self.bar.set_position(done_bytes);
    }
}
