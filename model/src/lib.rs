//! Plain domain data of Watch Tower: times, coordinates, fences, records, derived rows and settings.
//!
//! This crate knows no I/O, no async runtime and no dataflow engine: everything here is a value.
//! Units are in names: `_ms` milliseconds, `_mm` millimetres, `_kmh` kilometres per hour.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod active_times;
mod alert;
mod calendar;
mod cause;
mod clean;
mod eta;
mod fence;
mod geo;
mod identity;
mod kpi;
mod motion;
mod record;
mod round;
mod rows;
mod rule;
mod schedule;
mod settings;
pub mod state;
mod tables;
mod text;
mod tick;
mod time;
mod timeline;
mod trip;
mod vehicle;
mod zone;

pub use active_times::{ActiveTimes, Stretch};
pub use alert::{AlertDetails, AlertId, AlertIdError, AlertKind, AlertRow, DelayOf, Severity};
pub use calendar::{Window, day_of, week_of};
pub use cause::{Cause, Why};
pub use clean::{RejectReason, admit, range_ok};
pub use eta::EtaRow;
pub use fence::{Fence, FenceError, FenceSettings, Ring, Shape, ring_from_degrees};
pub use geo::{Coord, CoordError, UNITS_PER_DEGREE, geodesic_degrees_m, geodesic_m, geodesic_mm};
pub use identity::{VisitId, VisitIdError, pair_subject, trip_hash, trip_key, vehicle_subject};
pub use kpi::{KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan, LiveStatus};
pub use motion::Motion;
pub use record::{BadFields, Position, PositionRef, Record, RecordSink};
pub use round::half_even;
pub use rows::{
    Change, CrossingRow, EndReason, PresenceRow, RejectRow, Row, Table, VisitRow, push_ordered_text,
    push_ordered_time, write_change_line,
};
pub use rule::{AlertMark, AlertRule, ProviderAlert, RuleScope};
pub use schedule::{Schedule, ScheduleError};
pub use settings::{GraphSettings, SettingError, SettingValue};
pub use tables::{Tables, Unfit};
pub use text::{MAX_ID_BYTES, normalise_vehicle_number, push_json_string};
pub use tick::{AlertMarkRecord, ClosedTick, EntityRecord, FenceEdit, Fix, LocationRecord, TripRecord};
pub use time::{TimeError, TimeMs};
pub use timeline::{ALWAYS, NEVER, Timeline, Version};
pub use trip::{
    AutoPlaces, LocationEdit, LocationKind, TripEdit, TripPhase, TripPlan, TripRow, TripSchedule, TripStatus,
};
pub use vehicle::VehicleEdit;
pub use zone::{TimeZone, UnknownZone, by_name as zone_by_name, day_text, time_zone};
