//! What one slice has in one window, and the figures that it makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::KpiMetric;

use super::arithmetic::{basis_points, mean, quantile, rounded};

/// Counts, sums and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub started: i64,
    pub completed: i64,
    pub delayed: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub departures: OnTime,
    /// Those with a schedule.
    pub arrivals: OnTime,
    pub tats_s: Vec<i64>,
    pub dwells_s: Vec<i64>,
    pub good_fixes: i64,
    /// Legs whose later fix is in the window.
    pub legs_ended: i64,
    pub distance_mm: i64,
    pub moving_ms: i64,
    pub idle_ms: i64,
    pub stopped_ms: i64,
    pub offline_ms: i64,
    /// Of operational trucks.
    pub on_trip_ms: i64,
    pub operational_ms: i64,
    pub alerts: BTreeMap<Arc<str>, i64>,
}

/// How many there were, and how many of them were on time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnTime {
    pub all: i64,
    pub on_time: i64,
}

impl OnTime {
    pub fn add(&mut self, is_on_time: bool) {
        self.all += 1;
        self.on_time += i64::from(is_on_time);
    }

    fn basis_points(self) -> Option<i64> {
        basis_points(self.on_time, self.all)
    }
}

impl Tally {
    /// The figures for which there is something to count. `shows_zeros`: where there is a fix or any of the counts
    /// of trips, all of those counts are shown.
    pub fn figures(&self, shows_zeros: bool) -> Vec<(KpiMetric, i64)> {
        let trip_counts = [
            (KpiMetric::TripsStarted, self.started),
            (KpiMetric::TripsCompleted, self.completed),
            (KpiMetric::TripsDelayed, self.delayed),
            (KpiMetric::TripsFailed, self.failed),
            (KpiMetric::TripsCancelled, self.cancelled),
        ];
        let has_record = self.good_fixes > 0 || trip_counts.iter().any(|(_, count)| *count > 0);
        let mut figures: Vec<(KpiMetric, i64)> =
            trip_counts.into_iter().filter(|(_, count)| *count > 0 || (shows_zeros && has_record)).collect();
        let has_visits = !self.dwells_s.is_empty();
        let optional = [
            (KpiMetric::OnTimeDepartureBp, self.departures.basis_points()),
            (KpiMetric::OnTimeArrivalBp, self.arrivals.basis_points()),
            (KpiMetric::TatMeanS, mean(&self.tats_s)),
            (KpiMetric::TatP50S, quantile(&self.tats_s, 50)),
            (KpiMetric::TatP90S, quantile(&self.tats_s, 90)),
            (KpiMetric::DwellMeanS, mean(&self.dwells_s)),
            (KpiMetric::DwellP90S, quantile(&self.dwells_s, 90)),
            (KpiMetric::Visits, has_visits.then_some(self.dwells_s.len() as i64)),
            (KpiMetric::DistanceM, (self.legs_ended > 0).then(|| rounded(self.distance_mm, 1000))),
            (KpiMetric::UtilizationBp, self.utilization_bp()),
        ];
        figures.extend(optional.into_iter().filter_map(|(metric, value)| Some((metric, value?))));
        if self.leg_ms() > 0 {
            let hours = [
                (KpiMetric::MovingS, self.moving_ms),
                (KpiMetric::IdleS, self.idle_ms),
                (KpiMetric::StoppedS, self.stopped_ms),
                (KpiMetric::OfflineS, self.offline_ms),
            ];
            figures.extend(hours.map(|(metric, ms)| (metric, rounded(ms, 1000))));
        }
        figures.extend(self.alerts.iter().map(|(kind, count)| (KpiMetric::Alerts(kind.clone()), *count)));
        figures
    }

    fn leg_ms(&self) -> i64 {
        self.moving_ms + self.idle_ms + self.stopped_ms + self.offline_ms
    }

    /// Of trucks that nobody heard of, and that were on no trip, nothing is said.
    fn utilization_bp(&self) -> Option<i64> {
        let has_work = self.leg_ms() > 0 || self.on_trip_ms > 0;
        basis_points(self.on_trip_ms, self.operational_ms).filter(|_| has_work)
    }
}
