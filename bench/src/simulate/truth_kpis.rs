//! What the days of a fleet add up to, by construction: trips and visits as they were, and how often there was
//! something to tell, of the fleet, its clients and its locations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    AlertRow, KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan, Row, TimeMs, TripPhase, TripStatus,
};

use super::life::{day_start, local_day};
use super::trips::{Outcome, client, location_id, thousandth};
use super::truth::TruckTruth;
use super::world::World;

/// Figures of days move at whole minutes.
const HOP_MS: i64 = 60_000;
/// Fixes come no later than this, unless they are refused.
const HORIZON_MS: i64 = 24 * 3_600_000;

/// What happened of a slice on a day.
#[derive(Default)]
struct Tally {
    started: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    tats_s: Vec<i64>,
    dwells_s: Vec<i64>,
    alerts: BTreeMap<Arc<str>, i64>,
}

/// Adds up what happened before some moment, truck by truck.
pub(super) struct TruthKpis {
    mark: TimeMs,
    /// Fences that are locations, and the ids of these.
    locations: BTreeMap<Arc<str>, Arc<str>>,
    days: BTreeSet<i64>,
    tallies: BTreeMap<(i64, KpiSliceKind, Arc<str>), Tally>,
}

impl TruthKpis {
    /// As they show at an instant.
    pub(super) fn at(world: &World, instant: TimeMs) -> TruthKpis {
        let location = |place: u32| {
            let fence = world.places[place as usize].fence?;
            Some((world.fences[fence as usize].label.id.clone(), location_id(world, place).into()))
        };
        TruthKpis {
            mark: TimeMs(instant.0.div_euclid(HOP_MS) * HOP_MS),
            locations: (0..world.places.len() as u32).filter_map(location).collect(),
            days: BTreeSet::new(),
            tallies: BTreeMap::new(),
        }
    }

    /// Takes all of one truck.
    pub(super) fn add(
        &mut self,
        world: &World,
        truth: &TruckTruth,
        trips: &[Outcome<'_>],
        alerts: &[AlertRow],
    ) {
        let mark = self.mark;
        self.days.extend(truth.fixes.iter().filter(|fix| fix.time < mark).map(|fix| local_day(fix.time)));
        trips.iter().for_each(|trip| self.add_trip(world, trip));
        for visit in &truth.visits {
            let Some(departed) = visit.departed else { continue };
            let dwell_s = thousandth(departed.0 - visit.arrived.0);
            let slices = [fleet(), self.location(&visit.fence_id)];
            self.count(departed, slices, |tally| tally.dwells_s.push(dwell_s));
        }
        for alert in alerts {
            let location = alert.fence_id.as_ref().map(|fence_id| self.location(fence_id));
            let slices = [Some(fleet()), location].into_iter().flatten();
            let kind = &alert.kind;
            self.count(alert.due_at, slices, |tally| *tally.alerts.entry(kind.clone()).or_default() += 1);
        }
    }

    fn add_trip(&mut self, world: &World, trip: &Outcome<'_>) {
        let (row, plan) = (&trip.row, &trip.trip.plan);
        let by_hand = |wanted: TripStatus| trip.ended_by_hand.filter(|end| end.1 == wanted).map(|end| end.0);
        let at = |place: u32| (KpiSliceKind::Location, location_id(world, place).into());
        let client = client(world, plan).map(|client| (KpiSliceKind::Client, client.clone()));
        let slices = |place: u32| [fleet(), at(place)].into_iter().chain(client.clone());
        let completed_by_hand = by_hand(TripStatus::Completed).filter(|_| row.phase != TripPhase::Failed);
        if let Some(time) = row.actual_departure {
            self.count(time, slices(plan.pickup), |tally| tally.started += 1);
        }
        if let Some(time) = row.offload.or(completed_by_hand) {
            self.count(time, slices(plan.delivery), |tally| tally.completed += 1);
        }
        if let Some(time) = trip.failed_at {
            self.count(time, slices(plan.delivery), |tally| tally.failed += 1);
        }
        if let Some(time) = by_hand(TripStatus::Cancelled) {
            self.count(time, slices(plan.delivery), |tally| tally.cancelled += 1);
        }
        if let Some(time) = row.offload {
            self.count(time, slices(plan.delivery), |tally| tally.tats_s.extend(row.tat_s));
        }
    }

    fn location(&self, fence_id: &Arc<str>) -> (KpiSliceKind, Arc<str>) {
        // A fence that is nobody's stands for itself.
        (KpiSliceKind::Location, self.locations.get(fence_id).unwrap_or(fence_id).clone())
    }

    fn count(
        &mut self,
        time: TimeMs,
        slices: impl IntoIterator<Item = (KpiSliceKind, Arc<str>)>,
        change: impl Fn(&mut Tally),
    ) {
        for (kind, id) in slices {
            if time < self.mark {
                change(self.tallies.entry((local_day(time), kind, id)).or_default());
            }
        }
    }

    /// The rows in key order.
    pub(super) fn rows(mut self) -> Vec<Row> {
        for day in std::mem::take(&mut self.days) {
            let (kind, id) = fleet();
            self.tallies.entry((day, kind, id)).or_default();
        }
        let mut rows = Vec::new();
        for ((day, kind, id), mut tally) in self.tallies {
            let is_final = day_start(day + 1).plus_ms(HORIZON_MS) < self.mark;
            for (metric, value) in tally.figures(kind == KpiSliceKind::Fleet) {
                let slice = KpiSlice { kind, id: id.clone() };
                let (span, start) = (KpiSpan::Day, Some(day_start(day)));
                rows.push(Row::Kpi(KpiRow { span, start, slice, metric, value, is_final }));
            }
        }
        rows.sort_by(Row::cmp_key);
        rows
    }
}

fn fleet() -> (KpiSliceKind, Arc<str>) {
    (KpiSliceKind::Fleet, KpiSlice::ALL_OF_IT.into())
}

impl Tally {
    fn figures(&mut self, shows_zeros: bool) -> Vec<(KpiMetric, i64)> {
        let counts = [
            (KpiMetric::TripsStarted, self.started),
            (KpiMetric::TripsCompleted, self.completed),
            (KpiMetric::TripsFailed, self.failed),
            (KpiMetric::TripsCancelled, self.cancelled),
        ];
        let mut figures: Vec<(KpiMetric, i64)> =
            counts.into_iter().filter(|(_, count)| *count > 0 || shows_zeros).collect();
        if !self.tats_s.is_empty() {
            self.tats_s.sort_unstable();
            figures.push((KpiMetric::TatMeanS, mean(&self.tats_s)));
            figures.push((KpiMetric::TatP50S, nearest_rank(&self.tats_s, 50)));
            figures.push((KpiMetric::TatP90S, nearest_rank(&self.tats_s, 90)));
        }
        if !self.dwells_s.is_empty() {
            self.dwells_s.sort_unstable();
            figures.push((KpiMetric::DwellMeanS, mean(&self.dwells_s)));
            figures.push((KpiMetric::DwellP90S, nearest_rank(&self.dwells_s, 90)));
            figures.push((KpiMetric::Visits, self.dwells_s.len() as i64));
        }
        figures.extend(self.alerts.iter().map(|(kind, count)| (KpiMetric::Alerts(kind.clone()), *count)));
        figures
    }
}

/// Half to even.
fn mean(values: &[i64]) -> i64 {
    (values.iter().sum::<i64>() as f64 / values.len() as f64).round_ties_even() as i64
}

/// Of values in order.
fn nearest_rank(ascending: &[i64], percent: usize) -> i64 {
    ascending[(ascending.len() * percent).div_ceil(100) - 1]
}
