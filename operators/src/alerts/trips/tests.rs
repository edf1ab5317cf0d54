use proptest::prelude::*;

use super::*;
use crate::trips::{Moments, Times};
use model::{TimeMs, TripSchedule};

const TRIPS: u32 = 6;
const FENCES: u32 = 3;
const TIMES: std::ops::Range<i64> = 0..12;

/// A trip of vehicle 0 with any times: more than the trips operator would give.
fn detail(trip: TripKey) -> impl Strategy<Value = TripDetail> {
    let time = |weight: f64| prop::option::weighted(weight, TIMES);
    let times = (time(0.6), time(0.5), time(0.5));
    let ends = (time(0.2), time(0.2));
    let fences = [(); 3].map(|()| prop::option::weighted(0.9, 0..FENCES));
    (TIMES, 0..4_i64, times, ends, fences).prop_map(
        move |(scheduled_departure, early, (departure, arrival, lasts), (ended, failed), fences)| {
            let [pickup_fence, delivery_fence, corridor] = fences;
            // What arrives goes somewhere, and leaves later.
            let arrival = arrival.filter(|_| delivery_fence.is_some());
            let times = Times {
                pickup_arrival: None,
                actual_departure: departure,
                arrival,
                offload: arrival.zip(lasts).map(|(arrival, lasts)| arrival + lasts),
            };
            TripDetail {
                trip,
                vehicle: 0,
                client: None,
                pickup: 0,
                delivery: 0,
                times,
                tat_s: None,
                is_departure_on_time: false,
                is_arrival_on_time: None,
                moments: Moments::default(),
                scheduled_departure,
                scheduled_arrival: None,
                // Whoever arrives does so when its trip is open.
                opens: (scheduled_departure - early).min(arrival.unwrap_or(NEVER)),
                pickup_fence,
                delivery_fence,
                corridor,
                ended_by_hand_at: ended.filter(|&ended| arrival.is_none_or(|arrival| arrival < ended)),
                failed_by_itself_at: failed.filter(|_| arrival.is_none()),
            }
        },
    )
}

/// Ids are in another order than numbers.
fn id(key: u32) -> Arc<str> {
    (9 - key).to_string().into()
}

fn plan(trip: TripKey) -> TripControl {
    let place = |key: FenceKey| Place { key, id: id(key) };
    let schedule = TripSchedule { departure: TimeMs(0), arrival: None };
    let (pickup, delivery) = (place(trip % FENCES), place((trip + 1) % FENCES));
    let plan = Plan { id: id(trip), vehicle: 0, pickup, delivery, client: None, corridor: None, schedule };
    TripControl::Plan { seq: 1, trip, plan: plan.into() }
}

fn in_order<'a>(trips: &'a BTreeMap<TripKey, TripDetail>) -> Vec<&'a TripDetail> {
    let mut all: Vec<&'a TripDetail> = trips.values().collect();
    all.sort_by_key(|detail| (detail.scheduled_departure, id(detail.trip)));
    all
}

/// By the definition.
fn on_trip_at(trips: &BTreeMap<TripKey, TripDetail>, time: i64) -> Option<TripKey> {
    let is_on = |detail: &&&TripDetail| {
        let begins = detail.times.actual_departure.or(detail.times.arrival);
        let ends = [detail.times.offload, detail.ended_by_hand_at, detail.failed_by_itself_at];
        begins.is_some_and(|begins| begins <= time) && ends.into_iter().flatten().all(|ends| time < ends)
    };
    in_order(trips).iter().find(is_on).map(|detail| detail.trip)
}

/// By the definition.
fn trip_at_fence(trips: &BTreeMap<TripKey, TripDetail>, fence: FenceKey, time: i64) -> Option<TripKey> {
    let goes_there =
        |detail: &TripDetail| [detail.pickup_fence, detail.delivery_fence].contains(&Some(fence));
    let mut served: Vec<&TripDetail> = trips.values().filter(|d| d.times.arrival.is_some()).collect();
    served.sort_by_key(|detail| (detail.times.arrival, detail.delivery_fence.map(id)));
    let mut since = None;
    for detail in served {
        let ends = [detail.times.offload, detail.ended_by_hand_at];
        let is_its_time = detail.opens <= time
            && since.is_none_or(|since| since <= time)
            && ends.into_iter().flatten().all(|ends| time <= ends);
        if is_its_time && goes_there(detail) {
            return Some(detail.trip);
        }
        since = detail.times.arrival;
    }
    if since.is_some_and(|since| time < since) {
        return None;
    }
    let is_current = |detail: &&&TripDetail| {
        detail.times.arrival.is_none()
            && detail.opens <= time
            && detail.ended_by_hand_at.is_none_or(|ended| time < ended)
            && detail.failed_by_itself_at.is_none_or(|failed| time <= failed)
    };
    in_order(trips).iter().find(is_current).filter(|detail| goes_there(detail)).map(|detail| detail.trip)
}

/// One visit serves one trip.
fn serves_another(trips: &BTreeMap<TripKey, TripDetail>, detail: &TripDetail) -> bool {
    let visit = |detail: &TripDetail| detail.times.arrival.zip(detail.delivery_fence);
    let others = trips.values().filter(|other| other.trip != detail.trip);
    visit(detail).is_some() && others.into_iter().any(|other| visit(other) == visit(detail))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn answers_are_those_of_the_definition_and_change_from_where_it_says(
        changes in prop::collection::vec((0..TRIPS).prop_flat_map(|trip| prop::option::weighted(0.8, detail(trip)).prop_map(move |d| (trip, d))), 1..20)
    ) {
        let mut book = TripBook::default();
        (0..TRIPS).for_each(|trip| book.learn(&plan(trip)));
        let mut trips: BTreeMap<TripKey, TripDetail> = BTreeMap::new();
        let times = TIMES.start - 5..TIMES.end * 2;
        for (trip, changed) in changes {
            let changed = changed.filter(|detail| !serves_another(&trips, detail));
            let before = trips.clone();
            if let Some(old) = trips.remove(&trip) {
                book.change(&old, -1, Why::first(1));
            }
            if let Some(new) = changed {
                book.change(&new, 1, Why::first(1));
                trips.insert(trip, new);
            }
            let from = book.take_changed().get(&0).map_or(NEVER, |changed| changed.from);
            for time in times.clone() {
                prop_assert_eq!(book.on_trip_at(0, time), on_trip_at(&trips, time));
                for fence in 0..FENCES {
                    let answer = book.trip_at_fence(0, fence, time);
                    prop_assert_eq!(answer, trip_at_fence(&trips, fence, time));
                    prop_assert!(time >= from || answer == trip_at_fence(&before, fence, time));
                }
                prop_assert!(time >= from || on_trip_at(&trips, time) == on_trip_at(&before, time));
                let on_their_way = trips.values().filter(|detail| {
                    let until = detail.times.arrival.or(detail.failed_by_itself_at);
                    detail.corridor.is_some()
                        && detail.times.actual_departure.is_some_and(|departure| departure <= time)
                        && until.is_none_or(|until| time < until)
                });
                prop_assert_eq!(book.transits(0).iter().filter(|t| t.holds(time)).count(), on_their_way.count());
            }
        }
    }
}
