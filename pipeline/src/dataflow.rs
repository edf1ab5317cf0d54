//! Which operators there are, and what they give each other.
//!
//! ```text
//!   TickInput --> worker 0..N:  fixes --exchange--> Presence --+--> rows
//!                               controls ----------/    \      |
//!                                         \----------> Visits -+
//!                                                       \      |
//!                               trip controls --------> Trips -+
//!                                          |\-----------> KPIs -+
//!                               alert controls ------> Alerts -+
//! ```

use std::cell::RefCell;
use std::rc::Rc;

use differential_dataflow::VecCollection;
use model::{GraphSettings, Why};
use operators::alerts::{AlertControl, AlertFacts, event_alerts, motion_alerts};
use operators::etas::{EtaFacts, etas};
use operators::kpis::{KpiFacts, kpis};
use operators::presence::{FixIn, presence};
use operators::state::States;
use operators::trips::{AutoTrip, TripControl, TripDelta, TripOut, trips};
use operators::visits::visits;
use operators::{Control, Delta};
use timely::dataflow::operators::{Inspect, Probe};
use timely::dataflow::{ProbeHandle, StreamVec};

/// How much a graph computes: what is left out is measured by what the rest costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Computes {
    /// Presences, crossings, visits and rejects.
    Visits,
    /// Trips, ETAs and alerts, too.
    Alerts,
    /// All there is: KPIs, too.
    All,
}

/// What comes into a worker.
pub(crate) struct Inputs<'scope> {
    pub fixes: StreamVec<'scope, u64, FixIn>,
    pub controls: StreamVec<'scope, u64, Control>,
    pub trip_controls: StreamVec<'scope, u64, TripControl>,
    pub alert_controls: StreamVec<'scope, u64, AlertControl>,
}

/// The differences of one tick of a worker.
#[derive(Clone, Default)]
pub(crate) struct Given {
    pub deltas: Vec<Delta>,
    pub trips: Vec<TripDelta>,
    pub auto_trips: Vec<Delta<AutoTrip>>,
    pub etas: Vec<Delta<EtaFacts>>,
    pub kpis: Vec<Delta<KpiFacts>>,
    pub alerts: Vec<Delta<AlertFacts>>,
}

impl Given {
    /// Takes what there is, and leaves room for as much: ticks are alike.
    pub fn take(&mut self) -> Given {
        let room = Given {
            deltas: Vec::with_capacity(self.deltas.len()),
            trips: Vec::with_capacity(self.trips.len()),
            auto_trips: Vec::with_capacity(self.auto_trips.len()),
            etas: Vec::with_capacity(self.etas.len()),
            kpis: Vec::with_capacity(self.kpis.len()),
            alerts: Vec::with_capacity(self.alerts.len()),
        };
        std::mem::replace(self, room)
    }
}

/// Puts the operators of a worker together; what they keep is added to `states`.
pub(crate) fn build(
    inputs: Inputs<'_>,
    settings: &GraphSettings,
    computes: Computes,
    given: &Rc<RefCell<Given>>,
    probe: &ProbeHandle<u64>,
    states: &States,
) {
    let Inputs { fixes, controls, trip_controls, alert_controls } = inputs;
    let (presences, tracks) = presence(fixes, controls.clone(), settings.clone(), states);
    let (visits, stays) = visits(presences.clone(), controls, settings.clone(), states);
    give(presences.clone().concat(visits.clone()), given, probe, |given, delta| given.deltas.push(delta));
    if computes == Computes::Visits {
        return;
    }
    let trips = trips(visits.clone(), trip_controls.clone(), tracks.clone(), settings, states);
    let etas = etas(trips.clone(), trip_controls.clone(), tracks.clone(), states);
    let controls = (alert_controls.clone(), trip_controls.clone());
    let motion = motion_alerts(presences, trips.planned.clone(), controls, tracks.clone(), settings, states);
    let events =
        event_alerts(stays, trips.planned.clone(), trip_controls.clone(), alert_controls, settings, states);
    let alerts = motion.concat(events);
    if computes == Computes::All {
        let kpis = kpis(visits, trips.clone(), alerts.clone(), trip_controls, tracks, settings, states);
        give(kpis, given, probe, |given, delta| given.kpis.push(delta));
    }
    give(trips.planned, given, probe, |given, Delta { row: TripOut { row, .. }, diff, why }| {
        given.trips.push(Delta { row, diff, why });
    });
    give(trips.auto, given, probe, |given, delta| given.auto_trips.push(delta));
    give(etas, given, probe, |given, delta| given.etas.push(delta));
    give(alerts, given, probe, |given, delta| given.alerts.push(delta));
}

/// What an operator gives is gathered until its tick is closed.
fn give<'scope, R: Copy + 'static>(
    rows: VecCollection<'scope, u64, (R, Why), isize>,
    given: &Rc<RefCell<Given>>,
    probe: &ProbeHandle<u64>,
    mut take: impl FnMut(&mut Given, Delta<R>) + 'static,
) {
    let given = given.clone();
    rows.inner
        .inspect_batch(move |_, batch| {
            let mut given = given.borrow_mut();
            for &((row, why), _, diff) in batch {
                take(&mut given, Delta { row, diff: diff as i8, why });
            }
        })
        .probe_with(probe);
}
