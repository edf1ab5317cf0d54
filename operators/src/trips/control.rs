//! What every worker is told of trips.

use std::sync::Arc;

use model::{GraphSettings, LocationKind, TripSchedule, TripStatus};

use crate::fences::FenceKey;
use crate::presence::VehicleKey;

/// A trip's number.
pub type TripKey = u32;
/// The number of somebody who sets a status.
pub type PersonKey = u32;
/// The number of whose load a trip is.
pub type ClientKey = u32;

/// Where a trip begins or ends: a location, or a fence where no location has that id. Ids of locations are
/// numbered as those of fences are.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Its number.
    pub key: FenceKey,
    /// Its id, which orders visits of one instant.
    pub id: Arc<str>,
}

/// A trip as it is planned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// The trip's id, which orders trips of one schedule.
    pub id: Arc<str>,
    /// Who drives.
    pub vehicle: VehicleKey,
    /// From where.
    pub pickup: Place,
    /// To where.
    pub delivery: Place,
    /// Whose load it is.
    pub client: Option<ClientKey>,
    /// The fence that it is to stay inside of on its way.
    pub corridor: Option<FenceKey>,
    /// When it is to leave and to be there.
    pub schedule: TripSchedule,
}

/// A message to every worker within a tick.
#[derive(Clone, Debug)]
pub enum TripControl {
    /// The tick itself. Comes first.
    Tick {
        /// Its instant, ms: timers up to it fire.
        instant: i64,
        /// The last record up to and with this tick.
        last_seq: u64,
        /// The edge of Reach at that record, of whatever backfills: older fixes may be forgotten.
        edge: i64,
        /// No record comes any more: what waits for a next tick need not.
        is_last: bool,
    },
    /// A trip is planned, or planned anew.
    Plan {
        /// Its record.
        seq: u64,
        /// Which trip.
        trip: TripKey,
        /// All of it.
        plan: Arc<Plan>,
    },
    /// A status is set by hand.
    Status {
        /// Its record.
        seq: u64,
        /// The record's instant, ms.
        instant: i64,
        /// Which trip; it may have no plan yet.
        trip: TripKey,
        /// `None` goes back to the inferred one.
        status: Option<TripStatus>,
        /// Who says so.
        by: PersonKey,
    },
    /// A location gets a fence, loses it, or is gone.
    Location {
        /// Its record.
        seq: u64,
        /// Which.
        location: Place,
        /// `None`: there is no such location. `Some(None)`: it has no fence.
        fence: Option<Option<Place>>,
        /// What it is for, where that is known.
        kind: Option<LocationKind>,
    },
    /// Somebody says of a vehicle whether it is operational.
    Vehicle {
        /// Its record.
        seq: u64,
        /// The record's instant, ms.
        instant: i64,
        /// Which vehicle.
        vehicle: VehicleKey,
        /// `None`: it is gone.
        is_operational: Option<bool>,
    },
    /// The settings that hold from this record on, for all trips.
    Settings {
        /// Their record.
        seq: u64,
        /// All of them.
        settings: Arc<GraphSettings>,
        /// Nothing was counted before: the calendar is that of their zone.
        is_first: bool,
    },
}
