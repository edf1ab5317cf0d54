//! How long a start takes, and how much memory: from the journal's beginning, and from a snapshot.
//!
//! ```text
//!   not timed    fixes of a fleet go into the journal
//!   timed        a start without a snapshot; it leaves one
//!   timed        a start from it, with nothing behind it; then with one more fix of each vehicle behind it
//!   timed        a start without a snapshot, of a smaller fleet's whole day
//! ```
//!
//! Timed is the whole: from starting the program until it answers that it is ready. Each case is killed, not stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use model::{Fence, PositionRef, Shape, TimeMs};
use serde_json::json;

use super::Options;
use super::bodies::{Bodies, write_journal};
use super::country::{CountryFleet, Seen};
use super::folder::Folder;
use super::memory::Memory;
use super::report::{Figure, Report};
use super::service::Service;
use super::truck::Reports;
use super::wire::wall_clock;
use crate::simulate::{DEFAULT_START, push_fence_upsert};

const REPORT_MS: i64 = 30_000;
const FIXES: i64 = 64;
const VEHICLES: u32 = 100_000;
const FENCES: u32 = 1000;
/// Of the fleet whose day is replayed.
const DAY_VEHICLES: u32 = 10_000;
const DAY_FIXES: i64 = 24 * 3600 * 1000 / REPORT_MS;
const SEED: u64 = 7;
/// After a start, until what it needed only then is given back.
const SETTLES: Duration = Duration::from_secs(3);

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let vehicles = if options.quick { VEHICLES / 20 } else { VEHICLES };
    let runs = if options.quick { 1 } else { 3 };
    let folder = Folder::find()?;
    report.note(&format!(
        "recovery: {vehicles} vehicles, {FIXES} fixes each, one in {} s, {FENCES} fences; data in {}",
        REPORT_MS / 1000,
        folder.describe()
    ));
    let dir = folder.new_inside()?;
    let mut archive = Archive::new(vehicles, FIXES)?;
    archive.write(dir.path(), FIXES)?;
    let params = || vec![("vehicles", json!(vehicles)), ("fixes_a_vehicle", json!(FIXES))];
    let mut add = |figure, unit, runs: Vec<f64>| {
        report.add(&Figure { bench: "recovery", figure, unit, params: params(), runs });
    };

    let from_beginning = start(options, dir.path())?;
    ensure!(dir.path().join("snapshots").is_dir(), "the first start left no snapshot");
    add("ready, from the beginning", "s", vec![from_beginning.ready_s]);
    let mut from_snapshot = Vec::new();
    for _ in 0..runs {
        from_snapshot.push(start(options, dir.path())?);
    }
    let each = |of: fn(&Started) -> f64| from_snapshot.iter().map(of).collect::<Vec<f64>>();
    add("ready, from a snapshot", "s", each(|started| started.ready_s));
    add("memory once it is ready", "MiB", each(|started| started.steady_mib));
    add("memory at most, of that", "x", each(|started| started.peak_mib / started.steady_mib));
    archive.write(dir.path(), 1)?;
    let behind = start(options, dir.path())?;
    add("ready, from a snapshot with one fix of each vehicle behind it", "s", vec![behind.ready_s]);
    drop(dir);
    replay_day(options, &folder, report)
}

/// A day from the journal's beginning.
fn replay_day(options: &Options, folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    let vehicles = if options.quick { DAY_VEHICLES / 100 } else { DAY_VEHICLES };
    let dir = folder.new_inside()?;
    Archive::new(vehicles, DAY_FIXES)?.write(dir.path(), DAY_FIXES)?;
    let started = start(options, dir.path())?;
    let positions = i64::from(vehicles) * DAY_FIXES;
    report.add(&Figure {
        bench: "recovery",
        figure: "a day from the journal's beginning",
        unit: "positions/s",
        params: vec![("vehicles", json!(vehicles)), ("positions", json!(positions))],
        runs: vec![positions as f64 / started.ready_s],
    });
    Ok(())
}

/// A circle as GeoJSON.
fn feature(fence: &Fence) -> anyhow::Result<String> {
    let Shape::Circle { centre, radius_m } = &fence.shape else { bail!("fences of a country are circles") };
    let at = [centre.lon_degrees(), centre.lat_degrees()];
    let geometry = json!({"type": "Point", "coordinates": at});
    let properties = json!({"radius_m": radius_m});
    let id = fence.id.to_string();
    Ok(json!({"type": "Feature", "id": id, "properties": properties, "geometry": geometry}).to_string())
}

struct Started {
    ready_s: f64,
    steady_mib: f64,
    peak_mib: f64,
}

fn start(options: &Options, data: &Path) -> anyhow::Result<Started> {
    let began = Instant::now();
    let mut service = Service::start(&options.program, data)?;
    service.wait_until_ready()?;
    let ready_s = began.elapsed().as_secs_f64();
    std::thread::sleep(SETTLES);
    let memory = Memory::of(service.process_id())?;
    let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    Ok(Started { ready_s, steady_mib: mib(memory.resident_bytes), peak_mib: mib(memory.peak_bytes) })
}

/// A fleet whose last fixes are of now.
struct Archive {
    fleet: CountryFleet,
    /// From when fixes are made to when they are told.
    shift_ms: i64,
    has_fences: bool,
}

impl Archive {
    /// With room for so many fixes of each vehicle.
    fn new(vehicles: u32, fixes: i64) -> anyhow::Result<Archive> {
        let reports = Reports { driving_ms: REPORT_MS, parked_ms: REPORT_MS };
        let ends = TimeMs(wall_clock().0);
        let shift_ms = ends.0 - (fixes + 2) * REPORT_MS - DEFAULT_START.0;
        Ok(Archive { fleet: CountryFleet::new(vehicles, reports, SEED), shift_ms, has_fences: false })
    }

    /// Writes so many fixes of each vehicle.
    fn write(&mut self, data: &Path, slices: i64) -> anyhow::Result<()> {
        write_journal(data, |give| {
            let mut records = Bodies::new(sources::code::RECORDS, give);
            if !std::mem::replace(&mut self.has_fences, true) {
                for fence in self.fleet.country().fences(FENCES)? {
                    push_fence_upsert(&mut records.bytes, None, feature(&fence)?.as_bytes());
                    records.give_if_large()?;
                }
            }
            let mut slice: Vec<Seen> = Vec::new();
            for _ in 0..slices {
                self.fleet.next_slice(&mut slice);
                for seen in &slice {
                    let mut position = seen.position();
                    position.event_time = position.event_time.plus_ms(self.shift_ms);
                    let decoded =
                        PositionRef { vehicle_id: self.fleet.id(seen.truck), spelling: None, position };
                    sources::encode_position(&mut records.bytes, position.event_time, &decoded);
                    records.give_if_large()?;
                }
            }
            records.give_all()
        })
    }
}
