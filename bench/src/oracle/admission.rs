//! The walk over the input in order of arrival: each record's instant, what is refused, which fix of a
//! vehicle and time counts, the edits of fences, what is said of trips, locations and vehicles, the
//! settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Coord, Fence, GraphSettings, Motion, Position, RejectReason, RejectRow, SettingError, TimeMs, TimeZone,
};

use super::backfill::Opening;
use super::trips::Said;
use super::vehicles::Vehicles;
use super::{Input, alerts};

const FUTURE_TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// A position that was not refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fix {
    pub time: TimeMs,
    pub at: Coord,
    pub motion: Motion,
    pub seq: u64,
}

/// What happened to one fence.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Upsert(Arc<Fence>),
    Delete { at: TimeMs },
}

/// Everything that later steps need of the records so far.
pub(super) struct Admitted {
    clock: Clock,
    /// The last values of all settings.
    pub settings: GraphSettings,
    /// By vehicle and event time, the fix that counts.
    pub fixes: BTreeMap<String, BTreeMap<TimeMs, Fix>>,
    /// By fence, in order of arrival.
    pub fence_edits: BTreeMap<String, Vec<Edit>>,
    pub said: Said,
    pub alerts: alerts::Said,
    pub vehicles: Vehicles,
    /// By `seq`.
    pub rejects: BTreeMap<u64, RejectRow>,
    /// That of days and weeks: it is the setting's until something comes that KPIs count, and stays then.
    pub calendar_zone: TimeZone,
    has_begun: bool,
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
    /// Moves to the next record. `own_event_time` is that of a position that may move time.
    fn advance(&mut self, received: Option<TimeMs>, own_event_time: Option<TimeMs>) {
        let stated = match received {
            Some(received) => received,
            None => own_event_time.map_or(self.largest_seen, |own| own.max(self.largest_seen)),
        };
        self.instant = self.instant.max(stated);
        self.largest_seen = self.largest_seen.max(self.instant);
    }
}

impl Admitted {
    /// Before the first record.
    pub fn new(defaults: &GraphSettings) -> Admitted {
        Admitted {
            clock: Clock { instant: TimeMs(0), largest_seen: TimeMs(0) },
            settings: defaults.clone(),
            fixes: BTreeMap::new(),
            fence_edits: BTreeMap::new(),
            said: Said::default(),
            alerts: alerts::Said::default(),
            vehicles: Vehicles::default(),
            rejects: BTreeMap::new(),
            calendar_zone: defaults.zone.clone(),
            has_begun: false,
        }
    }

    /// The instant of the last record that [`arrive`](Admitted::arrive)d.
    pub fn instant(&self) -> TimeMs {
        self.clock.instant
    }

    /// A record arrives: time moves on. Nothing else happens before it is [taken](Admitted::take).
    pub fn arrive(&mut self, record: &Input) {
        let own_event_time = match record {
            Input::Position { position, .. } if refused_by_itself(position).is_none() => {
                Some(position.event_time)
            }
            _ => None,
        };
        self.clock.advance(record.received(), own_event_time);
    }

    /// The settings after a record of settings; `None` for other records. One bad name or value refuses all
    /// of it: half of a change is another change.
    pub fn changed_settings(&self, record: &Input) -> Option<Result<GraphSettings, SettingError>> {
        let Input::Settings { values, .. } = record else {
            return None;
        };
        let mut settings = self.settings.clone();
        let applied = values.iter().try_for_each(|(name, value)| settings.apply(name, value));
        Some(applied.map(|()| settings))
    }

    /// Applies the record that has arrived; `opening` says how far back corrections reach, and what backfills
    /// let in.
    pub fn take(&mut self, seq: u64, record: &Input, opening: &Opening<'_>) {
        match record {
            Input::Position { vehicle_id, position, .. } => {
                self.take_position(seq, vehicle_id, position, opening);
            }
            Input::Fence { fence, .. } => {
                self.fence_edits.entry(fence.id.to_string()).or_default().push(Edit::Upsert(fence.clone()));
            }
            Input::FenceDelete { id, at, .. } => {
                let at = at.unwrap_or(self.clock.instant);
                self.fence_edits.entry(id.clone()).or_default().push(Edit::Delete { at });
            }
            Input::Trip { id, edit, .. } => self.said.of_trip(id, edit, self.clock.instant),
            Input::Vehicle { id, edit, .. } => {
                self.vehicles.take(id, edit, self.clock.instant);
                self.alerts.of_vehicle(id, edit, opening.edge);
            }
            Input::Location { id, edit, .. } => self.said.of_location(id, edit),
            Input::Rule { rule, .. } => self.alerts.of_rule(rule, self.clock.instant, opening.edge),
            Input::ProviderAlert { alert, .. } => self.alerts.of_provider(alert, self.clock.instant),
            Input::Settings { .. } => match self.changed_settings(record) {
                Some(Ok(settings)) => self.settings = settings,
                _ => self.reject_as_malformed(seq),
            },
            Input::Malformed { .. } => self.reject_as_malformed(seq),
            Input::Backfill { .. } | Input::Clock { .. } | Input::Other { .. } => {}
        }
        let is_counted =
            matches!(record, Input::Trip { .. } | Input::Vehicle { .. } | Input::ProviderAlert { .. });
        self.has_begun |= is_counted || !self.fixes.is_empty();
        if !self.has_begun {
            self.calendar_zone = self.settings.zone.clone();
        }
    }

    fn take_position(&mut self, seq: u64, vehicle_id: &str, position: &Position, opening: &Opening<'_>) {
        // Only the horizon is looked at on the way; of all other settings the last value holds.
        let reason = match refusal(position, self.clock.instant, &self.settings, opening) {
            // It waits for a backfill.
            Some(RejectReason::TooLate) if position.exempt => None,
            Some(refused) => Some(refused),
            None => {
                self.clock.largest_seen = self.clock.largest_seen.max(position.event_time);
                if !self.fixes.contains_key(vehicle_id) {
                    self.fixes.insert(vehicle_id.to_owned(), BTreeMap::new());
                }
                if let Some(by_time) = self.fixes.get_mut(vehicle_id) {
                    keep_last_arrival(by_time, seq, position);
                }
                position.bad.any().then_some(RejectReason::BadValue)
            }
        };
        if let Some(reason) = reason {
            let names_fix = reason != RejectReason::Malformed;
            let fix = names_fix.then(|| (Arc::from(vehicle_id), position.event_time));
            self.rejects.insert(seq, RejectRow { seq, fix, reason });
        }
    }

    fn reject_as_malformed(&mut self, seq: u64) {
        self.rejects.insert(seq, RejectRow { seq, fix: None, reason: RejectReason::Malformed });
    }
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

/// Why a position that arrives at `instant` is refused. A horizon that has grown lets nothing in from before
/// the edge.
fn refusal(
    position: &Position,
    instant: TimeMs,
    settings: &GraphSettings,
    opening: &Opening<'_>,
) -> Option<RejectReason> {
    if let Some(reason) = refused_by_itself(position) {
        return Some(reason);
    }
    if position.event_time > instant.plus_ms(FUTURE_TOLERANCE_MS) {
        return Some(RejectReason::Future);
    }
    let is_before_edge = opening.edge.is_some_and(|edge| position.event_time < edge);
    let is_before_horizon = position.event_time < instant.plus_ms(-settings.horizon_ms);
    if (is_before_edge || is_before_horizon) && !opening.holds(position.event_time) {
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
    by_time.insert(time, Fix { time, at, motion: Motion::of(position), seq });
}
