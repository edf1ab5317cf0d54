//! When a vehicle was there, and whether it was operational.
//!
//! ```text
//!   records              operational       maintenance     deleted
//!   fixes        o   o        x  o     o        x     o       x     o
//!                |----- operational ------------|-- not ------|
//! ```
//!
//! It is there from its first good fix or its first record on, whichever is earlier. The first record holds from
//! the beginning, each later one from its instant.

use std::collections::BTreeMap;

use model::{TimeMs, VehicleEdit};

/// What all records so far have said of vehicles.
#[derive(Default)]
pub(super) struct Vehicles(BTreeMap<String, Vec<Said>>);

/// What one record says.
struct Said {
    at: TimeMs,
    /// `None`: the vehicle is gone.
    is_operational: Option<bool>,
}

/// `[from, until)`, in which a vehicle is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub from: TimeMs,
    pub until: TimeMs,
    pub is_operational: bool,
}

impl Vehicles {
    pub fn take(&mut self, id: &str, edit: &VehicleEdit, instant: TimeMs) {
        let is_operational = match *edit {
            VehicleEdit::Upsert { is_operational, .. } => Some(is_operational),
            VehicleEdit::Delete => None,
        };
        let said = self.0.entry(id.to_owned()).or_default();
        // Deleting what is unknown does nothing.
        if is_operational.is_some() || !said.is_empty() {
            said.push(Said { at: instant, is_operational });
        }
    }

    /// Those with a record.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, said)| !said.is_empty()).map(|(id, _)| id.as_str())
    }

    /// The periods of a vehicle, in order.
    pub fn periods(&self, id: &str, first_good_fix: Option<TimeMs>) -> Vec<Period> {
        let said = self.0.get(id).map_or([].as_slice(), Vec::as_slice);
        let begins = [said.first().map(|first| first.at), first_good_fix].into_iter().flatten().min();
        let Some(mut from) = begins else { return Vec::new() };
        let mut state = said.first().map_or(Some(true), |first| first.is_operational);
        let mut periods = Vec::new();
        let later = said.iter().skip(1).map(|said| (said.at, said.is_operational));
        for (until, next) in later.chain([(TimeMs(i64::MAX), None)]) {
            if let Some(is_operational) = state.filter(|_| from < until) {
                periods.push(Period { from, until, is_operational });
            }
            (from, state) = (until, next);
        }
        periods
    }
}
