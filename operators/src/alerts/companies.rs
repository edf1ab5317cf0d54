//! Whose a vehicle is, as far as rules have a say in it.
//!
//! ```text
//!   "VPC"    VPC -------------------------------->
//!   "FM"     VPC ----|--- FM -------------------->     from the edge of Reach at that record on
//!   none     VPC ----|--- FM --|----------------->
//! ```
//!
//! What the last record says holds for all time that a correction reaches.

use rustc_hash::{FxHashMap, FxHashSet};

use super::control::CompanyKey;
use crate::presence::VehicleKey;

/// Whose a vehicle is, and from when on.
type Dated = (i64, Option<CompanyKey>);

/// The companies of all vehicles.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Companies {
    /// In the order of the times from which on they hold.
    of_vehicles: FxHashMap<VehicleKey, Vec<Dated>>,
    /// Companies that a rule is, or was, about.
    ruled: FxHashSet<CompanyKey>,
}

impl Companies {
    /// There is a rule for a company. Gives the vehicles that are its own at some time, in order.
    pub fn rule(&mut self, company: CompanyKey) -> Vec<VehicleKey> {
        self.ruled.insert(company);
        let is_its = |known: &[Dated]| known.iter().any(|(_, of)| *of == Some(company));
        let its = self.of_vehicles.iter().filter(|(_, known)| is_its(known));
        let mut vehicles: Vec<VehicleKey> = its.map(|(vehicle, _)| *vehicle).collect();
        vehicles.sort_unstable();
        vehicles
    }

    /// A vehicle is a company's from an edge on. Tells whether another rule may hold for it now.
    pub fn change(&mut self, vehicle: VehicleKey, company: Option<CompanyKey>, edge: i64) -> bool {
        let known = self.of_vehicles.get(&vehicle);
        if known.and_then(|known| known.last()).and_then(|(_, last)| *last) == company {
            return false;
        }
        let known = self.of_vehicles.entry(vehicle).or_default();
        let is_ruled = |company: Option<CompanyKey>| company.is_some_and(|of| self.ruled.contains(&of));
        let matters = is_ruled(company) || known.iter().any(|(_, company)| is_ruled(*company));
        known.retain(|(from, _)| *from < edge);
        known.push((edge, company));
        matters
    }

    /// Whose a vehicle is at a time, where there is a rule for companies.
    pub fn at(&self, vehicle: VehicleKey, time: i64) -> Option<CompanyKey> {
        if self.ruled.is_empty() {
            return None;
        }
        let known = self.of_vehicles.get(&vehicle)?;
        known.iter().rfind(|(from, _)| *from <= time).and_then(|(_, company)| *company)
    }

    /// The first time after one from which on it is another one's.
    pub fn next_after(&self, vehicle: VehicleKey, time: i64) -> Option<i64> {
        if self.ruled.is_empty() {
            return None;
        }
        let known = self.of_vehicles.get(&vehicle)?;
        known.iter().map(|(from, _)| *from).find(|from| *from > time)
    }
}
