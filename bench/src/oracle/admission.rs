//! The walk over the input in order of arrival: each record's instant, what is refused, which fix of a
//! vehicle and time counts, the edits of fences, the settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Coord, Fence, GraphSettings, Position, RejectReason, RejectRow, TimeMs};

use super::Input;

const FUTURE_TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// A position that was not refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fix {
    pub time: TimeMs,
    pub at: Coord,
    pub seq: u64,
}

/// What happened to one fence.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Upsert(Arc<Fence>),
    Delete { at: TimeMs },
}

/// Everything that later steps need of the input.
pub(super) struct Admitted {
    /// The instant of the last record.
    pub instant: TimeMs,
    /// The last values of all settings.
    pub settings: GraphSettings,
    /// By vehicle and event time, the fix that counts.
    pub fixes: BTreeMap<String, BTreeMap<TimeMs, Fix>>,
    /// By fence, in order of arrival.
    pub fence_edits: BTreeMap<String, Vec<Edit>>,
    /// By `seq`.
    pub rejects: BTreeMap<u64, RejectRow>,
}

/// How time is known while records are walked.
struct Clock {
    /// The instant of the last record.
    instant: TimeMs,
    /// The largest of all instants and of the event times of accepted positions. It may be ahead of the
    /// instant, since a position may be a little ahead of its arrival.
    largest_seen: TimeMs,
}

impl Clock {
    /// Moves to the next record and gives its instant. `own_event_time` is that of a position that may
    /// move time.
    fn advance(&mut self, received: Option<TimeMs>, own_event_time: Option<TimeMs>) -> TimeMs {
        let stated = match received {
            Some(received) => received,
            None => own_event_time.map_or(self.largest_seen, |own| own.max(self.largest_seen)),
        };
        self.instant = self.instant.max(stated);
        self.largest_seen = self.largest_seen.max(self.instant);
        self.instant
    }
}

/// Walks the whole input.
pub(super) fn admit_all(input: &[Input], defaults: &GraphSettings) -> Admitted {
    let mut clock = Clock { instant: TimeMs(0), largest_seen: TimeMs(0) };
    let mut settings = defaults.clone();
    let mut fixes: BTreeMap<String, BTreeMap<TimeMs, Fix>> = BTreeMap::new();
    let mut fence_edits: BTreeMap<String, Vec<Edit>> = BTreeMap::new();
    let mut rejects = BTreeMap::new();
    for (seq, record) in (1_u64..).zip(input) {
        let own_event_time = match record {
            Input::Position { position, .. } if refused_by_itself(position).is_none() => {
                Some(position.event_time)
            }
            _ => None,
        };
        let instant = clock.advance(record.received(), own_event_time);
        match record {
            Input::Position { vehicle_id, position, .. } => {
                let reason = match refusal(position, instant, &settings) {
                    Some(refused) => Some(refused),
                    None => {
                        clock.largest_seen = clock.largest_seen.max(position.event_time);
                        if !fixes.contains_key(vehicle_id) {
                            fixes.insert(vehicle_id.clone(), BTreeMap::new());
                        }
                        if let Some(by_time) = fixes.get_mut(vehicle_id) {
                            keep_last_arrival(by_time, seq, position);
                        }
                        position.bad.any().then_some(RejectReason::BadValue)
                    }
                };
                if let Some(reason) = reason {
                    let names_fix = reason != RejectReason::Malformed;
                    let fix = names_fix.then(|| (Arc::from(vehicle_id.as_str()), position.event_time));
                    rejects.insert(seq, RejectRow { seq, fix, reason });
                }
            }
            Input::Fence { fence, .. } => {
                fence_edits.entry(fence.id.to_string()).or_default().push(Edit::Upsert(fence.clone()));
            }
            Input::FenceDelete { id, at, .. } => {
                let at = at.unwrap_or(instant);
                fence_edits.entry(id.clone()).or_default().push(Edit::Delete { at });
            }
            Input::Settings { values, .. } => {
                // One refused name or value refuses the record: half of a change is another change.
                let mut changed = settings.clone();
                if values.iter().all(|(name, value)| changed.apply(name, value).is_ok()) {
                    settings = changed;
                } else {
                    let row = RejectRow { seq, fix: None, reason: RejectReason::Malformed };
                    rejects.insert(seq, row);
                }
            }
            Input::Malformed { .. } => {
                rejects.insert(seq, RejectRow { seq, fix: None, reason: RejectReason::Malformed });
            }
            Input::Clock { .. } | Input::Other { .. } => {}
        }
    }
    // Only the horizon is looked at on the way; of all other settings the last value holds for all time.
    Admitted { instant: clock.instant, settings, fixes, fence_edits, rejects }
}

/// Why a position is refused, whenever it arrives. Such a position says nothing about time.
fn refused_by_itself(position: &Position) -> Option<RejectReason> {
    let Position { lon, lat, event_time, .. } = *position;
    if !lon.is_finite() || !lat.is_finite() {
        return Some(RejectReason::Malformed);
    }
    if lon.abs() > 180.0 || lat.abs() > 90.0 {
        return Some(RejectReason::OutOfRange);
    }
    if event_time < TimeMs::EARLIEST_EVENT || event_time >= TimeMs::LATEST_EVENT {
        return Some(RejectReason::OutOfRange);
    }
    if lon.abs() < 1e-4 && lat.abs() < 1e-4 {
        return Some(RejectReason::NullIsland);
    }
    None
}

/// Why a position that arrives at `instant` is refused.
fn refusal(position: &Position, instant: TimeMs, settings: &GraphSettings) -> Option<RejectReason> {
    if let Some(reason) = refused_by_itself(position) {
        return Some(reason);
    }
    if position.event_time > instant.plus_ms(FUTURE_TOLERANCE_MS) {
        return Some(RejectReason::Future);
    }
    if position.event_time < instant.plus_ms(-settings.horizon_ms) {
        return Some(RejectReason::TooLate);
    }
    None
}

/// One fix a vehicle and event time: the last arrival counts, but an exact repeat changes nothing.
fn keep_last_arrival(by_time: &mut BTreeMap<TimeMs, Fix>, seq: u64, position: &Position) {
    let units = |degrees: f64| (degrees * 1e7).round() as i32;
    let at = Coord { lon: units(position.lon), lat: units(position.lat) };
    let time = position.event_time;
    if by_time.get(&time).is_some_and(|kept| kept.at == at) {
        return;
    }
    by_time.insert(time, Fix { time, at, seq });
}
