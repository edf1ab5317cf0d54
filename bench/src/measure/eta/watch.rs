//! What is said of trips in transit, and what a plain guess would have been: the distance in a straight line over the
//! speed of the last half hour.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use model::{
    ClosedTick, Coord, EtaRow, FenceEdit, LocationEdit, Row, TimeMs, TripEdit, TripPlan, TripRow, geodesic_m,
};

const SPEED_OF_MS: i64 = 30 * 60_000;
const USUAL_KMH: f64 = 30.0;
const MOVING_KMH: f64 = 5.0;

/// Something that was said of a trip.
struct Said {
    trip: Arc<str>,
    as_of: TimeMs,
    eta: EtaRow,
    plain: TimeMs,
}

/// What was said of a trip that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub error_ms: i64,
    pub plain_error_ms: i64,
    pub width_ms: i64,
    pub is_inside: bool,
}

/// Gathers what is said.
#[derive(Default)]
pub(super) struct Watch {
    etas: BTreeMap<Arc<str>, EtaRow>,
    trips: BTreeMap<Arc<str>, TripRow>,
    plans: HashMap<Arc<str>, Arc<TripPlan>>,
    /// By location, its fence.
    locations: HashMap<Arc<str>, Option<Arc<str>>>,
    /// By fence.
    middles: HashMap<Arc<str>, Coord>,
    /// By vehicle, the newest fixes.
    fixes: HashMap<Arc<str>, VecDeque<(TimeMs, Coord)>>,
    said: Vec<Said>,
}

impl Watch {
    pub fn closed(&mut self, closed: &ClosedTick) {
        for record in &closed.trip_records {
            if let TripEdit::Plan(plan) = &record.edit {
                self.plans.insert(record.id.clone(), plan.clone());
            }
        }
        for record in &closed.location_records {
            match &record.edit {
                LocationEdit::Upsert { fence_id, .. } => {
                    self.locations.insert(record.id.clone(), fence_id.clone())
                }
                LocationEdit::Delete => self.locations.remove(&record.id),
            };
        }
        for edit in &closed.fence_edits {
            if let FenceEdit::Upsert(fence) = edit {
                self.middles.insert(fence.id.clone(), fence.shape.middle());
            }
        }
        for fix in &closed.fixes {
            let fixes = self.fixes.entry(fix.vehicle_id.clone()).or_default();
            let time = fix.position.event_time;
            if fixes.back().is_none_or(|(last, _)| *last < time) {
                fixes.push_back((time, fix.at));
                while fixes.front().is_some_and(|(first, _)| time.0 - first.0 > 2 * SPEED_OF_MS) {
                    fixes.pop_front();
                }
            }
        }
        // Of one key what goes is listed before what comes.
        for change in &closed.changes {
            match (&change.row, change.diff > 0) {
                (Row::Eta(row), true) => drop(self.etas.insert(row.trip_id.clone(), row.clone())),
                (Row::Eta(row), false) => drop(self.etas.remove(&row.trip_id)),
                (Row::Trip(row), true) => drop(self.trips.insert(row.trip_id.clone(), row.clone())),
                (Row::Trip(row), false) => drop(self.trips.remove(&row.trip_id)),
                _ => {}
            }
        }
        let said = self.etas.values().filter_map(|eta| {
            let plain = self.plain(&eta.trip_id, closed.instant)?;
            Some(Said { trip: eta.trip_id.clone(), as_of: closed.instant, eta: eta.clone(), plain })
        });
        let said: Vec<Said> = said.collect();
        self.said.extend(said);
    }

    fn plain(&self, trip: &Arc<str>, now: TimeMs) -> Option<TimeMs> {
        let plan = self.plans.get(trip)?;
        let place = || Some(plan.delivery.clone());
        let to = *self.middles.get(&self.locations.get(&plan.delivery).map_or_else(place, Clone::clone)?)?;
        let fixes = self.fixes.get(&plan.vehicle_id)?;
        let (_, at) = fixes.back()?;
        let (mut metres, mut seconds) = (0.0, 0.0);
        for (from, to) in
            fixes.iter().zip(fixes.iter().skip(1)).filter(|(from, _)| now.0 - from.0.0 <= SPEED_OF_MS)
        {
            let (m, s) = (geodesic_m(from.1, to.1), (to.0.0 - from.0.0) as f64 / 1000.0);
            if m / s * 3.6 >= MOVING_KMH {
                (metres, seconds) = (metres + m, seconds + s);
            }
        }
        let metres_per_s = if seconds > 0.0 { metres / seconds } else { USUAL_KMH / 3.6 };
        Some(now.plus_ms((geodesic_m(*at, to) / metres_per_s * 1000.0) as i64))
    }

    /// What was said from a time on, of trips that arrived after it was said.
    pub fn judge(&self, from: TimeMs) -> Vec<Judged> {
        let judged = |said: &Said| {
            let arrival = self.trips.get(&said.trip)?.arrival.filter(|&arrival| arrival > said.as_of)?;
            let EtaRow { eta, eta_low, eta_high, .. } = said.eta;
            Some(Judged {
                error_ms: (eta.0 - arrival.0).abs(),
                plain_error_ms: (said.plain.0 - arrival.0).abs(),
                width_ms: eta_high.0 - eta_low.0,
                is_inside: eta_low <= arrival && arrival <= eta_high,
            })
        };
        self.said.iter().filter(|said| said.as_of >= from).filter_map(judged).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_judged_by_the_arrival_behind_it() {
        let minute = |minutes: i64| TimeMs(minutes * 60_000);
        let eta = |trip: &str| EtaRow {
            trip_id: trip.into(),
            eta: minute(40),
            eta_low: minute(30),
            eta_high: minute(60),
        };
        let said = |trip: &str, as_of: i64| Said {
            trip: trip.into(),
            as_of: minute(as_of),
            eta: eta(trip),
            plain: minute(25),
        };
        let trip = |trip: &str, arrival: Option<i64>| {
            let row = TripRow { arrival: arrival.map(minute), ..TripRow::planned(trip.into(), "T".into()) };
            (row.trip_id.clone(), row)
        };
        let watch = Watch {
            trips: [trip("a", Some(60)), trip("b", Some(61)), trip("c", None)].into(),
            said: vec![said("a", 9), said("a", 10), said("a", 60), said("b", 20), said("c", 20)],
            ..Watch::default()
        };
        let judged = |error: i64, plain_error: i64, is_inside: bool| Judged {
            error_ms: error * 60_000,
            plain_error_ms: plain_error * 60_000,
            width_ms: 30 * 60_000,
            is_inside,
        };
        // Too early, before the arrival, at the arrival, of another trip; and of one that never arrived.
        assert_eq!(watch.judge(minute(10)), [judged(20, 35, true), judged(21, 36, false)]);
    }
}
