//! How right trips are: the rows of a replay of noisy fixes, some of them late and some twice, against what the
//! simulated trucks did, which a perfect observer saw at the moments of their fixes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use model::{ClosedTick, GraphSettings, Row, TimeMs, TripRow};
use pipeline::{BadLine, Follower, ReplayOptions};
use serde_json::{Value, json};

use super::Options;
use super::report::{Figure, Report};
use crate::simulate::{self, FIX_INTERVAL_MS};

/// Rows of trips as they stand.
#[derive(Default)]
struct Trips(BTreeMap<String, TripRow>);

impl Follower for Trips {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        // Of one key what goes is listed before what comes.
        for change in &closed.changes {
            let Row::Trip(row) = &change.row else { continue };
            if change.diff > 0 {
                self.0.insert(row.trip_id.to_string(), row.clone());
            } else {
                self.0.remove(&*row.trip_id);
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
    let mut rows = Trips::default();
    pipeline::replay(&replay, &mut rows)?;
    compare(&rows.0, &fleet.out.join("truth").join("trips.ndjson"))
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
        let Counts { trips, arrived, departed, .. } = counted(false);
        assert!(arrived > 10 && departed > 10 && trips > arrived);
        let right = Counts {
            trips,
            arrived,
            departed,
            departures_right: departed,
            arrivals_right: arrived,
            phases_right: trips,
            ..Counts::default()
        };
        assert_eq!(counted(false), right);
        let noisy = counted(true);
        assert!(noisy.arrivals_right * 10 >= noisy.arrived * 9, "{noisy:?}");
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
        };
        assert_eq!(counts, wanted);
    }
}
