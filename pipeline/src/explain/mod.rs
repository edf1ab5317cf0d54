//! Why a visit is as it is: the records behind it, read from the journal again.
//!
//! The journal is decoded as the service does at its start, for the positions of one vehicle around the visit and
//! the edits of one fence. What became of the positions, the kept rows say.

mod watch;

use std::collections::BTreeMap;

use journal::{Log, RowsSnapshot, StoreError};
use model::{
    ALWAYS, Coord, EndReason, GraphSettings, NEVER, PresenceRow, RejectReason, Row, Shape, Table, TimeMs,
    Timeline, Version, VisitRow, pair_subject, vehicle_subject,
};
use operators::spatial::PreparedShape;
use serde::Deserialize;

use watch::{Seen, SeenUpsert, Watch};

/// Records that were not used are told of from so long before the arrival to so long after the departure.
const AROUND_MS: i64 = 30 * 60_000;
/// How many presences are told of, and how many records that were not used; all are counted.
const MAX_TOLD: usize = 50;
/// Distances are found to this.
const PRECISION_M: f64 = 0.005;
/// More than half way round the earth.
const FARTHEST_M: f64 = 20_100_000.0;

/// Why a visit could not be explained.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExplainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the journal is too long to be read in the time that was given")]
    GaveUp,
}

/// Why a visit is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The visit.
    pub visit: VisitRow,
    /// The instant that all this is exact for.
    pub instant: TimeMs,
    /// The fix that it began with.
    pub entered: Option<Sighting>,
    /// The last fix before it ended, or until now.
    pub last_inside: Option<Sighting>,
    /// The fix that ended it.
    pub left: Option<Sighting>,
    /// How many fixes were used from its arrival to its departure.
    pub fixes_used: u64,
    /// The presences that it joins, the first ones of many.
    pub presences: Vec<PresenceRow>,
    /// How the last of them ended.
    pub end_reason: Option<EndReason>,
    /// The version of the fence that was in force at its arrival.
    pub fence: Option<FenceInForce>,
    /// How long a stay must be.
    pub min_dwell: Rule,
    /// How long an absence may be that does not end a stay.
    pub max_absence: Rule,
    /// Records around it that were not used, the first ones of many.
    pub unused: Vec<Unused>,
    /// How many those are.
    pub unused_count: usize,
}

/// A position of the vehicle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Position of the record in the whole input.
    pub seq: u64,
    /// When the vehicle was there.
    pub time: TimeMs,
    /// When that became known.
    pub received: TimeMs,
    /// Longitude, degrees.
    pub lon: f64,
    /// Latitude, degrees.
    pub lat: f64,
    /// How far that is from the fence; `None` where no version of the fence is valid then.
    pub distance: Option<Distance>,
}

/// How far a position is from a fence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// Metres; 0 inside.
    pub metres: f64,
    /// How far outside a vehicle must be to have left.
    pub buffer_m: f64,
}

/// A version of the fence.
#[derive(Clone, Debug, PartialEq)]
pub struct FenceInForce {
    /// The record that brought it.
    pub seq: u64,
    /// When that came.
    pub received: TimeMs,
    /// What people call the fence.
    pub name: String,
    /// What it looks like.
    pub shape: String,
    /// From when on it is valid; `None`: from ever.
    pub from: Option<TimeMs>,
    /// Until when it is valid; `None`: for ever.
    pub to: Option<TimeMs>,
    /// Whether it is in force at the times of a schedule only.
    pub has_schedule: bool,
    /// How far outside a vehicle must be to have left.
    pub exit_buffer: Rule,
}

/// A setting, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Seconds or metres.
    pub value: f64,
    /// Whether it is the fence's own; else it is the fleet's.
    pub is_of_fence: bool,
}

/// A record that was not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Unused {
    /// What it said.
    pub sighting: Sighting,
    /// Why it was not used.
    pub reason: UnusedReason,
}

/// Why a record was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusedReason {
    /// It is a reject.
    Rejected(RejectReason),
    /// Another record, of the same vehicle and time, came later.
    SupersededBy(u64),
}

/// Explains a visit that stands in `kept`, from the records up to the tick of those rows. It reads all of them,
/// as long as it may.
pub fn explain_visit(
    log: &dyn Log,
    kept: &RowsSnapshot,
    visit: &VisitRow,
    may_go_on: &dyn Fn() -> bool,
) -> Result<Explanation, ExplainError> {
    let (to_tick, instant_ms) = kept.last_tick().unwrap_or_default();
    let end = visit.departed.map_or(i64::MAX, |time| time.0);
    let mut watch = Watch::new(visit, AROUND_MS);
    watch.read(log, to_tick, may_go_on)?;
    let settings = watch.settings;
    watch.fence.set_zone(&settings.zone);
    let mut scene = Scene { fence: &watch.fence, settings: &settings, shapes: BTreeMap::new() };
    let rejected = rejects_of(kept, &visit.vehicle_id)?;
    let (good, unused) = judge(watch.positions, &rejected);
    let (presences, end_reason) = presences_of(kept, visit)?;
    let exited = visit.departed.filter(|_| end_reason == Some(EndReason::Exit));
    let within = good.range(visit.arrived..TimeMs(end)).map(|(_, seen)| seen);
    let version = watch.fence.at(visit.arrived.0);
    let own = version.map(|version| &version.settings);
    let seconds = |own: Option<i64>, fleet: i64| Rule {
        value: own.unwrap_or(fleet) as f64 / 1000.0,
        is_of_fence: own.is_some(),
    };
    Ok(Explanation {
        instant: TimeMs(instant_ms),
        entered: good.get(&visit.arrived).map(|seen| scene.sighting(seen)),
        last_inside: within.clone().next_back().map(|seen| scene.sighting(seen)),
        left: exited.and_then(|time| good.get(&time)).map(|seen| scene.sighting(seen)),
        fixes_used: within.count() as u64,
        presences,
        end_reason,
        fence: version.map(|version| in_force(version, &settings)),
        min_dwell: seconds(own.and_then(|s| s.min_dwell_ms), settings.min_dwell_ms),
        max_absence: seconds(own.and_then(|s| s.max_absence_ms), settings.max_absence_ms),
        unused_count: unused.len(),
        unused: unused
            .iter()
            .take(MAX_TOLD)
            .map(|(seen, reason)| Unused { sighting: scene.sighting(seen), reason: *reason })
            .collect(),
        visit: visit.clone(),
    })
}

/// The fence over time, and how far positions are from it.
struct Scene<'a> {
    fence: &'a Timeline<SeenUpsert>,
    settings: &'a GraphSettings,
    /// By the record that brought the version.
    shapes: BTreeMap<u64, PreparedShape>,
}

impl Scene<'_> {
    fn sighting(&mut self, seen: &Seen) -> Sighting {
        let Seen { seq, time, received, lon, lat } = *seen;
        Sighting { seq, time, received, lon, lat, distance: self.distance(seen) }
    }

    fn distance(&mut self, seen: &Seen) -> Option<Distance> {
        let version = self.fence.at(seen.time.0)?;
        let at = Coord::from_degrees(seen.lon, seen.lat).ok()?;
        let upsert = &version.payload;
        let shape = self.shapes.entry(upsert.seq).or_insert_with(|| PreparedShape::new(&upsert.fence.shape));
        let buffer_m = version.settings.exit_buffer_m.unwrap_or(self.settings.exit_buffer_m);
        Some(Distance { metres: distance_m(shape, at), buffer_m })
    }
}

/// The distance of a position to a shape, found by the very test that decides who has left.
fn distance_m(shape: &PreparedShape, at: Coord) -> f64 {
    if shape.covers(at) {
        return 0.0;
    }
    let (mut beyond_m, mut within_m) = (0.0, 1.0);
    while within_m < FARTHEST_M && !shape.covers_or_within(at, within_m) {
        (beyond_m, within_m) = (within_m, within_m * 2.0);
    }
    while within_m - beyond_m > PRECISION_M {
        let middle_m = f64::midpoint(beyond_m, within_m);
        if shape.covers_or_within(at, middle_m) {
            within_m = middle_m;
        } else {
            beyond_m = middle_m;
        }
    }
    within_m
}

fn in_force(version: &Version<SeenUpsert>, settings: &GraphSettings) -> FenceInForce {
    let own_buffer_m = version.settings.exit_buffer_m;
    FenceInForce {
        seq: version.payload.seq,
        received: version.payload.received,
        name: version.payload.fence.name.to_string(),
        shape: match &version.payload.fence.shape {
            Shape::Circle { radius_m, .. } => format!("a circle with a radius of {radius_m} m"),
            Shape::Corridor { width_m, .. } => format!("a corridor {width_m} m wide"),
            Shape::Polygon { parts } if parts.len() == 1 => "a polygon".to_owned(),
            Shape::Polygon { parts } => format!("a polygon of {} parts", parts.len()),
        },
        from: (version.from != ALWAYS).then_some(TimeMs(version.from)),
        to: (version.to != NEVER).then_some(TimeMs(version.to)),
        has_schedule: version.settings.active.is_some(),
        exit_buffer: Rule {
            value: own_buffer_m.unwrap_or(settings.exit_buffer_m),
            is_of_fence: own_buffer_m.is_some(),
        },
    }
}

/// Tells the fixes that were used, by time, from the others.
fn judge(
    positions: Vec<Seen>,
    rejected: &BTreeMap<u64, RejectReason>,
) -> (BTreeMap<TimeMs, Seen>, Vec<(Seen, UnusedReason)>) {
    let mut standing: BTreeMap<TimeMs, Seen> = BTreeMap::new();
    let mut unused = Vec::new();
    for seen in positions {
        match rejected.get(&seen.seq) {
            None | Some(RejectReason::Jump) => {}
            Some(reason) => {
                unused.push((seen, UnusedReason::Rejected(*reason)));
                continue;
            }
        }
        let place = |seen: &Seen| Coord::from_degrees(seen.lon, seen.lat);
        match standing.get_mut(&seen.time) {
            // A repeat changes nothing: the first record stays.
            Some(before) if place(before) == place(&seen) => {}
            Some(before) => {
                let before = std::mem::replace(before, seen);
                unused.push((before, UnusedReason::SupersededBy(seen.seq)));
            }
            None => {
                standing.insert(seen.time, seen);
            }
        }
    }
    standing.retain(|_, seen| {
        let reason = rejected.get(&seen.seq);
        unused.extend(reason.map(|reason| (*seen, UnusedReason::Rejected(*reason))));
        reason.is_none()
    });
    unused.sort_by_key(|(seen, _)| (seen.time, seen.seq));
    (standing, unused)
}

#[derive(Deserialize)]
struct KeptReject<'a> {
    seq: u64,
    reason: &'a str,
}

/// Why records of a vehicle were not used, by record.
fn rejects_of(kept: &RowsSnapshot, vehicle_id: &str) -> Result<BTreeMap<u64, RejectReason>, StoreError> {
    let mut reasons = BTreeMap::new();
    for row in kept.of_subject(Table::Rejects.code(), &vehicle_subject(vehicle_id), &[]) {
        let (_, row) = row?;
        let kept: KeptReject<'_> = serde_json::from_slice(&row).map_err(|error| damaged(&row, &error))?;
        let reason = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == kept.reason);
        // Such a record is used, without the value.
        let is_unused = |reason: &RejectReason| *reason != RejectReason::BadValue;
        reasons.extend(reason.filter(is_unused).map(|reason| (kept.seq, reason)));
    }
    Ok(reasons)
}

#[derive(Deserialize)]
struct KeptPresence {
    entered: String,
    exited: Option<String>,
    end_reason: Option<String>,
}

/// The presences that a visit joins, the first ones of many, and how the last one ended.
fn presences_of(
    kept: &RowsSnapshot,
    visit: &VisitRow,
) -> Result<(Vec<PresenceRow>, Option<EndReason>), StoreError> {
    let (vehicle_id, fence_id) = (&visit.vehicle_id, &visit.fence_id);
    let presence = |entered, end| PresenceRow {
        vehicle_id: vehicle_id.clone(),
        fence_id: fence_id.clone(),
        entered,
        end,
    };
    let subject = pair_subject(vehicle_id, fence_id);
    let before = Row::Presence(presence(TimeMs(visit.arrived.0 - 1), None)).key_bytes();
    let (mut presences, mut last_end) = (Vec::new(), None);
    for row in kept.after(Table::Presences.code(), &before).take(visit.presences as usize) {
        let (key, row) = row?;
        if !key.starts_with(&subject) {
            break;
        }
        let kept: KeptPresence = serde_json::from_slice(&row).map_err(|error| damaged(&row, &error))?;
        let time = |text: &str| TimeMs::parse_rfc3339(text).map_err(|error| damaged(&row, &error));
        let reasons = [EndReason::Exit, EndReason::FenceDeleted, EndReason::FenceEnded];
        let reason = reasons.into_iter().find(|reason| Some(reason.as_str()) == kept.end_reason.as_deref());
        let exited = kept.exited.as_deref().map(time).transpose()?;
        last_end = reason;
        if presences.len() < MAX_TOLD {
            presences.push(presence(time(&kept.entered)?, exited.zip(reason)));
        }
    }
    Ok((presences, last_end))
}

fn damaged(row: &[u8], error: &dyn std::fmt::Display) -> StoreError {
    let what = format!("a kept row can't be read ({error}): {}", String::from_utf8_lossy(row));
    StoreError::Damaged { what }
}

#[cfg(test)]
mod tests;
