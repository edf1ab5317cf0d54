//! What there is in a window, and the figures that it makes.

use std::collections::BTreeMap;

use model::{KpiMetric, half_even};

use super::parts::{Field, Part, Piece, RATES, Rate, SAMPLES, SUMS, Sum};
use super::samples::Samples;
use super::steps::DOINGS;
use crate::alerts::KindKey;

/// Which figure.
pub type MetricKey = KpiMetric<KindKey>;

/// Sums of rates up to a time: of each, how many go on, and the sum of the times from which on they do. Between two
/// times `s` and `e`, of which these are the sums, they went on for `e W(e) - P(e) - (s W(s) - P(s))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Rates {
    count: [i64; RATES],
    times: [i64; RATES],
}

impl Rates {
    /// Adds what of a piece goes on.
    pub fn add(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Part(&Part { field: Field::Rate(rate), bucket, amount, moment, .. }) => {
                self.count[rate as usize] += amount;
                self.times[rate as usize] += amount * bucket + moment;
            }
            Piece::Part(_) => {}
            Piece::Steps(_, steps) => {
                for doing in 0..DOINGS {
                    self.count[doing] += steps.counts[doing];
                    self.times[doing] += steps.times[doing];
                }
            }
        }
    }

    pub fn add_all(&mut self, other: &Rates, sign: i64) {
        for rate in 0..RATES {
            self.count[rate] += sign * other.count[rate];
            self.times[rate] += sign * other.times[rate];
        }
    }

    /// How many go on.
    pub fn count(&self, rate: Rate) -> i64 {
        self.count[rate as usize]
    }

    /// Whether a leg or a trip goes on.
    pub fn is_any_at_work(&self) -> bool {
        self.count[..=Rate::OnTrip as usize].iter().any(|&count| count != 0)
    }

    /// Whether anything goes on that figures of a window are made of: these move with the window.
    pub fn is_any_going_on(&self) -> bool {
        self.count[..=Rate::Operational as usize].iter().any(|&count| count != 0)
    }

    /// For how long each went on from one time to another, ms.
    pub fn between(from: (i64, &Rates), to: (i64, &Rates)) -> [i64; RATES] {
        let until = |(time, rates): (i64, &Rates), rate: usize| time * rates.count[rate] - rates.times[rate];
        std::array::from_fn(|rate| until(to, rate) - until(from, rate))
    }
}

/// Sums, samples and alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Tally {
    sums: [i64; SUMS],
    samples: [Samples; SAMPLES],
    /// By kind, where there are any.
    alerts: BTreeMap<KindKey, i64>,
}

impl Tally {
    /// Adds what of a piece does not go on.
    pub fn add(&mut self, piece: Piece<'_>, sign: i64) {
        match piece {
            Piece::Part(part) => match part.field {
                Field::Sum(sum) => self.sums[sum as usize] += sign * part.amount,
                Field::Sample(sample, value) => self.samples[sample as usize].add(value, sign * part.amount),
                Field::Rate(_) => {}
                Field::Alerts(kind) => self.add_alerts(kind, sign * part.amount),
            },
            Piece::Steps(_, steps) => {
                self.sums[Sum::GoodFixes as usize] += sign * steps.good_fixes;
                self.sums[Sum::LegsEnded as usize] += sign * steps.legs_ended;
                self.sums[Sum::DistanceMm as usize] += sign * steps.distance_mm;
            }
        }
    }

    fn add_alerts(&mut self, kind: KindKey, amount: i64) {
        let count = self.alerts.entry(kind).or_default();
        *count += amount;
        if *count == 0 {
            self.alerts.remove(&kind);
        }
    }

    fn sum(&self, sum: Sum) -> i64 {
        self.sums[sum as usize]
    }

    /// The figures for which there is something to count; `ms`: for how long what went on. `shows_zeros`: where
    /// there is a fix or any of the counts of trips, all of those counts are shown.
    pub fn figures(&self, ms: &[i64; RATES], shows_zeros: bool, out: &mut Vec<(MetricKey, i64)>) {
        let trip_counts = [
            (MetricKey::TripsStarted, self.sum(Sum::Started)),
            (MetricKey::TripsCompleted, self.sum(Sum::Completed)),
            (MetricKey::TripsDelayed, self.sum(Sum::Delayed)),
            (MetricKey::TripsFailed, self.sum(Sum::Failed)),
            (MetricKey::TripsCancelled, self.sum(Sum::Cancelled)),
        ];
        let has_record = self.sum(Sum::GoodFixes) > 0 || trip_counts.iter().any(|(_, count)| *count > 0);
        let shows_all = shows_zeros && has_record;
        out.extend(trip_counts.into_iter().filter(|(_, count)| *count > 0 || shows_all));
        let [tats, dwells] = &self.samples;
        let ms = |rate: Rate| ms[rate as usize];
        let legs = [Rate::Moving, Rate::Idle, Rate::Stopped, Rate::Offline];
        let leg_ms: i64 = legs.into_iter().map(ms).sum();
        let has_work = leg_ms > 0 || ms(Rate::OnTrip) > 0;
        let on_time = |on_time: Sum, of: Sum| basis_points(self.sum(on_time), self.sum(of));
        let optional = [
            (MetricKey::OnTimeDepartureBp, on_time(Sum::DeparturesOnTime, Sum::Departures)),
            (MetricKey::OnTimeArrivalBp, on_time(Sum::ArrivalsOnTime, Sum::Arrivals)),
            (MetricKey::TatMeanS, tats.mean()),
            (MetricKey::TatP50S, tats.quantile(50)),
            (MetricKey::TatP90S, tats.quantile(90)),
            (MetricKey::DwellMeanS, dwells.mean()),
            (MetricKey::DwellP90S, dwells.quantile(90)),
            (MetricKey::Visits, dwells.count()),
            (
                MetricKey::DistanceM,
                (self.sum(Sum::LegsEnded) > 0).then(|| half_even(self.sum(Sum::DistanceMm), 1000)),
            ),
            (
                MetricKey::UtilizationBp,
                basis_points(ms(Rate::OnTrip), ms(Rate::Operational)).filter(|_| has_work),
            ),
        ];
        out.extend(optional.into_iter().filter_map(|(metric, value)| Some((metric, value?))));
        if leg_ms > 0 {
            let metrics = [MetricKey::MovingS, MetricKey::IdleS, MetricKey::StoppedS, MetricKey::OfflineS];
            out.extend(
                metrics.into_iter().zip(legs).map(|(metric, rate)| (metric, half_even(ms(rate), 1000))),
            );
        }
        out.extend(self.alerts.iter().map(|(&kind, &count)| (MetricKey::Alerts(kind), count)));
    }
}

/// A share in hundredths of a percent; `None` of nothing.
fn basis_points(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| half_even(part * 10_000, whole))
}
