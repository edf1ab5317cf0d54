//! Trips: what people plan for a truck, and what of it the truck does.
//!
//! ```text
//!   the evening before         the day                                      draw
//!        plan                  load ----- drive ----- unload
//!          |  (plan anew)  (status by hand)  (and taken back)               records, stream
//!                                 |                  |
//!                              the visit          the visit                 truth
//! ```
//!
//! What is planned for a day is a function of (seed, truck, day), as the truck's life is. Most plans are of a
//! round that the truck drives; some name a pickup that it never sees, some are for a day on which it rests,
//! some are cancelled. Only what is unambiguous is planned: the truck's visits to pickup and delivery around
//! that time are looked at, and a round that has any other that could count is left out. So truth needs no
//! matching of visits and trips.

mod draw;
mod records;
mod stream;
mod truth;

use std::sync::Arc;

use model::{GraphSettings, TimeMs, TripStatus, VisitRow};

pub(crate) use records::{client, location_id, push_location_upsert, push_trip_act};
pub(crate) use stream::{TripAct, TripStream};
pub(crate) use truth::{Outcome, of_truck, thousandth, trips_of};

use super::life::truck_name;
use super::truth::{Observation, visits_among};
use super::world::World;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Trips are planned at least so long before they leave.
const NOTICE_MS: i64 = 30 * MINUTE_MS;

/// The fleet and the period that trips are planned for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planning {
    /// How many trucks there are.
    pub trucks: u32,
    /// Positions are blurred: truth is what a perfect observer sees.
    pub noise: bool,
    /// Nobody plans before that.
    pub from: TimeMs,
    /// Trips whose last plan, or whose cancellation, would come after that are left out.
    pub by: Option<TimeMs>,
}

/// What a plan says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub truck: u32,
    /// The place of the pickup.
    pub pickup: u32,
    /// The place of the delivery.
    pub delivery: u32,
    pub scheduled_departure: TimeMs,
    pub scheduled_arrival: Option<TimeMs>,
}

/// What somebody does to a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Plan(Plan),
    SetStatus(Option<TripStatus>),
    Cancel,
}

/// What the truck does of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It loads at the pickup and unloads at the delivery.
    Driven { leave: TimeMs, unloading: TimeMs },
    /// It brings the load from somewhere else: the pickup of the plan is wrong.
    PickupUnseen { unloading: TimeMs },
    /// It is at neither.
    NotDriven,
}

/// What is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cargo {
    pub container_no: String,
    pub cargo_type: &'static str,
    pub weight_tenths_t: u32,
}

/// A trip: what is said of it, in order, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SimTrip {
    pub id: Arc<str>,
    /// The local day that it is planned for.
    pub day: i64,
    pub truck: u32,
    pub fate: Fate,
    /// The plan that holds in the end.
    pub plan: Plan,
    pub cargo: Cargo,
    /// Who plans it, and sets its status.
    pub by: &'static str,
    /// What is done to it, and when. The last plan in it is `plan`.
    pub acts: Vec<(TimeMs, Act)>,
}

impl SimTrip {
    /// From when on it may be under way.
    pub(crate) fn opens(&self) -> TimeMs {
        self.plan.scheduled_departure.plus_ms(-GraphSettings::default().early_window_ms)
    }

    fn limit(&self) -> TimeMs {
        self.plan.scheduled_departure.plus_ms(GraphSettings::default().no_show_ms)
    }

    /// Whether somebody cancels it for good.
    #[must_use]
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.acts.last(), Some((_, Act::Cancel)))
    }

    /// Whether people could plan it within the period.
    fn is_plannable(&self, planning: &Planning) -> bool {
        let leaves = match self.fate {
            Fate::Driven { leave, .. } => leave.min(self.plan.scheduled_departure),
            Fate::PickupUnseen { .. } | Fate::NotDriven => self.plan.scheduled_departure,
        };
        let must_come = |act: &&(TimeMs, Act)| matches!(act.1, Act::Plan(_) | Act::Cancel);
        let last = self.acts.iter().filter(must_come).map(|act| act.0).max();
        leaves >= planning.from.plus_ms(NOTICE_MS) && planning.by.is_none_or(|by| last <= Some(by))
    }

    /// Which fences it is about.
    pub(crate) fn fences(&self, world: &World) -> Option<(u32, u32)> {
        Some((site(world, self.plan.pickup)?, site(world, self.plan.delivery)?))
    }
}

/// The fence of a place that trips may be planned to: one that is never edited, and clear where trucks park.
fn site(world: &World, place: u32) -> Option<u32> {
    let place = &world.places[place as usize];
    place.fence.filter(|&fence| place.is_clear && world.fences[fence as usize].edit.is_none())
}

/// The trips that are planned for a truck's day, in the order of their schedules.
#[must_use]
pub(crate) fn of_day(world: &World, planning: &Planning, truck: u32, day: i64) -> Vec<SimTrip> {
    let mut drafts = draw::drafts(world, planning.trucks, truck, day);
    drafts.retain(|trip| trip.is_plannable(planning));
    let mut among: Vec<u32> =
        drafts.iter().filter_map(|trip| trip.fences(world)).flat_map(<[u32; 2]>::from).collect();
    among.sort_unstable();
    among.dedup();
    let (Some(first), Some(last)) =
        (drafts.iter().map(SimTrip::opens).min(), drafts.iter().map(looked_at_until).max())
    else {
        return drafts;
    };
    // An hour more: a visit that has not ended when the trip opens is seen to be one.
    let from = first.plus_ms(-HOUR_MS);
    let seen = Observation { from, to: last, instant: last, noise: planning.noise };
    let visits = visits_among(world, truck, &truck_name(truck).into(), &seen, &among);
    let mut since = None;
    drafts.retain(|trip| match told_by(world, trip, &visits, since) {
        Some(Told::Served { arrival }) => {
            since = Some(arrival);
            true
        }
        Some(Told::NotSeen) => true,
        None => false,
    });
    drafts
}

fn looked_at_until(trip: &SimTrip) -> TimeMs {
    let last = match trip.fate {
        Fate::Driven { unloading, .. } | Fate::PickupUnseen { unloading } => unloading,
        Fate::NotDriven => trip.limit(),
    };
    // A visit that begins then is seen to be one.
    last.plus_ms(HOUR_MS)
}

/// What visits say of a trip, where they leave no doubt.
enum Told {
    Served { arrival: TimeMs },
    NotSeen,
}

/// `None` where the visits could be read in another way than the trip's fate. `since` is the arrival of the
/// trip that the truck drove before on this day.
fn told_by(world: &World, trip: &SimTrip, visits: &[VisitRow], since: Option<TimeMs>) -> Option<Told> {
    let (pickup, delivery) = trip.fences(world)?;
    let (opens, limit) = (trip.opens(), trip.limit());
    let visits_to = |fence: u32| {
        let id = &world.fences[fence as usize].label.id;
        visits.iter().filter(move |visit| visit.fence_id == *id)
    };
    let counts_as_pickup = |visit: &&VisitRow| {
        visit.arrived <= limit
            && visit.departed.is_none_or(|departed| departed >= opens && Some(departed) >= since)
    };
    let unloading = match trip.fate {
        Fate::Driven { unloading, .. } | Fate::PickupUnseen { unloading } => unloading,
        Fate::NotDriven => {
            let is_seen = visits_to(pickup).any(|visit| counts_as_pickup(&visit))
                || visits_to(delivery).any(|visit| opens <= visit.arrived && visit.arrived <= limit);
            return (!is_seen).then_some(Told::NotSeen);
        }
    };
    let delivery_visit =
        only(visits_to(delivery).filter(|visit| opens <= visit.arrived && visit.arrived <= unloading))?;
    let arrival = delivery_visit.arrived;
    let mut pickups = visits_to(pickup).filter(|visit| visit.arrived < arrival).filter(counts_as_pickup);
    let is_as_planned = match trip.fate {
        Fate::Driven { leave, .. } => {
            let loading = only(pickups)?;
            covers(loading, leave) && loading.departed.is_some_and(|departed| departed < arrival)
        }
        _ => pickups.next().is_none() && trip.plan.scheduled_departure <= arrival,
    };
    (is_as_planned && covers(delivery_visit, unloading)).then_some(Told::Served { arrival })
}

fn covers(visit: &VisitRow, time: TimeMs) -> bool {
    visit.arrived <= time && visit.departed.is_none_or(|departed| departed >= time)
}

fn only<'a>(mut visits: impl Iterator<Item = &'a VisitRow>) -> Option<&'a VisitRow> {
    visits.next().filter(|_| visits.next().is_none())
}
