//! How right trips and alerts are: the rows of a replay of noisy fixes, some of them late and some twice, against what the
//! simulated trucks did, which a perfect observer saw at the moments of their fixes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use model::{AlertId, AlertKind, AlertRow, ClosedTick, GraphSettings, Row, TimeMs, TripRow};
use pipeline::{BadLine, Follower, ReplayOptions};
use serde_json::{Value, json};

use super::Options;
use super::report::{Figure, Report};
use crate::simulate::{self, FIX_INTERVAL_MS};

/// Rows of trips and alerts as they stand.
#[derive(Default)]
struct Standing {
    trips: BTreeMap<String, TripRow>,
    alerts: BTreeMap<AlertId, AlertRow>,
}

impl Follower for Standing {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        // Of one key what goes is listed before what comes.
        for change in &closed.changes {
            match &change.row {
                Row::Trip(row) if change.diff > 0 => {
                    self.trips.insert(row.trip_id.to_string(), row.clone());
                }
                Row::Trip(row) => drop(self.trips.remove(&*row.trip_id)),
                Row::Alert(row) if change.diff > 0 => drop(self.alerts.insert(row.alert_id, row.clone())),
                Row::Alert(row) => drop(self.alerts.remove(&row.alert_id)),
                _ => {}
            }
        }
        Ok(())
    }
    fn bad_line(&mut self, _: &BadLine) {}
    fn warning(&mut self, _: String) {}
    fn progress(&mut self, _: u64, _: u64) {}
}

/// What was counted.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    trips: u64,
    arrived: u64,
    departed: u64,
    missed: u64,
    false_arrivals: u64,
    departures_right: u64,
    arrivals_right: u64,
    phases_right: u64,
    /// Alerts that there should be.
    alerts: u64,
    alerts_told: u64,
    /// Told of what should be, within 30 s.
    alerts_right: u64,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let cases: &[(u32, u32)] = if options.quick { &[(20, 2)] } else { &[(84, 7), (1_000, 2)] };
    report.note("trips: blurred fixes with spikes, 5 % late, 2 % twice, against a perfect observer of the same moments");
    for &(vehicles, days) in cases {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let fleet = simulate::Options {
            vehicles,
            fences: 60,
            hours: 24.0 * f64::from(days),
            seed: 7,
            out: dir.path().to_owned(),
            late: 0.05,
            duplicates: 0.02,
            noise: true,
            ..simulate::Options::default()
        };
        let counts = count(&fleet)?;
        let share = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
        for (figure, unit, value) in [
            ("arrived", "trips/day", counts.arrived as f64 / f64::from(days)),
            ("departures within 30 s", "%", share(counts.departures_right, counts.departed)),
            ("arrivals within 30 s", "%", share(counts.arrivals_right, counts.arrived)),
            ("missed", "% of arrivals", share(counts.missed, counts.arrived)),
            ("false", "% of trips", share(counts.false_arrivals, counts.trips)),
            ("phase right", "% of trips", share(counts.phases_right, counts.trips)),
            ("alerts missed", "% of alerts", share(counts.alerts - counts.alerts_right, counts.alerts)),
            (
                "alerts false, or begun more than 30 s off",
                "% of those told",
                share(counts.alerts_told - counts.alerts_right, counts.alerts_told),
            ),
        ] {
            report.add(&Figure {
                bench: "trips",
                figure,
                unit,
                params: vec![
                    ("vehicles", json!(vehicles)),
                    ("days", json!(days)),
                    ("trips", json!(counts.trips)),
                    ("arrived", json!(counts.arrived)),
                    ("alerts", json!(counts.alerts)),
                ],
                runs: vec![value],
            });
        }
    }
    Ok(())
}

/// Simulates, replays and compares.
fn count(fleet: &simulate::Options) -> anyhow::Result<Counts> {
    simulate::run(fleet, &|_, _| {})?;
    let replay = ReplayOptions {
        files: vec![fleet.out.join("records.ndjson")],
        settings: GraphSettings::default(),
        pinned: BTreeSet::new(),
        clock: None,
        workers: 1,
        strict: true,
    };
    let mut rows = Standing::default();
    pipeline::replay(&replay, &mut rows)?;
    let truth = fleet.out.join("truth");
    let mut counts = compare(&rows.trips, &truth.join("trips.ndjson"))?;
    compare_alerts(&rows.alerts, &truth.join("alerts.ndjson"), &mut counts)?;
    Ok(counts)
}

/// Kind, vehicle, and what else an alert is about.
type Subject = [String; 3];

/// An alert is right where one of the same kind and subject should begin within the time of a fix.
fn compare_alerts(
    rows: &BTreeMap<AlertId, AlertRow>,
    truth: &Path,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(truth).with_context(|| format!("cannot read {}", truth.display()))?;
    // By subject: when alerts should begin, and when those begin that are told.
    let mut begins: BTreeMap<Subject, [Vec<TimeMs>; 2]> = BTreeMap::new();
    for line in text.lines() {
        let truth: Value = serde_json::from_str(line)?;
        let field = |name: &str| truth[name].as_str().unwrap_or_default().to_owned();
        let started = TimeMs::parse_rfc3339(&field("started"))?;
        let subject = subject(&field("kind"), &field("vehicle_id"), &field("fence_id"), &field("trip_id"));
        begins.entry(subject).or_default()[0].push(started);
        counts.alerts += 1;
    }
    for row in rows.values() {
        let about = |id: &Option<std::sync::Arc<str>>| id.as_deref().unwrap_or_default().to_owned();
        let subject = subject(&row.kind, &row.vehicle_id, &about(&row.fence_id), &about(&row.trip_id));
        begins.entry(subject).or_default()[1].push(row.started);
        counts.alerts_told += 1;
    }
    counts.alerts_right += begins.into_values().map(|[truth, told]| pairs(truth, told)).sum::<u64>();
    Ok(())
}

fn subject(kind: &str, vehicle_id: &str, fence_id: &str, trip_id: &str) -> Subject {
    // Other kinds tell of a trip besides.
    let about = if kind == AlertKind::TripDelay.as_str() { trip_id } else { fence_id };
    [kind, vehicle_id, about].map(str::to_owned)
}

/// How many of some times have one of the others close by, each for one.
fn pairs(mut truth: Vec<TimeMs>, mut told: Vec<TimeMs>) -> u64 {
    truth.sort_unstable();
    told.sort_unstable();
    let mut told = told.into_iter().peekable();
    let is_paired = |truth: &TimeMs| {
        while told.next_if(|told| told.0 < truth.0 - FIX_INTERVAL_MS).is_some() {}
        told.next_if(|told| told.0 <= truth.0 + FIX_INTERVAL_MS).is_some()
    };
    truth.iter().map(is_paired).filter(|is_paired| *is_paired).count() as u64
}

fn compare(rows: &BTreeMap<String, TripRow>, truth: &Path) -> anyhow::Result<Counts> {
    let text = std::fs::read_to_string(truth).with_context(|| format!("cannot read {}", truth.display()))?;
    let mut counts = Counts::default();
    for line in text.lines() {
        let truth: Value = serde_json::from_str(line)?;
        let time = |name: &str| truth[name].as_str().and_then(|time| TimeMs::parse_rfc3339(time).ok());
        let row = truth["trip_id"].as_str().and_then(|id| rows.get(id)).context("a trip without a row")?;
        let (departure, arrival) = (time("actual_departure"), time("arrival"));
        counts.trips += 1;
        counts.departed += u64::from(departure.is_some());
        counts.arrived += u64::from(arrival.is_some());
        counts.missed += u64::from(arrival.is_some() && row.arrival.is_none());
        counts.false_arrivals += u64::from(arrival.is_none() && row.arrival.is_some());
        counts.departures_right += u64::from(is_right(row.actual_departure, departure));
        counts.arrivals_right += u64::from(is_right(row.arrival, arrival));
        counts.phases_right += u64::from(truth["phase"] == row.phase.as_str());
    }
    Ok(counts)
}

/// Whether both are known and no farther apart than two fixes of a moving truck.
fn is_right(told: Option<TimeMs>, truth: Option<TimeMs>) -> bool {
    told.zip(truth).is_some_and(|(told, truth)| (told.0 - truth.0).abs() <= FIX_INTERVAL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(noise: bool) -> Counts {
        let dir = tempfile::tempdir().unwrap();
        count(&simulate::Options {
            vehicles: 20,
            hours: 44.0,
            out: dir.path().to_owned(),
            noise,
            ..simulate::Options::default()
        })
        .unwrap()
    }

    #[test]
    fn without_noise_every_trip_is_right_and_with_it_almost() {
        let Counts { trips, arrived, departed, alerts, .. } = counted(false);
        assert!(arrived > 10 && departed > 10 && trips > arrived && alerts > 100);
        let right = Counts {
            trips,
            arrived,
            departed,
            departures_right: departed,
            arrivals_right: arrived,
            phases_right: trips,
            alerts,
            alerts_told: alerts,
            alerts_right: alerts,
            ..Counts::default()
        };
        assert_eq!(counted(false), right);
        let noisy = counted(true);
        assert!(noisy.arrivals_right * 10 >= noisy.arrived * 9, "{noisy:?}");
        assert!(noisy.alerts_right * 10 >= noisy.alerts * 9, "{noisy:?}");
    }

    #[test]
    fn alerts_that_begin_close_by_are_pairs() {
        let times = |seconds: &[i64]| seconds.iter().map(|&second| TimeMs(second * 1000)).collect();
        let pairs = |truth: &[i64], told: &[i64]| super::pairs(times(truth), times(told));
        assert_eq!(pairs(&[100, 200, 300], &[130, 231, 270]), 2);
        assert_eq!(pairs(&[100, 110], &[105]), 1);
        assert_eq!(pairs(&[], &[105]) + pairs(&[100], &[]), 0);
    }

    #[test]
    fn what_is_wrong_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trips.ndjson");
        let truth = |id: &str, departure: &str, arrival: &str| {
            format!(
                "{{\"trip_id\":\"{id}\",\"phase\":\"planned\",\"actual_departure\":{departure},\
                 \"arrival\":{arrival}}}\n"
            )
        };
        let time = "\"1970-01-01T01:00:00Z\"";
        let lines = [truth("close", time, time), truth("far", time, time), truth("idle", "null", "null")];
        std::fs::write(&file, lines.concat()).unwrap();
        let row = |id: &str, departure: Option<i64>, arrival: Option<i64>| {
            let row = TripRow {
                actual_departure: departure.map(TimeMs),
                arrival: arrival.map(TimeMs),
                ..TripRow::planned(id.into(), "T1".into())
            };
            (id.to_owned(), row)
        };
        let rows = BTreeMap::from([
            row("close", Some(3_630_000), Some(3_570_000)),
            row("far", Some(3_631_000), None),
            row("idle", None, Some(3_600_000)),
        ]);
        let counts = compare(&rows, &file).unwrap();
        let wanted = Counts {
            trips: 3,
            arrived: 2,
            departed: 2,
            missed: 1,
            false_arrivals: 1,
            departures_right: 1,
            arrivals_right: 1,
            phases_right: 3,
            ..Counts::default()
        };
        assert_eq!(counts, wanted);
    }
}
