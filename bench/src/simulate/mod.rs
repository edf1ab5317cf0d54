//! A simulated Lagos fleet: its positions, its fences, and the truth about both.
//!
//! ```text
//! world   places, fences (and their edits), roads        lagos, layout, shapes, roads, world, index
//!   |
//! life    a truck's day, fix by fix                      life: a pure function of (seed, truck, day)
//!   |  \
//!   |   arrivals   late, silent, repeated                in slices of time, bounded memory
//!   |      |
//!   |    trips     what people plan for it               a pure function of (seed, truck, day), too
//!   |   /  |
//! truth  files                                           truck by truck; truth_alerts, _kpis, _files, write
//! ```
//!
//! Truth is known by construction: every fix keeps 50 m from each border that decides (a
//! fence's own and the one grown by its exit buffer, before and after an edit), so that the simulator's plain
//! geometry can't be wrong about it. With noise the margins are off, and truth is what a perfect observer saw.
//!
//! The truth is that of the default settings, as a replay shows it: in a running service corrections of fences
//! reach back no further than its `history.keep_h`.

mod arrivals;
mod fleet;
mod index;
mod lagos;
mod layout;
mod life;
mod plane;
pub mod prng;
#[cfg(test)]
mod replay_tests;
mod roads;
mod shapes;
#[cfg(test)]
mod tests;
mod trips;
mod truth;
mod truth_alerts;
mod truth_files;
mod truth_kpis;
mod world;
mod write;

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use model::TimeMs;

pub use fleet::{Fleet, FleetOptions, FleetPosition, fences, fleet};
pub use layout::Layout;

pub(crate) use arrivals::{ArrivalRules, Arrivals, Arrived};
pub(crate) use life::{Fix, Sample, TruckLife, day_start, local_day, truck_name};
pub(crate) use shapes::feature_json;
pub(crate) use trips::{Planning, TripAct, TripStream, push_location_upsert, push_trip_act};
pub(crate) use world::{World, WorldOptions};
pub(crate) use write::push_fence_upsert;

use arrivals::ArrivalCounts;
use truth_files::TruthFiles;
use world::EditKind;
use write::{CSV_HEADER, FixWriter, push_fence_delete};

/// 2026-01-05T00:00:00Z: when a simulation starts unless told otherwise.
pub const DEFAULT_START: TimeMs = TimeMs(1_767_571_200_000);

/// A moving truck has a fix this often.
pub const FIX_INTERVAL_MS: i64 = roads::STEP_S as i64 * 1000;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many trucks.
    pub vehicles: u32,
    /// How many fences: the map's places first, then further client sites along its roads.
    pub fences: u32,
    /// For how long, in hours.
    pub hours: f64,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// The folder to write into.
    pub out: PathBuf,
    /// The first moment.
    pub start: TimeMs,
    /// Share of fixes, 0 to 1, that arrive minutes to hours late.
    pub late: f64,
    /// Share of fixes that arrive twice.
    pub duplicates: f64,
    /// Share of fences that are corrected or deleted during the run.
    pub edits: f64,
    /// Blur, spikes and fixes at borders.
    pub noise: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            vehicles: 84,
            fences: 60,
            hours: 24.0,
            seed: 1,
            out: PathBuf::from("simulated"),
            start: DEFAULT_START,
            late: 0.0,
            duplicates: 0.0,
            edits: 0.0,
            noise: false,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines of `records.ndjson`.
    pub records: u64,
    /// Positions, repeats not counted.
    pub fixes: u64,
    /// Positions that arrived late by chance.
    pub late: u64,
    /// Positions that arrived in a burst after a dead zone.
    pub silent: u64,
    /// Positions that arrived twice.
    pub repeats: u64,
    /// Edits of fences.
    pub edits: u64,
    /// What was done to trips: planned, planned anew, cancelled, a status set by hand.
    pub trip_acts: u64,
    /// Lines of `truth/presences.ndjson`.
    pub presences: u64,
    /// Lines of `truth/visits.ndjson`.
    pub visits: u64,
    /// Lines of `truth/trips.ndjson`.
    pub trips: u64,
    /// Lines of `truth/alerts.ndjson`.
    pub alerts: u64,
    /// Lines of `truth/kpis.ndjson`.
    pub kpis: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} records: {} fixes ({} late, {} after dead zones), {} repeats, {} edits of fences, {} of trips",
            self.records, self.fixes, self.late, self.silent, self.repeats, self.edits, self.trip_acts
        )?;
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        write!(
            f,
            "truth: {} presences, {} visits, {} trips, {} alerts, {} KPIs; {seconds:.1} s, {:.0} records/s",
            self.presences,
            self.visits,
            self.trips,
            self.alerts,
            self.kpis,
            self.records as f64 / seconds
        )
    }
}

/// About so many positions are made at a time.
const POSITIONS_A_SLICE: i64 = 400_000;
/// Buffers are written out when they are this large.
const WRITE_AT_BYTES: usize = 1 << 20;
const MS_PER_HOUR: f64 = 3_600_000.0;

/// Simulates a fleet and writes `positions.csv`, `fences.geojson`, `records.ndjson` and `truth/*.ndjson`.
///
/// `progress` is told how much of the work is done, in an arbitrary unit.
pub fn run(options: &Options, progress: &dyn Fn(u64, u64)) -> anyhow::Result<Summary> {
    run_seen_at(options, |last| last, progress)
}

/// The same, with the truth as it is when a clock has gone on: `seen_at` gives that instant, from the last record's.
fn run_seen_at(
    options: &Options,
    seen_at: impl FnOnce(TimeMs) -> TimeMs,
    progress: &dyn Fn(u64, u64),
) -> anyhow::Result<Summary> {
    let started = Instant::now();
    check(options)?;
    let end = options.start.plus_ms((options.hours * MS_PER_HOUR).round() as i64);
    let world = World::new(&WorldOptions {
        fences: options.fences,
        seed: options.seed,
        layout: Layout::Lagos,
        edits: (options.edits > 0.0).then_some((options.edits, options.start, end)),
    });
    let truth_dir = options.out.join("truth");
    fs::create_dir_all(&truth_dir).with_context(|| format!("cannot create {}", truth_dir.display()))?;
    let names: Vec<Arc<str>> = (0..options.vehicles).map(|truck| truck_name(truck).into()).collect();
    write_features(&world, &options.out.join("fences.geojson"))?;
    let total = 2 * (end.0 - options.start.0) as u64;
    let mut summary = Summary::default();
    let planning =
        Planning { trucks: options.vehicles, noise: options.noise, from: options.start, by: Some(end) };
    let last =
        write_records(options, &planning, end, &world, &names, &mut summary, &|done| progress(done, total))?;
    let instant = seen_at(last);
    let seen = truth::Observation { from: options.start, to: end, instant, noise: options.noise };
    let mut files = TruthFiles::create(&truth_dir)?;
    files.write(&world, &names, &planning, &seen, &mut summary, &|done| progress(total / 2 + done, total))?;
    progress(total, total);
    summary.elapsed = started.elapsed();
    Ok(summary)
}

fn check(options: &Options) -> anyhow::Result<()> {
    ensure!(options.vehicles >= 1, "at least one vehicle is needed; ask for --vehicles 1 or more");
    ensure!(
        options.vehicles <= 5_000_000,
        "at most 5,000,000 vehicles, and {} are asked for",
        options.vehicles
    );
    ensure!(options.fences <= 5_000_000, "at most 5,000,000 fences, and {} are asked for", options.fences);
    let hours_ok = options.hours > 0.0 && options.hours <= 24.0 * 366.0;
    ensure!(hours_ok, "--hours must be more than 0 and at most 8784, and is {}", options.hours);
    for (name, share) in
        [("--late", options.late), ("--duplicates", options.duplicates), ("--edits", options.edits)]
    {
        ensure!((0.0..=1.0).contains(&share), "{name} must be a share from 0 to 1, and is {share}");
    }
    let latest = TimeMs::LATEST_EVENT.plus_ms(-(25.0 * 366.0 * MS_PER_HOUR) as i64);
    let start_ok = options.start >= TimeMs::EARLIEST_EVENT && options.start <= latest;
    ensure!(start_ok, "--start must be from 2000 to 2098, and is {}", options.start);
    Ok(())
}

/// A file whose bytes are collected before they are written.
struct Output {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
}

impl Output {
    fn create(path: &Path) -> anyhow::Result<Output> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Output { path: path.to_owned(), file, buffer: Vec::with_capacity(WRITE_AT_BYTES + 4096) })
    }

    fn write_if_large(&mut self) -> anyhow::Result<()> {
        if self.buffer.len() >= WRITE_AT_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn write_features(world: &World, path: &Path) -> anyhow::Result<()> {
    let mut output = Output::create(path)?;
    output.buffer.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":[\n");
    for (number, fence) in world.fences.iter().enumerate() {
        if number > 0 {
            output.buffer.extend_from_slice(b",\n");
        }
        output.buffer.extend_from_slice(&feature_json(&fence.label, &fence.first));
        output.write_if_large()?;
    }
    output.buffer.extend_from_slice(b"\n]}\n");
    output.write()
}

/// Edits of fences still to come, the next one last.
struct PendingEdits<'a> {
    world: &'a World,
    latest_first: Vec<(TimeMs, usize)>,
}

impl PendingEdits<'_> {
    fn new(world: &World) -> PendingEdits<'_> {
        let received =
            |(number, fence): (usize, &world::SimFence)| Some((fence.edit.as_ref()?.received, number));
        let mut latest_first: Vec<_> = world.fences.iter().enumerate().filter_map(received).collect();
        latest_first.sort_unstable_by(|a, b| b.cmp(a));
        PendingEdits { world, latest_first }
    }

    /// Appends the edits that arrive no later than `time`; the number of them.
    fn write_until(&mut self, time: TimeMs, records: &mut Vec<u8>) -> u64 {
        let mut count = 0;
        while let Some(&(received, number)) = self.latest_first.last().filter(|next| next.0 <= time) {
            self.latest_first.pop();
            let fence = &self.world.fences[number];
            match fence.edit.as_ref().map(|edit| &edit.kind) {
                Some(EditKind::Reshape(area)) => {
                    push_fence_upsert(records, Some(received), &feature_json(&fence.label, area));
                }
                Some(EditKind::Delete(at)) => push_fence_delete(records, received, &fence.label.id, *at),
                None => continue,
            }
            count += 1;
        }
        count
    }
}

/// Writes positions and records; says when the last one arrived.
fn write_records(
    options: &Options,
    planning: &Planning,
    end: TimeMs,
    world: &World,
    names: &[Arc<str>],
    summary: &mut Summary,
    progress: &dyn Fn(u64),
) -> anyhow::Result<TimeMs> {
    let mut csv = Output::create(&options.out.join("positions.csv"))?;
    let mut records = Output::create(&options.out.join("records.ndjson"))?;
    csv.buffer.extend_from_slice(CSV_HEADER);
    for fence in &world.fences {
        push_fence_upsert(
            &mut records.buffer,
            Some(options.start),
            &feature_json(&fence.label, &fence.first),
        );
        records.write_if_large()?;
    }
    let mut locations = 0;
    for place in 0..world.places.len() as u32 {
        locations += u64::from(push_location_upsert(&mut records.buffer, world, place, Some(options.start)));
        records.write_if_large()?;
    }
    let mut instant = options.start;
    let mut edits = PendingEdits::new(world);
    let mut trips = TripStream::new(*planning);
    let rules = ArrivalRules {
        late: options.late,
        duplicates: options.duplicates,
        noise: options.noise,
        all_by: Some(end),
    };
    let mut arrivals = Arrivals::new(world, options.vehicles, options.start, rules);
    let mut writer = FixWriter::default();
    let slice_ms = (POSITIONS_A_SLICE * 40 / i64::from(options.vehicles)).clamp(5, 3600) * 1000;
    let mut now = options.start;
    let mut arrived = Vec::new();
    while now < end {
        now = now.plus_ms(slice_ms).min(end);
        arrived.clear();
        arrivals.until(world, now, &mut arrived);
        if now == end {
            arrivals.rest(&mut arrived);
        }
        for next in &arrived {
            summary.edits += edits.write_until(next.received, &mut records.buffer);
            while let Some(act) = trips.next_until(world, next.received) {
                push_trip_act(&mut records.buffer, world, &act, Some(act.received));
                summary.trip_acts += 1;
            }
            let name = &names[next.truck as usize];
            writer.write(name, &next.fix, next.received, &mut csv.buffer, &mut records.buffer);
            instant = next.received;
            csv.write_if_large()?;
            records.write_if_large()?;
        }
        progress((now.0 - options.start.0) as u64);
    }
    let last_edit = edits.latest_first.first().map(|edit| edit.0);
    while let Some(act) = trips.next_until(world, end) {
        instant = instant.max(act.received);
        summary.edits += edits.write_until(act.received, &mut records.buffer);
        push_trip_act(&mut records.buffer, world, &act, Some(act.received));
        summary.trip_acts += 1;
        records.write_if_large()?;
    }
    summary.edits += edits.write_until(end, &mut records.buffer);
    instant = instant.max(last_edit.unwrap_or(instant));
    csv.write()?;
    records.write()?;
    let ArrivalCounts { fixes, late, silent, repeats } = arrivals.counts;
    (summary.fixes, summary.late, summary.silent, summary.repeats) = (fixes, late, silent, repeats);
    let created = world.fences.len() as u64 + locations;
    summary.records = created + summary.edits + summary.trip_acts + fixes + repeats;
    Ok(instant)
}
