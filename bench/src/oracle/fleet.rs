//! A fleet that is too large to be recomputed at once: vehicle by vehicle.
//!
//! ```text
//!   common records, records of vehicle A, the end --log--> rows of A, facts of A  \
//!   common records, records of vehicle B, the end --log--> rows of B, facts of B   > all facts --> ETAs, KPIs
//! ```
//!
//! Presences, visits, crossings, trips and alerts rest on one vehicle alone, and on fences, locations, rules and the
//! instant. So where every record says its instant, and no correction meets an edge, the rows of a vehicle's
//! records are those that it has among all others.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{EtaRow, GraphSettings, KpiRow, TimeMs};

use super::admission::Fix;
use super::kpis::{DueAlert, Facts, rows_of_all};
use super::log::Log;
use super::trips::Trips;
use super::{Input, Rows};

/// What all vehicles of a fleet share.
pub struct Fleet {
    /// Fences, locations, rules, settings: all but positions, trips and backfills, in order.
    pub common: Vec<Input>,
    /// The instant of the last record.
    pub instant: TimeMs,
    /// Settings to begin with; all history is kept.
    pub defaults: GraphSettings,
}

/// One vehicle of a fleet.
pub struct OfVehicle {
    /// Its rows, but for ETAs; rejects count the common records first, then the vehicle's own.
    pub rows: Rows,
    trips: Trips,
    /// Of each vehicle that the records are about.
    good_fixes: BTreeMap<String, Vec<Fix>>,
}

impl Fleet {
    /// Recomputes what rests on one vehicle alone; `records` are its own, and those of its trips.
    #[must_use]
    pub fn vehicle(&self, records: &[Input]) -> OfVehicle {
        let log = self.log(records);
        let (mut rows, trips) = log.rows_and_trips();
        rows.etas.clear();
        let good_fixes = log.good_fixes_by_vehicle();
        OfVehicle { rows, trips, good_fixes }
    }

    /// Recomputes what rests on several vehicles, as a replay ends.
    #[must_use]
    pub fn etas_and_kpis(&self, vehicles: Vec<OfVehicle>) -> (Vec<EtaRow>, Vec<KpiRow>) {
        let log = self.log(&[]);
        let (mut planned, mut auto) = (Vec::new(), Vec::new());
        let (mut visits, mut alerts, mut good_fixes) = (Vec::new(), Vec::new(), BTreeMap::new());
        for vehicle in vehicles {
            planned.extend(vehicle.trips.planned);
            auto.extend(vehicle.trips.auto);
            visits.extend(vehicle.rows.visits);
            alerts.extend(vehicle.rows.alerts.into_iter().map(DueAlert::from));
            good_fixes.extend(vehicle.good_fixes);
        }
        planned.sort_by(|a, b| a.row.trip_id.cmp(&b.row.trip_id));
        auto.sort_by(|a, b| a.row.trip_id.cmp(&b.row.trip_id));
        let trips = Trips { planned, auto };
        let of_vehicle = |id: &str| good_fixes.get(id).cloned().unwrap_or_default();
        let etas = log.etas(&trips, &of_vehicle);
        let names: Vec<Arc<str>> = good_fixes.keys().map(|id| id.as_str().into()).collect();
        let good_fixes = names.iter().map(AsRef::as_ref).zip(good_fixes.into_values()).collect();
        let Trips { planned: trips, auto: auto_trips } = trips;
        let facts = Facts { admitted: log.admitted(), trips, auto_trips, visits, alerts, good_fixes };
        (etas, rows_of_all(&facts))
    }

    fn log(&self, records: &[Input]) -> Log {
        let mut log = Log::new(&self.defaults, Vec::new());
        let end = Input::Clock { received: Some(self.instant) };
        self.common.iter().chain(records).chain([&end]).for_each(|record| log.take(record));
        log
    }
}
