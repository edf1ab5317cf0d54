//! How good ETAs are: what was said while trips were in transit, against when they arrived. Each is made of trips that
//! had arrived by then, so all of them are held out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, bail};
use model::{ClosedTick, GraphSettings, PositionRef, Record, RecordSink, TimeMs};
use pipeline::{Driver, Intake};
use serde_json::json;
use sources::files::{FileInput, FileSink};

use super::Options;
use super::report::{Figure, Report};
use crate::simulate;
use watch::{Judged, Watch};

mod real;
mod watch;

const DAY_MS: i64 = 24 * 3_600_000;
/// So many records are a tick: ETAs are looked at when one closes.
const TICK_RECORDS: usize = 200;

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    report.note("eta: said of trips in transit, against when they arrived; each made of trips that had arrived by then");
    let days: u32 = if options.quick { 9 } else { 28 };
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let fleet = simulate::Options {
        vehicles: 84,
        fences: 60,
        hours: 24.0 * f64::from(days),
        seed: 7,
        out: dir.path().to_owned(),
        late: 0.05,
        noise: true,
        ..simulate::Options::default()
    };
    simulate::run(&fleet, &|_, _| {})?;
    let mut watch = Watch::default();
    follow(&[fleet.out.join("records.ndjson")], |closed| watch.closed(closed))?;
    // In the first days nothing is known of any way.
    add(
        report,
        &format!("84 simulated trucks, days 8 to {days}"),
        &watch.judge(fleet.start.plus_ms(7 * DAY_MS)),
    )?;
    let Some(data) = std::env::var_os("WATCHTOWER_DATA").map(PathBuf::from) else {
        report.note("eta: real buses are left out: WATCHTOWER_DATA does not say where they are");
        return Ok(());
    };
    let files = real::with_trips(&data.join("austin_capmetro_buses"), dir.path())?;
    let mut watch = Watch::default();
    follow(&files, |closed| watch.closed(closed))?;
    let second_day = TimeMs::parse_rfc3339(real::SECOND_DAY).context("a time")?;
    add(report, "real buses between areas of a city, the second of two days", &watch.judge(second_day))
}

/// Files through the graph, tick by tick.
fn follow(files: &[PathBuf], mut closed: impl FnMut(&ClosedTick)) -> anyhow::Result<()> {
    let mut driver = Driver::start(GraphSettings::default(), BTreeSet::new(), true, 1)?;
    let mut tick = 0;
    for file in files {
        let mut input = FileInput::open(file)?;
        let mut goes_on = true;
        while goes_on {
            let mut lines = Lines { intake: &mut driver.intake, bad: None };
            goes_on = input.read(TICK_RECORDS, &mut lines)?;
            if let Some(bad) = lines.bad {
                bail!("{}: {bad}", file.display());
            }
            tick += 1;
            let records = driver.intake.finish_tick(None);
            driver.submit(tick, records)?.iter().for_each(&mut closed);
        }
    }
    while let Some(last) = driver.close_next()? {
        closed(&last);
    }
    Ok(())
}

/// Lines of a file on their way to the graph.
struct Lines<'a> {
    intake: &'a mut Intake,
    bad: Option<String>,
}

impl RecordSink for Lines<'_> {
    fn position(&mut self, received: Option<TimeMs>, position: PositionRef<'_>) {
        self.intake.position(received, position);
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        self.intake.record(received, record);
    }
}

impl FileSink for Lines<'_> {
    fn bad(&mut self, line: u64, reason: String, _: &[u8]) {
        self.bad.get_or_insert(format!("line {line}: {reason}"));
    }

    fn warning(&mut self, _: u64, _: String) {}
}

fn add(report: &mut Report, of: &str, judged: &[Judged]) -> anyhow::Result<()> {
    if judged.is_empty() {
        bail!("nothing was said of {of} that can be judged");
    }
    let of_all = |value: fn(&Judged) -> i64| {
        let mut minutes: Vec<f64> = judged.iter().map(|judged| value(judged) as f64 / 60_000.0).collect();
        minutes.sort_by(f64::total_cmp);
        let mean = minutes.iter().sum::<f64>() / minutes.len() as f64;
        (minutes[minutes.len() / 2], mean)
    };
    let inside = judged.iter().filter(|judged| judged.is_inside).count();
    let share = 100.0 * inside as f64 / judged.len() as f64;
    let (error, mean_error) = of_all(|judged| judged.error_ms);
    let (plain, mean_plain) = of_all(|judged| judged.plain_error_ms);
    let (width, _) = of_all(|judged| judged.width_ms);
    for (figure, unit, value) in [
        ("arrivals inside the interval", "%", share),
        ("width of the interval, median", "min", width),
        ("error, median", "min", error),
        ("error of distance over speed, median", "min", plain),
        ("error, mean", "min", mean_error),
        ("error of distance over speed, mean", "min", mean_plain),
    ] {
        let params = vec![("of", json!(of)), ("said", json!(judged.len()))];
        report.add(&Figure { bench: "eta", figure, unit, params, runs: vec![value] });
    }
    Ok(())
}
