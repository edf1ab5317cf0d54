//! A period of a fleet put right after the fact, while the fleet goes on reporting.
//!
//! ```text
//!   not timed    an archive goes into the journal; the service starts on it, and none of it counts yet
//!   before       webhooks at a low rate
//!   timed        `watchtower backfill` of the whole period: from its request until its rows show, webhooks beside it
//! ```
//!
//! The journal is that of an archive that was brought in at once: all its records have one instant, nearly. So days
//! and weeks are counted of all of it, and rolling windows only of the present.

mod archive;
mod live;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use model::TimeMs;
use serde_json::json;

use super::Options;
use super::folder::Folder;
use super::memory::Memory;
use super::quantiles::Quantiles;
use super::report::{Figure, Report};
use super::service::Service;
use super::wire::wall_clock;
use archive::{Archive, Written};
use live::{Connection, Live, Times, WEBHOOKS_A_SECOND};

const TRUCKS: u32 = 84;
const DAYS: u32 = 365;
const QUICK_DAYS: u32 = 14;
const DAY_MS: i64 = 86_400_000;
/// The period ends so long ago that all of it is too late without a backfill.
const ENDS_DAYS_AGO: i64 = 2;
/// Webhooks before the backfill are timed for so long. More than a minute: days are counted at whole minutes, and so
/// those of the archive at the backfill's tick.
const BEFORE: Duration = Duration::from_secs(65);
const QUICK_BEFORE: Duration = Duration::from_secs(3);

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let days = options.days.unwrap_or(if options.quick { QUICK_DAYS } else { DAYS });
    let to = TimeMs(wall_clock().0.div_euclid(DAY_MS) * DAY_MS - ENDS_DAYS_AGO * DAY_MS);
    let archive = Archive { trucks: TRUCKS, from: to.plus_ms(-i64::from(days) * DAY_MS), to };
    let folder = Folder::find()?;
    report.note(&format!(
        "backfill: {TRUCKS} trucks, {days} days, a fix a minute, as an archive in the journal; data in {}",
        folder.describe()
    ));
    let dir = folder.new_inside()?;
    let started = Instant::now();
    let written = archive.write(dir.path())?;
    report.note(&format!(
        "backfill: {} fixes and {} trips are in the journal after {:.0} s",
        written.fixes,
        written.trips,
        started.elapsed().as_secs_f64()
    ));
    let started = Instant::now();
    let mut service = Service::start(&options.program, dir.path())?;
    service.wait_until_ready()?;
    report.note(&format!("backfill: the service is ready after {:.0} s", started.elapsed().as_secs_f64()));
    let before = if options.quick { QUICK_BEFORE } else { BEFORE };
    let outcome = put_right(options, dir.path(), &service, &archive, before)?;
    report.note(&format!("backfill: {}", outcome.told));
    tell(report, &folder, days, written, &outcome);
    Ok(())
}

/// What was seen of it.
struct Outcome {
    seconds: f64,
    processor_seconds: f64,
    /// From then on until the service is in the present again.
    catching_up_seconds: f64,
    rows_swapped: u64,
    peak_bytes: u64,
    before: Times,
    during: Times,
    /// What the command said of its tick.
    told: String,
}

fn put_right(
    options: &Options,
    data: &Path,
    service: &Service,
    archive: &Archive,
    before: Duration,
) -> anyhow::Result<Outcome> {
    let live = Live::begin(&service.address, archive.trucks)?;
    let began = Instant::now();
    std::thread::sleep(before);
    let used_before = service.processor_seconds()?;
    let asked = Instant::now();
    let output = Command::new(&options.program)
        .args(["backfill", "--from", &archive.from.to_string(), "--to", &archive.to.to_string(), "--data"])
        .arg(data)
        .output()
        .with_context(|| format!("cannot start {}", options.program.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the backfill ended with {}: {errors}", output.status);
    let processor_seconds = service.processor_seconds()? - used_before;
    // What came during the backfill shows after it.
    live.wait_for(Connection::open(&service.address)?.post(0)?)?;
    let caught_up = Instant::now();
    let peak_bytes = Memory::of(service.process_id())?.peak_bytes;
    let seen = live.end()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().find(|line| line.starts_with("tick ")).context("a backfill without a tick")?;
    let (tick, rows_swapped) = tick_and_rows(told).with_context(|| format!("not understood: {told}"))?;
    let visible = seen.visible_at(tick).context("the backfill's tick never showed")?;
    Ok(Outcome {
        seconds: visible.duration_since(asked).as_secs_f64(),
        processor_seconds,
        catching_up_seconds: caught_up.duration_since(visible).as_secs_f64(),
        rows_swapped,
        peak_bytes,
        before: seen.between(began, asked),
        during: seen.between(asked, visible),
        told: told.to_owned(),
    })
}

/// The tick, and how many rows came and went, of `tick 7: rows that came and went: alerts +1 -0, ...`.
fn tick_and_rows(told: &str) -> Option<(u64, u64)> {
    let (tick, rows) = told.strip_prefix("tick ")?.split_once(':')?;
    let counts = rows.split([' ', ',']).filter_map(|word| word.strip_prefix(['+', '-']));
    let sum = counts.map(|count| count.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some((tick.parse().ok()?, sum))
}

fn tell(report: &mut Report, folder: &Folder, days: u32, written: Written, outcome: &Outcome) {
    let params = vec![
        ("vehicles", json!(TRUCKS)),
        ("days", json!(days)),
        ("fixes", json!(written.fixes)),
        ("trips", json!(written.trips)),
        ("file_system", json!(folder.file_system)),
        ("durable_storage", json!(!folder.is_memory())),
        ("webhooks_a_second", json!(WEBHOOKS_A_SECOND)),
    ];
    let mut add = |figure, unit, what: Option<String>, value| {
        let mut params = params.clone();
        params.extend(what.map(|what| ("what", json!(what))));
        report.add(&Figure { bench: "backfill", figure, unit, params, runs: vec![value] });
    };
    add("from the request to its rows being visible", "s", None, outcome.seconds);
    add("fixes", "fixes/s", None, written.fixes as f64 / outcome.seconds);
    add("processor time of the service", "s", None, outcome.processor_seconds);
    add("from there until the service has caught up", "s", None, outcome.catching_up_seconds);
    add("rows that came and went", "rows", None, outcome.rows_swapped as f64);
    add("resident at most", "MiB", None, outcome.peak_bytes as f64 / f64::from(1 << 20));
    let (before, during) = (&outcome.before, &outcome.during);
    for (figure, before, during) in [
        ("a webhook, due to acknowledged", &before.acknowledged, &during.acknowledged),
        ("a webhook, due to visible", &before.visible, &during.visible),
        ("a question, due to answered", &before.answered, &during.answered),
    ] {
        let (before, during) = (Quantiles::of(before.clone()), Quantiles::of(during.clone()));
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("at most", 1.0)] {
            let (before_ms, during_ms) = (before.ms(share), during.ms(share));
            add(figure, "ms", Some(format!("{name}, before")), before_ms);
            add(figure, "ms", Some(format!("{name}, during")), during_ms);
            add(
                figure,
                "times",
                Some(format!("{name}, during over before")),
                during_ms / before_ms.max(1e-6),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_tells_is_read() {
        let told = "tick 70: rows that came and went: alerts +1 -0, kpis +30 -200, visits +4 -5";
        assert_eq!(tick_and_rows(told), Some((70, 240)));
        assert_eq!(tick_and_rows("tick ?: nothing"), None);
    }
}
