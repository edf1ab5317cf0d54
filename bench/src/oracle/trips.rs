//! Trips of one vehicle: which visit served which, and where the others are.
//!
//! ```text
//!                 opens                S                    limit
//!   ----------------|------------------|---------------------|-------------->
//!                                       no later arrival at the pickup counts
//!        pickup |-------|   <- counts: departed after `opens`, and after `since`
//!                             delivery |------|   <- serves the first trip, in order, that it can
//!                                      the next `since`
//! ```
//!
//! Visits to deliveries are taken in order, each serves one trip or none. What is left over then is judged by
//! the instant: ended by hand, failed, current or planned. What plans leave of the visits may make trips, too: see
//! `auto`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{LocationEdit, LocationKind, TimeMs, TripEdit, TripPlan, TripRow, TripStatus, VisitRow};

use super::admission::{Admitted, Fix};
pub(super) use auto::AutoTrip;
use moments::{Moments, moments};
use row::{Outcome, Times, row};

mod auto;
pub(super) mod moments;
mod row;

/// What all records so far have said of trips and locations. What is said of a trip before its plan waits for it.
#[derive(Default)]
pub(super) struct Said {
    /// By trip, its last plan.
    plans: BTreeMap<String, Arc<TripPlan>>,
    /// By trip, in order of arrival.
    statuses: BTreeMap<String, Vec<HandStatus>>,
    /// By location, its fence and its kind.
    locations: BTreeMap<String, (Option<Arc<str>>, Option<LocationKind>)>,
}

/// A status that was set by hand; `None` is back to the inferred one.
#[derive(Clone, Debug)]
struct HandStatus {
    at: TimeMs,
    status: Option<TripStatus>,
    by: Arc<str>,
}

impl Said {
    pub fn of_trip(&mut self, id: &str, edit: &TripEdit, instant: TimeMs) {
        match edit {
            TripEdit::Plan(plan) => {
                self.plans.insert(id.to_owned(), plan.clone());
            }
            TripEdit::SetStatus { status, by } => {
                let set = HandStatus { at: instant, status: *status, by: by.clone() };
                self.statuses.entry(id.to_owned()).or_default().push(set);
            }
        }
    }

    pub fn of_location(&mut self, id: &str, edit: &LocationEdit) {
        match edit {
            LocationEdit::Upsert { fence_id, kind } => {
                self.locations.insert(id.to_owned(), (fence_id.clone(), *kind))
            }
            LocationEdit::Delete => self.locations.remove(id),
        };
    }

    /// The places at a fence: the locations there; where there are none, the fence itself, unless that is the
    /// id of a location elsewhere.
    pub fn places_at(&self, fence_id: &str) -> Vec<Arc<str>> {
        let here = self.locations.iter().filter(|(_, (fence, _))| fence.as_deref() == Some(fence_id));
        let places: Vec<Arc<str>> = here.map(|(id, _)| id.as_str().into()).collect();
        if places.is_empty() && !self.locations.contains_key(fence_id) {
            return vec![fence_id.into()];
        }
        places
    }

    /// The fence of a location; where no location has that id, it is that of a fence. `None`: a location
    /// without a fence.
    fn fence_of(&self, place: &Arc<str>) -> Option<Arc<str>> {
        self.locations.get(&**place).map_or_else(|| Some(place.clone()), |(fence, _)| fence.clone())
    }
}

/// A trip, and what of it does not depend on any visit.
struct Trip<'a> {
    id: &'a str,
    plan: &'a Arc<TripPlan>,
    pickup_fence: Option<Arc<str>>,
    delivery_fence: Option<Arc<str>>,
    opens: TimeMs,
    limit: TimeMs,
    no_arrival_ms: i64,
    /// Ended by hand: when, and as what.
    end: Option<(TimeMs, TripStatus)>,
    /// In order of arrival.
    set_by_hand: &'a [HandStatus],
    /// The last status set by hand.
    hand: Option<(TripStatus, Arc<str>)>,
}

/// The visits to a trip's pickup that count.
#[derive(Clone, Copy, Debug)]
struct Pickup {
    arrival: TimeMs,
    /// `None`: the vehicle is still there.
    departure: Option<TimeMs>,
}

/// What has become of a trip: its row, and what of it the row does not say.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub row: TripRow,
    pub plan: Arc<TripPlan>,
    pub pickup_fence: Option<Arc<str>>,
    pub delivery_fence: Option<Arc<str>>,
    pub opens: TimeMs,
    /// By hand, whether it was served or not.
    pub ended_at: Option<TimeMs>,
    /// By itself.
    pub failed_at: Option<TimeMs>,
    pub moments: Moments,
}

/// All trips.
#[derive(Clone, Debug, Default)]
pub(super) struct Trips {
    /// Those that were planned, in the order of their ids.
    pub planned: Vec<Course>,
    /// Those that were not.
    pub auto: Vec<AutoTrip>,
}

/// What follows from the `visits` of all vehicles.
pub(super) fn trips(
    admitted: &Admitted,
    visits: &[VisitRow],
    good_fixes: impl Fn(&str) -> Vec<Fix>,
) -> Trips {
    let said = &admitted.said;
    let mut vehicles: BTreeSet<&Arc<str>> = said.plans.values().map(|plan| &plan.vehicle_id).collect();
    vehicles.extend(visits.iter().map(|visit| &visit.vehicle_id));
    let (mut courses, mut auto) = (Vec::new(), Vec::new());
    for vehicle_id in vehicles {
        let mut trips: Vec<Trip<'_>> = said
            .plans
            .iter()
            .filter(|(_, plan)| plan.vehicle_id == *vehicle_id)
            .map(|(id, plan)| Trip::new(id, plan, admitted))
            .collect();
        trips.sort_by_key(|trip| (trip.plan.scheduled_departure, trip.id));
        let mut visits: Vec<&VisitRow> =
            visits.iter().filter(|visit| visit.vehicle_id == *vehicle_id).collect();
        visits.sort_by_key(|visit| (visit.arrived, visit.fence_id.clone()));
        let good_fixes = good_fixes(vehicle_id);
        let instant = admitted.instant();
        let judged = judge(&trips, &visits, instant);
        courses.extend(judged.iter().map(|(trip, outcome)| trip.course(outcome, instant, &good_fixes)));
        if admitted.settings.auto_trips {
            auto.extend(auto::trips(&visits, &judged, admitted, &good_fixes));
        }
    }
    courses.sort_by(|a, b| a.row.trip_id.cmp(&b.row.trip_id));
    Trips { planned: courses, auto }
}

/// What has become of each of a vehicle's trips, which are in their order, as are its visits.
fn judge<'a>(trips: &'a [Trip<'a>], visits: &[&VisitRow], instant: TimeMs) -> Vec<(&'a Trip<'a>, Outcome)> {
    let mut served: BTreeMap<&str, Outcome> = BTreeMap::new();
    let mut since = None;
    for visit in visits {
        let arrived = visit.arrived;
        let not_served: Vec<&Trip<'_>> = trips
            .iter()
            .filter(|trip| trip.delivery_fence.as_ref() == Some(&visit.fence_id))
            .filter(|trip| !served.contains_key(trip.id) && !trip.is_ended_by_hand_at(arrived))
            .collect();
        let from_pickup = not_served.iter().find_map(|trip| {
            let pickup = trip.pickup(visits, arrived, since)?;
            let in_time = trip.no_arrival_at(&pickup).is_none_or(|until| arrived <= until);
            (trip.opens <= arrived && in_time).then_some((trip.id, Some(pickup)))
        });
        let unobserved = || {
            let trip = not_served.iter().find(|trip| {
                trip.pickup(visits, arrived, since).is_none()
                    && trip.plan.scheduled_departure <= arrived
                    && arrived <= trip.limit
            });
            trip.map(|trip| (trip.id, None))
        };
        if let Some((id, pickup)) = from_pickup.or_else(unobserved) {
            let times = Times { arrival: Some(arrived), offload: visit.departed, ..Times::of_pickup(pickup) };
            served.insert(id, Outcome::Served { times, departure_unobserved: pickup.is_none() });
            since = Some(arrived);
        }
    }
    let mut has_current = false;
    let of_others = |trip: &'a Trip<'a>| {
        if let Some(outcome) = served.remove(trip.id) {
            return (trip, outcome);
        }
        let pickup = trip.pickup(visits, instant, since);
        let fails_at = pickup.map_or(Some(trip.limit), |pickup| trip.no_arrival_at(&pickup));
        let failed_at = fails_at.filter(|&at| instant > at);
        let outcome = match (trip.end, failed_at) {
            (Some((ended_at, _)), failed_at) if failed_at.is_none_or(|at| ended_at <= at) => {
                Outcome::EndedByHand
            }
            (_, Some(at)) => Outcome::Failed { times: Times::of_pickup(pickup), at },
            _ if !has_current && trip.opens <= instant => {
                has_current = true;
                Outcome::Current { times: Times::of_pickup(pickup) }
            }
            _ => Outcome::Planned,
        };
        (trip, outcome)
    };
    trips.iter().map(of_others).collect()
}

impl<'a> Trip<'a> {
    fn new(id: &'a str, plan: &'a Arc<TripPlan>, admitted: &'a Admitted) -> Trip<'a> {
        let (said, settings) = (&admitted.said, &admitted.settings);
        let set_by_hand = said.statuses.get(id).map_or([].as_slice(), Vec::as_slice);
        let last = set_by_hand.last();
        Trip {
            id,
            plan,
            pickup_fence: said.fence_of(&plan.pickup),
            delivery_fence: said.fence_of(&plan.delivery),
            opens: plan.scheduled_departure.plus_ms(-settings.early_window_ms),
            limit: plan.scheduled_departure.plus_ms(settings.no_show_ms),
            no_arrival_ms: settings.no_arrival_ms,
            set_by_hand,
            end: end_by_hand(set_by_hand),
            hand: last.and_then(|set| Some((set.status?, set.by.clone()))),
        }
    }

    fn course(&self, outcome: &Outcome, instant: TimeMs, good_fixes: &[Fix]) -> Course {
        let row = row(self, outcome, instant, good_fixes);
        Course {
            moments: moments(self, outcome, &row),
            row,
            plan: self.plan.clone(),
            pickup_fence: self.pickup_fence.clone(),
            delivery_fence: self.delivery_fence.clone(),
            opens: self.opens,
            ended_at: self.end.map(|(ended_at, _)| ended_at),
            failed_at: match outcome {
                Outcome::Failed { at, .. } => Some(*at),
                _ => None,
            },
        }
    }

    fn is_ended_by_hand_at(&self, time: TimeMs) -> bool {
        self.end.is_some_and(|(ended_at, _)| ended_at <= time)
    }

    /// The visits to the pickup, seen from a later time; `visits` are in order.
    fn pickup(&self, visits: &[&VisitRow], seen_from: TimeMs, since: Option<TimeMs>) -> Option<Pickup> {
        let counts = |visit: &&&VisitRow| {
            self.pickup_fence.as_ref() == Some(&visit.fence_id)
                && visit.arrived < seen_from
                && visit.arrived <= self.limit
                && visit.departed.is_none_or(|departed| departed >= self.opens && Some(departed) >= since)
        };
        let mut counting = visits.iter().filter(counts);
        let first = counting.next()?;
        let last = counting.next_back().unwrap_or(first);
        Some(Pickup { arrival: first.arrived, departure: last.departed })
    }

    /// Until when it may arrive; `None`: as long as it has not left.
    fn no_arrival_at(&self, pickup: &Pickup) -> Option<TimeMs> {
        let departure = pickup.departure?;
        let latest = self.plan.scheduled_arrival.map_or(departure, |scheduled| scheduled.max(departure));
        Some(latest.plus_ms(self.no_arrival_ms))
    }
}

/// The first end by hand counts; another status after it undoes it.
fn end_by_hand(statuses: &[HandStatus]) -> Option<(TimeMs, TripStatus)> {
    let mut end = None;
    for HandStatus { at, status, .. } in statuses {
        end = match status {
            Some(ending @ (TripStatus::Completed | TripStatus::Failed | TripStatus::Cancelled)) => {
                end.or(Some((*at, *ending)))
            }
            _ => None,
        };
    }
    end
}
