//! Trucks: where each was seen last, its recent track, and the fences it is in.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use model::state::{Loader, Saver, State, StateError};
use model::{Coord, Fix, TimeMs};
use rustc_hash::FxHashMap;

use super::pages::Page;

mod near;
#[cfg(test)]
mod tests;

pub(crate) use near::{Near, NearKey};

/// The most fixes that are kept of one truck: a day of one a second, and some.
const MAX_TRACK_FIXES: usize = 100_000;
/// How many trucks that were not heard of are looked at each tick, for fixes that are too old to keep.
const SWEPT_A_TICK: usize = 64;
/// A speed above this is unknown.
const MAX_SPEED_KMH: f64 = 300.0;

const HAS_IGNITION: u8 = 1;
const IGNITION_ON: u8 = 2;
const JUMP: u8 = 4;

/// A fix of a track. Compact, because there are many.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct TrackFix {
    pub event_time: TimeMs,
    pub seq: u64,
    pub at: Coord,
    /// NaN where unknown.
    speed_kmh: f32,
    /// NaN where unknown.
    heading: f32,
    /// NaN where unknown.
    accuracy_m: f32,
    flags: u8,
}

impl TrackFix {
    fn new(fix: &Fix) -> TrackFix {
        let position = &fix.position;
        let compact = |value: Option<f64>| value.map_or(f32::NAN, |v| v as f32);
        let ignition = match position.ignition {
            None => 0,
            Some(false) => HAS_IGNITION,
            Some(true) => HAS_IGNITION | IGNITION_ON,
        };
        TrackFix {
            event_time: position.event_time,
            seq: fix.seq,
            at: fix.at,
            speed_kmh: compact(position.speed_kmh.filter(|&speed| speed <= MAX_SPEED_KMH)),
            heading: compact(position.heading),
            accuracy_m: compact(position.accuracy_m),
            flags: ignition,
        }
    }

    pub fn speed_kmh(&self) -> Option<f32> {
        Some(self.speed_kmh).filter(|v| v.is_finite())
    }

    pub fn heading(&self) -> Option<f32> {
        Some(self.heading).filter(|v| v.is_finite())
    }

    pub fn accuracy_m(&self) -> Option<f32> {
        Some(self.accuracy_m).filter(|v| v.is_finite())
    }

    pub fn ignition(&self) -> Option<bool> {
        (self.flags & HAS_IGNITION != 0).then_some(self.flags & IGNITION_ON != 0)
    }

    /// Whether it is too far from the fixes around it to be true.
    pub fn is_jump(&self) -> bool {
        self.flags & JUMP != 0
    }
}

/// A truck as a reader gets it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct TruckView {
    pub vehicle_id: Arc<str>,
    pub spelling: Option<Arc<str>>,
    /// The newest fix by event time that is used.
    pub location: Option<TrackFix>,
    /// When the last record of it came in.
    pub last_received: TimeMs,
    /// Fences that it is in, and since when.
    pub fences: Vec<(Arc<str>, TimeMs)>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Truck {
    shown: TruckView,
    /// In order of event time, one fix each.
    #[serde(with = "packed")]
    track: VecDeque<TrackFix>,
}

/// Tracks as bytes: they are most of what the views keep.
mod packed {
    use std::collections::VecDeque;

    use model::{Coord, TimeMs};
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use super::TrackFix;

    const BYTES: usize = 37;

    fn pack(fix: &TrackFix) -> [u8; BYTES] {
        let TrackFix { event_time, seq, at, speed_kmh, heading, accuracy_m, flags } = fix;
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&event_time.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&seq.to_le_bytes());
        bytes[16..20].copy_from_slice(&at.lon.to_le_bytes());
        bytes[20..24].copy_from_slice(&at.lat.to_le_bytes());
        for (number, place) in [speed_kmh, heading, accuracy_m].into_iter().zip([24, 28, 32]) {
            bytes[place..place + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[36] = *flags;
        bytes
    }

    fn unpack(bytes: &[u8; BYTES]) -> TrackFix {
        let long = |from: usize| std::array::from_fn(|n| bytes[from + n]);
        let short = |from: usize| std::array::from_fn(|n| bytes[from + n]);
        TrackFix {
            event_time: TimeMs(i64::from_le_bytes(long(0))),
            seq: u64::from_le_bytes(long(8)),
            at: Coord { lon: i32::from_le_bytes(short(16)), lat: i32::from_le_bytes(short(20)) },
            speed_kmh: f32::from_le_bytes(short(24)),
            heading: f32::from_le_bytes(short(28)),
            accuracy_m: f32::from_le_bytes(short(32)),
            flags: bytes[36],
        }
    }

    pub fn serialize<S: Serializer>(track: &VecDeque<TrackFix>, to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = track.iter().flat_map(pack).collect();
        to.serialize_bytes(&bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VecDeque<TrackFix>, D::Error> {
        from.deserialize_bytes(Fixes)
    }

    struct Fixes;

    impl Visitor<'_> for Fixes {
        type Value = VecDeque<TrackFix>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "fixes of {BYTES} bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<VecDeque<TrackFix>, E> {
            let (fixes, rest) = bytes.as_chunks::<BYTES>();
            if !rest.is_empty() {
                return Err(E::invalid_length(bytes.len(), &self));
            }
            Ok(fixes.iter().map(unpack).collect())
        }
    }
}

/// All trucks.
pub(crate) struct Trucks {
    track_keep_ms: i64,
    slots: Vec<Truck>,
    /// Where each slot's truck is on the unit sphere; NaN where that is unknown. Apart from the slots, so
    /// that a search reads little memory.
    directions: Vec<[f32; 3]>,
    by_id: FxHashMap<Arc<str>, usize>,
    in_order: BTreeMap<Arc<str>, usize>,
    touched: Vec<usize>,
    sweep_at: usize,
    /// Fixes older than this are not kept.
    keep_from: TimeMs,
}

impl State for Trucks {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        let Trucks { track_keep_ms, slots, directions, by_id: _, in_order, touched, sweep_at, keep_from } =
            self;
        to.put(&(track_keep_ms, directions, in_order, touched, sweep_at, keep_from))?;
        to.put_all(slots)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        let track_keep_ms: i64;
        (track_keep_ms, self.directions, self.in_order, self.touched, self.sweep_at, self.keep_from) =
            from.take()?;
        if track_keep_ms != self.track_keep_ms {
            return Err(StateError::Unfit("tracks were kept for another time".to_owned()));
        }
        self.slots = from.take_all()?;
        self.by_id = self.in_order.clone().into_iter().collect();
        Ok(())
    }
}

impl Trucks {
    pub fn new(track_keep_ms: i64) -> Trucks {
        Trucks {
            track_keep_ms,
            slots: Vec::new(),
            directions: Vec::new(),
            by_id: FxHashMap::default(),
            in_order: BTreeMap::new(),
            touched: Vec::new(),
            sweep_at: 0,
            keep_from: TimeMs(i64::MIN),
        }
    }

    /// The newest event time of all tracks.
    pub fn newest_event(&self) -> Option<TimeMs> {
        self.slots.iter().filter_map(|truck| truck.track.back()).map(|fix| fix.event_time).max()
    }

    pub fn track_keep_ms(&self) -> i64 {
        self.track_keep_ms
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    fn slot_of(&mut self, vehicle_id: &Arc<str>) -> usize {
        if let Some(&slot) = self.by_id.get(vehicle_id) {
            return slot;
        }
        let slot = self.slots.len();
        let shown = TruckView {
            vehicle_id: vehicle_id.clone(),
            spelling: None,
            location: None,
            last_received: TimeMs(i64::MIN),
            fences: Vec::new(),
        };
        self.slots.push(Truck { shown, track: VecDeque::new() });
        self.directions.push([f32::NAN; 3]);
        self.by_id.insert(vehicle_id.clone(), slot);
        self.in_order.insert(vehicle_id.clone(), slot);
        slot
    }

    /// Whether a truck is known: a fix of it came.
    pub fn is_known(&self, vehicle_id: &str) -> bool {
        self.by_id.contains_key(vehicle_id)
    }

    /// Takes a fix of a tick that closes at `instant`. Jumps are flagged afterwards.
    pub fn add_fix(&mut self, fix: &Fix, instant: TimeMs) {
        self.keep_from = instant.plus_ms(self.track_keep_ms.saturating_neg());
        let slot = self.slot_of(&fix.vehicle_id);
        let truck = &mut self.slots[slot];
        truck.shown.last_received = truck.shown.last_received.max(fix.received);
        if fix.spelling.is_some() && truck.shown.spelling != fix.spelling {
            truck.shown.spelling.clone_from(&fix.spelling);
        }
        let new = TrackFix::new(fix);
        let is_old = new.event_time < self.keep_from
            && truck.shown.location.is_some_and(|current| current.event_time > new.event_time);
        if is_old || !insert_by_time(&mut truck.track, new) {
            return;
        }
        if truck.shown.location.is_none_or(|current| current.event_time <= new.event_time) {
            self.set_location(slot, Some(new));
        }
        self.touched.push(slot);
    }

    /// Flags a fix as a jump, or takes that back.
    pub fn flag_jump(&mut self, vehicle_id: &Arc<str>, event_time: TimeMs, seq: u64, is_jump: bool) {
        let Some(&slot) = self.by_id.get(vehicle_id) else { return };
        let track = &mut self.slots[slot].track;
        let Ok(at) = track.binary_search_by_key(&event_time, |fix| fix.event_time) else { return };
        if track[at].seq != seq {
            // The flag of a fix that a later one has replaced.
            return;
        }
        if is_jump {
            track[at].flags |= JUMP;
        } else {
            track[at].flags &= !JUMP;
        }
        let location = track.iter().rev().find(|fix| !fix.is_jump()).copied();
        self.set_location(slot, location);
    }

    /// Notes that a truck is in a fence since `entered`, or no longer. One that no fix makes known stays
    /// unknown: a backfill tells where vehicles were, and makes no trucks.
    pub fn set_present(&mut self, vehicle_id: &str, fence_id: &Arc<str>, entered: TimeMs, is_in: bool) {
        let Some(&slot) = self.by_id.get(vehicle_id) else { return };
        let fences = &mut self.slots[slot].shown.fences;
        let found = fences.binary_search_by(|(id, since)| (&**id, *since).cmp(&(&**fence_id, entered)));
        match (found, is_in) {
            (Err(at), true) => fences.insert(at, (fence_id.clone(), entered)),
            (Ok(at), false) => {
                fences.remove(at);
            }
            _ => {}
        }
    }

    fn set_location(&mut self, slot: usize, location: Option<TrackFix>) {
        let shown = &mut self.slots[slot].shown.location;
        if shown.map(|fix| fix.at) != location.map(|fix| fix.at) {
            self.directions[slot] = location.map_or([f32::NAN; 3], |fix| near::direction(fix.at));
        }
        *shown = location;
    }

    /// Lets go of what is too old: of the trucks of this tick, and of a few others in turn.
    pub fn trim(&mut self, instant: TimeMs) {
        self.keep_from = instant.plus_ms(self.track_keep_ms.saturating_neg());
        for slot in std::mem::take(&mut self.touched) {
            self.slots[slot].trim(self.keep_from);
        }
        for _ in 0..SWEPT_A_TICK.min(self.slots.len()) {
            self.sweep_at = (self.sweep_at + 1) % self.slots.len();
            self.slots[self.sweep_at].trim(self.keep_from);
        }
    }

    /// The truck with that id.
    pub fn get(&self, vehicle_id: &str) -> Option<&TruckView> {
        Some(&self.slots[*self.by_id.get(vehicle_id)?].shown)
    }

    /// Up to `limit` trucks in order of id.
    pub fn page(&self, after: Option<&str>, limit: usize) -> Page<TruckView, Arc<str>> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = self.in_order.range::<str, _>((first, Bound::Unbounded)).map(|(_, slot)| *slot);
        let rows: Vec<TruckView> =
            slots.by_ref().take(limit).map(|slot| self.slots[slot].shown.clone()).collect();
        let next =
            if slots.next().is_some() { rows.last().map(|last| last.vehicle_id.clone()) } else { None };
        Page { rows, next }
    }

    /// Up to `limit` fixes of a truck with event times in `[from, to)`, after a time. `None`: no such truck.
    pub fn track(
        &self,
        vehicle_id: &str,
        (from, to): (TimeMs, TimeMs),
        after: Option<TimeMs>,
        limit: usize,
    ) -> Option<Page<TrackFix, TimeMs>> {
        let track = &self.slots[*self.by_id.get(vehicle_id)?].track;
        let first = track.partition_point(|fix| {
            fix.event_time < from || after.is_some_and(|after| fix.event_time <= after)
        });
        let end = track.partition_point(|fix| fix.event_time < to).max(first);
        let rows: Vec<TrackFix> = track.range(first..end).take(limit).copied().collect();
        let next = if first + rows.len() < end { rows.last().map(|last| last.event_time) } else { None };
        Some(Page { rows, next })
    }
}

impl Truck {
    /// The current location stays, however old it is.
    fn trim(&mut self, keep_from: TimeMs) {
        let Some(current) = self.shown.location else { return };
        while let Some(oldest) = self.track.front() {
            let too_old = oldest.event_time < keep_from || self.track.len() > MAX_TRACK_FIXES;
            if !too_old || oldest.event_time >= current.event_time {
                break;
            }
            self.track.pop_front();
        }
        if self.track.capacity() > 64 && self.track.capacity() / 4 > self.track.len() {
            self.track.shrink_to(self.track.len() * 2);
        }
    }
}

/// Puts a fix into its place; of two with one event time the later arrival counts. `false`: it is not used.
fn insert_by_time(track: &mut VecDeque<TrackFix>, new: TrackFix) -> bool {
    if track.back().is_none_or(|last| last.event_time < new.event_time) {
        track.push_back(new);
        return true;
    }
    match track.binary_search_by_key(&new.event_time, |fix| fix.event_time) {
        Ok(at) if track[at].seq < new.seq => track[at] = new,
        Ok(_) => return false,
        Err(at) => track.insert(at, new),
    }
    true
}
