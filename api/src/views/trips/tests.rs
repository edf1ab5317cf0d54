//! Which trips a page holds, and what is kept of each.

use model::{AutoPlaces, TripPlan};

use super::*;

const HOUR: i64 = 3_600_000;

fn row(id: &str, vehicle: &str) -> TripRow {
    TripRow {
        trip_id: id.into(),
        vehicle_id: vehicle.into(),
        phase: TripPhase::Planned,
        status: TripStatus::Scheduled,
        status_by: TripRow::INFERRED.into(),
        pickup_arrival: None,
        actual_departure: None,
        arrival: None,
        offload: None,
        tat_s: None,
        distance_m: None,
        departure_unobserved: false,
        auto: None,
    }
}

fn planned(id: &str, vehicle: &str, hour: i64) -> TripRecord {
    let plan = TripPlan {
        client: None,
        corridor: None,
        vehicle_id: vehicle.into(),
        pickup: "A".into(),
        delivery: if hour % 2 == 0 { "B".into() } else { "C".into() },
        waypoints: Vec::new(),
        scheduled_departure: TimeMs(hour * HOUR),
        scheduled_arrival: None,
    };
    let json = format!(r#"{{"type":"trip","op":"upsert","trip":{{"id":"{id}","weight_t":2.50}},"sheet":7}}"#);
    TripRecord { id: id.into(), edit: TripEdit::Plan(Arc::new(plan)), json }
}

/// Trips `t0` to `t9`, of two vehicles, at the hours 0 to 9.
fn ten() -> Trips {
    let mut trips = Trips::default();
    for n in 0..10 {
        let (id, vehicle) = (format!("t{n}"), format!("T{}", n % 2));
        trips.take_record(&planned(&id, &vehicle, n));
        trips.apply(&row(&id, &vehicle), true);
    }
    trips
}

fn ids(page: &Page<TripView, Arc<str>>) -> Vec<&str> {
    page.rows.iter().map(|trip| &*trip.row.trip_id).collect()
}

#[test]
fn the_last_plan_is_kept_beside_the_row() {
    let mut trips = ten();
    let shown = trips.get("t3").unwrap();
    let plan = shown.plan.as_ref().unwrap();
    assert_eq!(&*plan.json, r#"{"id":"t3","weight_t":2.50}"#, "all of its fields, as they came");
    assert_eq!(plan.schedule.departure, TimeMs(3 * HOUR));
    let before = shown.fingerprint();
    // Another vehicle drives it, at another time.
    trips.take_record(&planned("t3", "T0", 20));
    trips.apply(&row("t3", "T1"), false);
    assert!(trips.get("t3").is_none());
    trips.apply(&row("t3", "T0"), true);
    let at = |from: i64, to: i64| TripFilter {
        from: Some(TimeMs(from * HOUR)),
        to: Some(TimeMs(to * HOUR)),
        ..TripFilter::default()
    };
    assert_eq!(ids(&trips.page(&at(2, 5), TimeMs(0), None, 10)), ["t2", "t4"]);
    assert_eq!(ids(&trips.page(&at(20, 21), TimeMs(0), None, 10)), ["t3"]);
    let of_t0 = TripFilter { vehicle_id: Some("T0".into()), ..TripFilter::default() };
    assert_eq!(ids(&trips.page(&of_t0, TimeMs(0), None, 10)), ["t0", "t2", "t3", "t4", "t6", "t8"]);
    assert_eq!(trips.get("t3").unwrap().fingerprint(), before, "the same fields, the same tag");
    let set = TripRow { status: TripStatus::Cancelled, status_by: "ada".into(), ..row("t3", "T0") };
    trips.apply(&set, true);
    assert_ne!(trips.get("t3").unwrap().fingerprint(), before);
    assert_eq!(trips.len(), 10);
}

#[test]
fn pages_go_on_behind_their_last_trip() {
    let trips = ten();
    for filter in [
        TripFilter::default(),
        TripFilter { from: Some(TimeMs(0)), ..TripFilter::default() },
        TripFilter { vehicle_id: Some("T1".into()), ..TripFilter::default() },
        TripFilter { delivery: Some("B".into()), pickup: Some("A".into()), ..TripFilter::default() },
    ] {
        let all = trips.page(&filter, TimeMs(0), None, 100);
        assert!(all.rows.len() >= 5 && all.next.is_none(), "{filter:?}");
        let (mut paged, mut after) = (Vec::new(), None::<Arc<str>>);
        loop {
            let page = trips.page(&filter, TimeMs(0), after.as_deref(), 2);
            assert!(page.rows.len() <= 2);
            paged.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        assert_eq!(paged, ids(&all), "{filter:?}");
    }
}

#[test]
fn only_what_meets_the_filter_is_shown() {
    let mut trips = ten();
    let there = TripRow { phase: TripPhase::AtPickup, pickup_arrival: Some(TimeMs(0)), ..row("t1", "T1") };
    let over = TripRow { status: TripStatus::Completed, status_by: "ada".into(), ..row("t0", "T0") };
    let called_late = TripRow { status: TripStatus::Delayed, status_by: "ada".into(), ..row("t9", "T1") };
    let not_late = TripRow { status: TripStatus::Ongoing, status_by: "ada".into(), ..row("t2", "T0") };
    for changed in [&there, &over, &called_late, &not_late] {
        trips.apply(changed, true);
    }
    let shown = |filter: TripFilter| -> Vec<String> {
        ids(&trips.page(&filter, TimeMs(4 * HOUR), None, 100)).into_iter().map(str::to_owned).collect()
    };
    let late = TripFilter { is_late: true, ..TripFilter::default() };
    assert_eq!(shown(late), ["t1", "t2", "t9"], "by the evidence, or by hand, and not over");
    let at_pickup = TripFilter { phase: Some(TripPhase::AtPickup), ..TripFilter::default() };
    assert_eq!(shown(at_pickup), ["t1"]);
    let completed = TripFilter { status: Some(TripStatus::Completed), ..TripFilter::default() };
    assert_eq!(shown(completed), ["t0"]);
}

#[test]
fn what_nobody_planned_is_found_by_its_departure_and_its_places() {
    let mut trips = ten();
    let auto = Some(AutoPlaces { pickup: "A".into(), delivery: "D".into() });
    let made =
        TripRow { auto, actual_departure: Some(TimeMs(5 * HOUR + 1)), ..row("auto:T1:18000001", "T1") };
    trips.apply(&made, true);
    let shown = |filter: &TripFilter| -> Vec<String> {
        ids(&trips.page(filter, TimeMs(0), None, 100)).into_iter().map(str::to_owned).collect()
    };
    let times =
        TripFilter { from: Some(TimeMs(5 * HOUR)), to: Some(TimeMs(6 * HOUR)), ..TripFilter::default() };
    assert_eq!(shown(&times), ["auto:T1:18000001", "t5"]);
    let to_d = TripFilter { pickup: Some("A".into()), delivery: Some("D".into()), ..TripFilter::default() };
    assert_eq!(shown(&to_d), ["auto:T1:18000001"]);
    assert!(trips.get("auto:T1:18000001").unwrap().plan.is_none());
    trips.apply(&made, false);
    assert_eq!((trips.len(), ids(&trips.page(&times, TimeMs(0), None, 100))), (10, vec!["t5"]));
}

#[test]
fn locations_are_known_by_their_last_record() {
    let mut trips = Trips::default();
    let record =
        |json: &str, edit: LocationEdit| LocationRecord { id: "L".into(), edit, json: json.to_owned() };
    let upsert = |fence: &str| LocationEdit::Upsert { fence_id: Some(fence.into()), kind: None };
    trips.take_location(&record(r#"{"location":{"id":"L","name":"Ibeshe"}}"#, upsert("f")));
    let expected = LocationView { fence_id: Some("f".into()), name: Some("Ibeshe".into()) };
    assert_eq!(trips.location("L"), Some(&expected));
    trips.take_location(&record(r#"{"location":{"id":"L","name":7}}"#, upsert("g")));
    assert_eq!(trips.location("L"), Some(&LocationView { fence_id: Some("g".into()), name: None }));
    trips.take_location(&record(r#"{"id":"L"}"#, LocationEdit::Delete));
    assert_eq!(trips.location("L"), None);
}
