//! Trips: what is said of them, and the row that says where each one is.

use std::sync::Arc;

use crate::rows::{text_field, time_field};
use crate::{TimeMs, push_json_string};

/// What a record does to a trip.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TripEdit {
    /// It is planned, or planned anew: this replaces the plan before.
    Plan(Arc<TripPlan>),
    /// Somebody sets its status by hand, as of the record's instant.
    SetStatus {
        /// `None` goes back to the inferred one.
        status: Option<TripStatus>,
        /// Who.
        by: Arc<str>,
    },
}

/// What the arithmetic needs of a trip's plan.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TripPlan {
    /// Which vehicle is to drive.
    pub vehicle_id: Arc<str>,
    /// Where from: a location, or a fence where no location has that id.
    pub pickup: Arc<str>,
    /// Where to: a location, or a fence where no location has that id.
    pub delivery: Arc<str>,
    /// Whose load it is, where that is known.
    pub client: Option<Arc<str>>,
    /// Locations on the way, in order.
    pub waypoints: Vec<Arc<str>>,
    /// The fence that it is to stay inside of on its way.
    pub corridor: Option<Arc<str>>,
    /// When it is to leave the pickup.
    pub scheduled_departure: TimeMs,
    /// When it is to be at the delivery.
    pub scheduled_arrival: Option<TimeMs>,
}

/// What a record does to a location.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum LocationEdit {
    /// It is created, or replaced.
    Upsert {
        /// Its fence, where it has one.
        fence_id: Option<Arc<str>>,
        /// What it is for, where that is known.
        kind: Option<LocationKind>,
    },
    /// It is gone.
    Delete,
}

/// What a location is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum LocationKind {
    /// Containers are loaded here.
    Terminal,
    /// Containers are brought here.
    Client,
    /// On the way.
    ServiceArea,
    /// Trucks live here.
    Depot,
    /// On the way.
    Checkpoint,
}

impl LocationKind {
    /// All kinds.
    pub const ALL: [LocationKind; 5] = [
        LocationKind::Terminal,
        LocationKind::Client,
        LocationKind::ServiceArea,
        LocationKind::Depot,
        LocationKind::Checkpoint,
    ];

    /// The name in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LocationKind::Terminal => "terminal",
            LocationKind::Client => "client",
            LocationKind::ServiceArea => "service_area",
            LocationKind::Depot => "depot",
            LocationKind::Checkpoint => "checkpoint",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<LocationKind> {
        LocationKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How far a trip has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum TripPhase {
    Planned,
    AtPickup,
    InTransit,
    AtDelivery,
    Done,
    Cancelled,
    Failed,
}

impl TripPhase {
    /// All phases.
    pub const ALL: [TripPhase; 7] = [
        TripPhase::Planned,
        TripPhase::AtPickup,
        TripPhase::InTransit,
        TripPhase::AtDelivery,
        TripPhase::Done,
        TripPhase::Cancelled,
        TripPhase::Failed,
    ];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TripPhase::Planned => "planned",
            TripPhase::AtPickup => "at_pickup",
            TripPhase::InTransit => "in_transit",
            TripPhase::AtDelivery => "at_delivery",
            TripPhase::Done => "done",
            TripPhase::Cancelled => "cancelled",
            TripPhase::Failed => "failed",
        }
    }

    /// The phase of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TripPhase> {
        TripPhase::ALL.into_iter().find(|phase| phase.as_str() == name)
    }
}

/// How a trip is doing, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum TripStatus {
    Scheduled,
    Ongoing,
    Delayed,
    Completed,
    Cancelled,
    Failed,
}

impl TripStatus {
    /// All statuses.
    pub const ALL: [TripStatus; 6] = [
        TripStatus::Scheduled,
        TripStatus::Ongoing,
        TripStatus::Delayed,
        TripStatus::Completed,
        TripStatus::Cancelled,
        TripStatus::Failed,
    ];

    /// The name in records and rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TripStatus::Scheduled => "scheduled",
            TripStatus::Ongoing => "ongoing",
            TripStatus::Delayed => "delayed",
            TripStatus::Completed => "completed",
            TripStatus::Cancelled => "cancelled",
            TripStatus::Failed => "failed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TripStatus> {
        TripStatus::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// How long after its scheduled departure a trip is delayed that has not departed.
const DELAYED_AFTER_MS: i64 = 2 * 3_600_000;

/// When a trip is to leave and to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TripSchedule {
    /// When it is to leave the pickup.
    pub departure: TimeMs,
    /// When it is to be at the delivery.
    pub arrival: Option<TimeMs>,
}

impl TripSchedule {
    /// From when on a trip is delayed that has not departed.
    #[must_use]
    pub fn late_departure(&self) -> TimeMs {
        TimeMs(self.departure.0.saturating_add(DELAYED_AFTER_MS))
    }

    /// How a trip of that phase is doing at an instant, by the evidence. Who has arrived has departed.
    #[must_use]
    pub fn status(
        &self,
        phase: TripPhase,
        has_departed: bool,
        has_arrived: bool,
        instant: TimeMs,
    ) -> TripStatus {
        let has_departed = has_departed || has_arrived;
        let leaves_late = !has_departed && instant >= self.late_departure();
        let arrives_late = !has_arrived && self.arrival.is_some_and(|due| instant > due);
        match phase {
            TripPhase::Failed => TripStatus::Failed,
            TripPhase::Done => TripStatus::Completed,
            _ if leaves_late || arrives_late => TripStatus::Delayed,
            _ if has_departed => TripStatus::Ongoing,
            _ => TripStatus::Scheduled,
        }
    }
}

impl TripPlan {
    /// When it is to leave and to be there.
    #[must_use]
    pub fn schedule(&self) -> TripSchedule {
        TripSchedule { departure: self.scheduled_departure, arrival: self.scheduled_arrival }
    }
}

/// Between which locations a trip went that nobody planned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AutoPlaces {
    /// The terminal that it left.
    pub pickup: Arc<str>,
    /// The client that it came to.
    pub delivery: Arc<str>,
}

/// Where a trip is, by the evidence of its vehicle's visits and by hand.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TripRow {
    /// Key.
    pub trip_id: Arc<str>,
    /// Who drives it.
    pub vehicle_id: Arc<str>,
    /// How far it has come.
    pub phase: TripPhase,
    /// How it is doing.
    pub status: TripStatus,
    /// Who set the status by hand; [`TripRow::INFERRED`] where nobody did.
    pub status_by: Arc<str>,
    /// Arrival of its first visit to the pickup.
    pub pickup_arrival: Option<TimeMs>,
    /// Departure of its last visit to the pickup.
    pub actual_departure: Option<TimeMs>,
    /// Arrival of the visit to the delivery that served it.
    pub arrival: Option<TimeMs>,
    /// Departure of that visit.
    pub offload: Option<TimeMs>,
    /// From `actual_departure` to `offload`, seconds.
    pub tat_s: Option<i64>,
    /// From `actual_departure` to `arrival`, metres along the fixes.
    pub distance_m: Option<i64>,
    /// It was served, and nobody saw its vehicle at the pickup.
    pub departure_unobserved: bool,
    /// Of a trip that is made of visits alone; `None`: it was planned.
    pub auto: Option<AutoPlaces>,
}

impl TripRow {
    /// Stands for a person where a status follows from the evidence.
    pub const INFERRED: &'static str = "inferred";
    /// What the ids of trips begin with that are made of visits alone. No plan has such an id.
    pub const AUTO_ID: &'static str = "auto:";

    /// The id of the trip that a vehicle made without a plan when it departed then. No other one has that.
    #[must_use]
    pub fn auto_id(vehicle_id: &str, departure: TimeMs) -> Arc<str> {
        format!("{}{vehicle_id}:{}", TripRow::AUTO_ID, departure.0).into()
    }

    /// A trip that is planned, and of which nothing has been seen or said.
    #[must_use]
    pub fn planned(trip_id: Arc<str>, vehicle_id: Arc<str>) -> TripRow {
        TripRow {
            trip_id,
            vehicle_id,
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

    /// Whether somebody set the status by hand.
    #[must_use]
    pub fn is_set_by_hand(&self) -> bool {
        &*self.status_by != TripRow::INFERRED
    }

    /// The status that follows from the evidence, whatever was set by hand; the row is that of the instant `as_of`.
    #[must_use]
    pub fn inferred_status(&self, schedule: TripSchedule, as_of: TimeMs) -> TripStatus {
        schedule.status(self.phase, self.actual_departure.is_some(), self.arrival.is_some(), as_of)
    }

    /// Appends all of the row but the brace at its end.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        text_field(out, b"{\"trip_id\":", &self.trip_id);
        text_field(out, b",\"vehicle_id\":", &self.vehicle_id);
        text_field(out, b",\"phase\":", self.phase.as_str());
        text_field(out, b",\"status\":", self.status.as_str());
        text_field(out, b",\"status_by\":", &self.status_by);
        time_field(out, b",\"pickup_arrival\":", self.pickup_arrival);
        time_field(out, b",\"actual_departure\":", self.actual_departure);
        time_field(out, b",\"arrival\":", self.arrival);
        time_field(out, b",\"offload\":", self.offload);
        for (name, value) in [("tat_s", self.tat_s), ("distance_m", self.distance_m)] {
            out.push(b',');
            push_json_string(out, name);
            out.push(b':');
            out.extend_from_slice(value.map_or("null".to_owned(), |value| value.to_string()).as_bytes());
        }
        out.extend_from_slice(format!(",\"departure_unobserved\":{}", self.departure_unobserved).as_bytes());
        if let Some(AutoPlaces { pickup, delivery }) = &self.auto {
            text_field(out, b",\"source\":", "auto");
            text_field(out, b",\"pickup\":", pickup);
            text_field(out, b",\"delivery\":", delivery);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Row, Table};

    fn trip(trip_id: &str) -> TripRow {
        TripRow { status: TripStatus::Delayed, ..TripRow::planned(trip_id.into(), "T1".into()) }
    }

    #[test]
    fn rows_are_the_contracts_bytes() {
        assert_eq!(
            Row::Trip(trip("01/Apr \"1\"")).to_json(),
            r#"{"trip_id":"01/Apr \"1\"","vehicle_id":"T1","phase":"planned","status":"delayed","status_by":"inferred","pickup_arrival":null,"actual_departure":null,"arrival":null,"offload":null,"tat_s":null,"distance_m":null,"departure_unobserved":false}"#
        );
        let done = TripRow {
            phase: TripPhase::Done,
            status: TripStatus::Completed,
            status_by: "ada".into(),
            pickup_arrival: Some(TimeMs(0)),
            actual_departure: Some(TimeMs(60_000)),
            arrival: Some(TimeMs(61_001)),
            offload: Some(TimeMs(3_600_000)),
            tat_s: Some(3540),
            distance_m: Some(0),
            departure_unobserved: true,
            ..trip("t")
        };
        assert_eq!(
            Row::Trip(done).to_json(),
            r#"{"trip_id":"t","vehicle_id":"T1","phase":"done","status":"completed","status_by":"ada","pickup_arrival":"1970-01-01T00:00:00Z","actual_departure":"1970-01-01T00:01:00Z","arrival":"1970-01-01T00:01:01.001Z","offload":"1970-01-01T01:00:00Z","tat_s":3540,"distance_m":0,"departure_unobserved":true}"#
        );
    }

    #[test]
    fn a_row_without_a_plan_says_from_where_to_where() {
        let trip_id = TripRow::auto_id("T:1", TimeMs(60_000));
        let auto = Some(AutoPlaces { pickup: "site-\"1\"".into(), delivery: "B".into() });
        let row = TripRow { auto, ..TripRow::planned(trip_id, "T:1".into()) };
        let json = Row::Trip(row).to_json();
        assert!(json.starts_with(r#"{"trip_id":"auto:T:1:60000","vehicle_id":"T:1","#), "{json}");
        let end = r#""departure_unobserved":false,"source":"auto","pickup":"site-\"1\"","delivery":"B"}"#;
        assert!(json.ends_with(end), "{json}");
    }

    #[test]
    fn the_evidence_has_a_status_of_its_own() {
        let hour = |hours: i64| TimeMs(hours * 3_600_000);
        let schedule = TripSchedule { departure: hour(8), arrival: Some(hour(12)) };
        let planned = TripRow { status: TripStatus::Cancelled, status_by: "ada".into(), ..trip("t") };
        let driving = TripRow { actual_departure: Some(hour(9)), ..planned.clone() };
        let there = TripRow { arrival: Some(hour(13)), ..driving.clone() };
        let unseen = TripRow { actual_departure: None, ..there.clone() };
        let done = TripRow { phase: TripPhase::Done, ..there.clone() };
        let failed = TripRow { phase: TripPhase::Failed, ..planned.clone() };
        for (row, as_of, expected) in [
            (&planned, TimeMs(hour(10).0 - 1), TripStatus::Scheduled),
            (&planned, hour(10), TripStatus::Delayed),
            (&driving, hour(12), TripStatus::Ongoing),
            (&driving, TimeMs(hour(12).0 + 1), TripStatus::Delayed),
            (&there, hour(14), TripStatus::Ongoing),
            (&unseen, hour(14), TripStatus::Ongoing),
            (&done, hour(14), TripStatus::Completed),
            (&failed, hour(9), TripStatus::Failed),
        ] {
            assert_eq!(row.inferred_status(schedule, as_of), expected, "{row:?} at {as_of}");
            assert!(row.is_set_by_hand());
        }
        let without_due = TripSchedule { arrival: None, ..schedule };
        assert_eq!(driving.inferred_status(without_due, hour(100)), TripStatus::Ongoing);
    }

    #[test]
    fn the_key_is_the_id() {
        let ids = ["", "T", "T\u{0}", "T\u{0}\u{1}", "T\u{1}", "Ta", "t"];
        let keys = ids.map(|id| Row::Trip(trip(id)).key_bytes());
        assert!(keys.is_sorted());
        let rows = ids.map(|id| Row::Trip(trip(id)));
        assert!(rows.is_sorted_by(|a, b| a.cmp_key(b).is_lt()));
        let other = Row::Trip(TripRow { phase: TripPhase::Done, ..trip("t") });
        assert_eq!((other.key_bytes(), other.table()), (keys[6].clone(), Table::Trips));
        assert_eq!(ids.map(crate::trip_key), keys);
    }

    #[test]
    fn names_read_as_they_are_written() {
        for phase in TripPhase::ALL {
            assert_eq!(TripPhase::from_name(phase.as_str()), Some(phase));
        }
        for status in TripStatus::ALL {
            assert_eq!(TripStatus::from_name(status.as_str()), Some(status));
        }
        for kind in LocationKind::ALL {
            assert_eq!(LocationKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!((TripPhase::from_name("Done"), TripStatus::from_name("")), (None, None));
    }
}
