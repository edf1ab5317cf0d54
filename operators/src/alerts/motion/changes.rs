//! What of which vehicle is to be judged anew.

use std::collections::BTreeMap;

use model::Why;

use super::vehicle::Anew;
use crate::fences::{FenceKey, NEVER};
use crate::presence::VehicleKey;
use crate::rows::{Delta, Derived};
use crate::trips::{TripDetail, TripKey, TripOut};

/// Stretches of time by vehicle.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<VehicleKey, Vec<Anew>>);

impl Changes {
    /// Fixes of a stretch may be judged otherwise, both of its ends included.
    pub fn note(&mut self, vehicle: VehicleKey, from: i64, to: i64, why: Why) {
        let of_vehicle = self.0.entry(vehicle).or_default();
        match of_vehicle.last_mut().filter(|last| last.from <= from && from <= last.to) {
            Some(last) => (last.to, last.why) = (last.to.max(to), last.why.stronger(why)),
            None => of_vehicle.push(Anew { from, to, why }),
        }
    }

    /// All stretches, in order and apart.
    pub fn take(&mut self) -> impl Iterator<Item = (VehicleKey, Vec<Anew>)> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(vehicle, mut all)| {
            all.sort_unstable_by_key(|anew| anew.from);
            all.dedup_by(|next, anew| {
                let meets = next.from <= anew.to;
                if meets {
                    (anew.to, anew.why) = (anew.to.max(next.to), anew.why.stronger(next.why));
                }
                meets
            });
            (vehicle, all)
        })
    }
}

/// Presences of a tick that matter, by vehicle, fence and beginning.
#[derive(Default)]
pub(super) struct PresencesChanged(BTreeMap<(VehicleKey, FenceKey, i64), Ends>);

struct Ends {
    /// When it ended, [`NEVER`] while it is open: of the rows that came and went.
    sums: BTreeMap<i64, i32>,
    why: Why,
}

impl PresencesChanged {
    pub fn note(&mut self, delta: &Delta) {
        let Derived::Presence { vehicle, fence, entered, end } = delta.row else { return };
        let exited = end.map_or(NEVER, |(time, _)| time);
        let of_key = self.0.entry((vehicle, fence, entered));
        let ends = of_key.or_insert_with(|| Ends { sums: BTreeMap::new(), why: delta.why });
        ends.why = ends.why.stronger(delta.why);
        *ends.sums.entry(exited).or_default() += i32::from(delta.diff);
    }

    pub fn into_changes(self, changes: &mut Changes) {
        for ((vehicle, _, entered), Ends { sums, why }) in self.0 {
            // At most one went, and one came.
            let mut changed = sums.into_iter().filter(|(_, sum)| *sum != 0).map(|(exited, _)| exited);
            match (changed.next(), changed.next()) {
                (Some(first), Some(second)) => changes.note(vehicle, first, second, why),
                (Some(exited), None) => changes.note(vehicle, entered, exited, why),
                (None, _) => {}
            }
        }
    }
}

/// Trips of a tick: each as it was before it, and as it is after it.
#[derive(Default)]
pub(super) struct TripsChanged(BTreeMap<(VehicleKey, TripKey), Trips>);

#[derive(Clone, Copy)]
struct Trips {
    before: Option<TripDetail>,
    after: Option<TripDetail>,
    why: Why,
}

impl TripsChanged {
    pub fn note(&mut self, delta: &Delta<TripOut>) {
        let detail = delta.row.detail;
        let is_new = Trips { before: None, after: None, why: delta.why };
        let trips = self.0.entry((detail.vehicle, detail.trip)).or_insert(is_new);
        trips.why = trips.why.stronger(delta.why);
        match (delta.diff > 0, trips.after) {
            (true, _) => trips.after = Some(detail),
            (false, Some(_)) => trips.after = None,
            (false, None) => trips.before = trips.before.or(Some(detail)),
        }
    }

    /// The vehicles whose trips changed, each with the last time at which one begins or ends, and why.
    pub fn into_changes(self, changes: &mut Changes) -> BTreeMap<VehicleKey, (i64, Why)> {
        let mut vehicles = BTreeMap::new();
        for ((vehicle, _), Trips { before, after, why }) in self.0 {
            let is_same_plan =
                before.zip(after).is_some_and(|(before, after)| order(&before) == order(&after));
            for of in [driven, on_its_way] {
                note_spans(
                    (before.and_then(|of_| of(&of_)), after.and_then(|of_| of(&of_))),
                    is_same_plan,
                    |from, to| {
                        changes.note(vehicle, from, to, why);
                    },
                );
            }
            let spans = [before, after]
                .into_iter()
                .flatten()
                .flat_map(|detail| [driven(&detail), on_its_way(&detail)]);
            let turns = spans.flatten().flat_map(|(from, to)| [from, to]).filter(|&at| at != NEVER);
            let last = turns.max().unwrap_or(i64::MIN);
            let known = vehicles.entry(vehicle).or_insert((last, why));
            *known = (known.0.max(last), known.1.stronger(why));
        }
        vehicles
    }
}

/// From a time until another one.
type Span = (i64, i64);

/// What else of a trip makes a difference while a vehicle is on it.
fn order(detail: &TripDetail) -> (i64, Option<FenceKey>) {
    (detail.scheduled_departure, detail.corridor)
}

/// When a vehicle was on a trip.
fn driven(detail: &TripDetail) -> Option<Span> {
    let from = detail.times.actual_departure.or(detail.times.arrival)?;
    let ends = [detail.times.offload, detail.ended_by_hand_at, detail.failed_by_itself_at];
    Some((from, ends.into_iter().flatten().min().unwrap_or(NEVER)))
}

/// When it was to be in its corridor.
fn on_its_way(detail: &TripDetail) -> Option<Span> {
    detail.corridor?;
    let ends = detail.times.arrival.or(detail.failed_by_itself_at);
    Some((detail.times.actual_departure?, ends.unwrap_or(NEVER)))
}

/// Tells the stretches in which only one of two spans is; all of both where `is_same` does not hold.
fn note_spans((before, after): (Option<Span>, Option<Span>), is_same: bool, mut note: impl FnMut(i64, i64)) {
    match (before, after) {
        (Some(before), Some(after)) if is_same => {
            for (a, b) in [(before.0, after.0), (before.1, after.1)] {
                if a != b {
                    note(a.min(b), a.max(b));
                }
            }
        }
        _ => [before, after].into_iter().flatten().for_each(|(from, to)| note(from, to)),
    }
}
