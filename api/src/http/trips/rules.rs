//! The rules that a plan is held against at the door. The graph knows none of them: what comes as a record is taken
//! as it is.

use std::sync::Arc;

use axum::http::StatusCode;
use model::{PositionRef, Record, RecordSink, TimeMs, TimeZone, TripEdit, TripPlan, day_text};
use sources::records::Backfill;
use sources::{BodyError, code};

use crate::config::DriverRule;
use crate::problem::Problem;
use crate::views::{EntityKind, Standing, State as ViewState};

/// A rule that is broken, and by which field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    rule: &'static str,
    field: Option<String>,
    why: String,
}

impl Broken {
    pub fn of(rule: &'static str, field: &str, why: impl Into<String>) -> Broken {
        Broken { rule, field: Some(field.to_owned()), why: why.into() }
    }

    pub fn problem(self) -> Problem {
        let title = "The trip breaks a rule";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "broken-rule", title, self.why)
            .with("rule", self.rule)
            .with("field", self.field)
    }
}

/// Fields that the arithmetic reads, by which reasons of the door name what is wrong.
const READ_FIELDS: [&str; 9] = [
    "id",
    "vehicle_id",
    "pickup",
    "delivery",
    "client",
    "corridor",
    "waypoints",
    "scheduled_departure",
    "scheduled_arrival",
];

/// Reads the plan of a record as the journal would: `readable` is the first rule.
pub(super) fn read_plan(record: &str) -> Result<(String, TripPlan), Broken> {
    let unreadable = |reason: String| {
        let reason = reason.strip_prefix("trip: ").unwrap_or(&reason).to_owned();
        let first = reason.split_whitespace().next().unwrap_or_default();
        let named = if reason.starts_with("a waypoint") { "waypoints" } else { first };
        let field = READ_FIELDS.into_iter().find(|field| *field == named).map(str::to_owned);
        Broken { rule: "readable", field, why: reason }
    };
    let checked = sources::records::check(record.as_bytes(), Backfill::Refused);
    let checked = checked.map_err(|err: BodyError| unreadable(err.to_string()))?;
    if let Some(refused) = checked.refused.first() {
        return Err(unreadable(refused.reason.clone()));
    }
    let mut found = Found::default();
    sources::decode(code::RECORDS, "", record.as_bytes(), &mut found);
    found.0.ok_or_else(|| unreadable("it is no plan of a trip".to_owned()))
}

/// Takes the plan of a trip.
#[derive(Default)]
struct Found(Option<(String, TripPlan)>);

impl RecordSink for Found {
    fn position(&mut self, _: Option<TimeMs>, _: PositionRef<'_>) {}

    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        if let Record::Trip { id, edit: TripEdit::Plan(plan), .. } = record {
            self.0 = Some((id.to_string(), TripPlan::clone(&plan)));
        }
    }
}

/// The day of the departure, the vehicle, and the container; without one, the time of the departure in UTC.
pub(super) fn made_id(plan: &TripPlan, container_no: Option<&str>, zone: &TimeZone) -> String {
    let day = day_text(plan.scheduled_departure, zone).unwrap_or_default();
    let last = match container_no.map(|text| text.split_whitespace().collect::<String>()) {
        Some(container) if !container.is_empty() => container,
        // Hours and minutes of "2026-11-21T08:30:00Z".
        _ => plan.scheduled_departure.to_string().get(11..16).unwrap_or_default().replace(':', ""),
    };
    format!("{day}-{}-{last}", plan.vehicle_id)
}

/// `vehicle_known`: a position of the vehicle has come, or a record of it.
pub(super) fn vehicle_is_known(state: &ViewState, plan: &TripPlan) -> Result<(), Broken> {
    if is_known(state, &plan.vehicle_id) {
        return Ok(());
    }
    let why = format!(
        "vehicle_id {:?} is not known: neither a position nor a record of such a vehicle has come",
        plan.vehicle_id
    );
    Err(Broken::of("vehicle_known", "vehicle_id", why))
}

/// Whether a vehicle has sent a position, or has a record.
pub(super) fn is_known(state: &ViewState, vehicle_id: &str) -> bool {
    state.trucks.is_known(vehicle_id)
        || state.entities.standing(EntityKind::Vehicle, vehicle_id) == Standing::Kept
}

/// `truck_operational`: the record of the vehicle, if it has one, says nothing else.
pub(super) fn truck_is_operational(state: &ViewState, plan: &TripPlan) -> Result<(), Broken> {
    let vehicle_id = &plan.vehicle_id;
    let what = if state.entities.is_in_maintenance(vehicle_id) {
        "in maintenance"
    } else if state.entities.standing(EntityKind::Vehicle, vehicle_id) == Standing::Deleted {
        "deleted"
    } else {
        return Ok(());
    };
    let why = format!(
        "vehicle_id {vehicle_id:?} is {what}, as its record says; plan another vehicle, or change that"
    );
    Err(Broken::of("truck_operational", "vehicle_id", why))
}

/// `driver_assigned`: the plan names its driver, or somebody is assigned to the vehicle at the departure.
pub(super) fn driver_is_assigned(
    state: &ViewState,
    plan: &TripPlan,
    driver_id: Option<&str>,
    rule: DriverRule,
) -> Result<(), Broken> {
    let is_needed = match rule {
        DriverRule::WhereAssigned => state.entities.has_assignments(),
        DriverRule::Always => true,
        DriverRule::Never => false,
    };
    let broken = |why: String| Err(Broken::of("driver_assigned", "driver_id", why));
    match driver_id {
        _ if !is_needed => Ok(()),
        Some(driver_id) if state.entities.standing(EntityKind::Driver, driver_id) == Standing::Deleted => {
            broken(format!("driver_id {driver_id:?} is deleted, as the record says"))
        }
        Some(_) => Ok(()),
        None if state.entities.is_driven_at(&plan.vehicle_id, plan.scheduled_departure) => Ok(()),
        None => broken(format!(
            "nobody is assigned to {:?} at {}; assign a driver, or name one in driver_id",
            plan.vehicle_id, plan.scheduled_departure
        )),
    }
}

/// `place_has_fence`: it is a location with a fence, or a fence, and the fence is valid now or at the departure.
pub(super) fn place_has_fence(
    state: &ViewState,
    field: &str,
    place: &Arc<str>,
    plan: &TripPlan,
) -> Result<(), Broken> {
    let broken = |why: String| Err(Broken::of("place_has_fence", field, why));
    let fence_id = match state.trips.location(place) {
        None => place.clone(),
        Some(location) => match &location.fence_id {
            Some(fence_id) => fence_id.clone(),
            None => {
                return broken(format!("{field} {place:?} is a location without a fence; give it one first"));
            }
        },
    };
    let is_valid_at = |time: TimeMs| state.fences.get(&fence_id, time).is_some();
    if is_valid_at(state.stamp.instant) || is_valid_at(plan.scheduled_departure) {
        return Ok(());
    }
    if fence_id == *place {
        return broken(format!("{field} {place:?} is neither a known location nor a fence that is valid"));
    }
    broken(format!("{field} {place:?} has the fence {fence_id:?}, and no such fence is valid"))
}

/// `min_notice`: the departure is far enough ahead.
pub(super) fn is_ahead(plan: &TripPlan, min_notice_ms: i64, now_ms: i64) -> Result<(), Broken> {
    if plan.scheduled_departure.0 >= now_ms.saturating_add(min_notice_ms) {
        return Ok(());
    }
    let why = format!(
        "scheduled_departure {} is less than {} min ahead of now, {}",
        plan.scheduled_departure,
        min_notice_ms / 60_000,
        TimeMs(now_ms)
    );
    Err(Broken::of("min_notice", "scheduled_departure", why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time_zone;

    const PLAN: &str = r#"{"type":"trip","op":"upsert","trip":{"id":"t","vehicle_id":"T11985LA","pickup":"A","delivery":"B","scheduled_departure":"2025-03-31T23:30:00Z"}}"#;

    #[test]
    fn what_cannot_be_read_names_its_field() {
        assert_eq!(read_plan(PLAN).unwrap().0, "t");
        for (changed, field) in [
            (PLAN.replace("\"pickup\"", "\"from\""), Some("pickup")),
            (PLAN.replace("\"A\"", "7"), Some("pickup")),
            (PLAN.replace("2025-03-31T23:30:00Z", "soon"), Some("scheduled_departure")),
            (PLAN.replace("\"id\"", "\"waypoints\":[\"\"],\"id\""), Some("waypoints")),
            (PLAN.replace("\"id\"", "\"waypoints\":7,\"id\""), Some("waypoints")),
            (PLAN.replace("upsert", "delete"), None),
            ("{".to_owned(), None),
        ] {
            let broken = read_plan(&changed).unwrap_err();
            assert_eq!(
                (broken.rule, broken.field.as_deref()),
                ("readable", field),
                "{changed}: {}",
                broken.why
            );
        }
    }

    #[test]
    fn ids_are_made_of_the_day_the_vehicle_and_the_container() {
        let zone = time_zone("Africa/Lagos").unwrap();
        let (_, plan) = read_plan(PLAN).unwrap();
        assert_eq!(made_id(&plan, Some("CA60"), &zone), "01/Apr/2025-T11985LA-CA60");
        assert_eq!(made_id(&plan, Some("MSKU 123"), &zone), "01/Apr/2025-T11985LA-MSKU123");
        for none in [None, Some(" ")] {
            assert_eq!(made_id(&plan, none, &zone), "01/Apr/2025-T11985LA-2330");
        }
    }

    #[test]
    fn a_departure_is_ahead_by_the_notice() {
        let (_, plan) = read_plan(PLAN).unwrap();
        let half_an_hour = 30 * 60_000;
        assert_eq!(is_ahead(&plan, half_an_hour, plan.scheduled_departure.0 - half_an_hour), Ok(()));
        let broken =
            is_ahead(&plan, half_an_hour, plan.scheduled_departure.0 - half_an_hour + 1).unwrap_err();
        assert_eq!((broken.rule, broken.field.as_deref()), ("min_notice", Some("scheduled_departure")));
    }
}
