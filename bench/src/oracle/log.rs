//! The input so far: what was admitted, what corrections have made final, and the rows that follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{EtaRow, GraphSettings, RejectReason, RejectRow, TimeMs};

use super::admission::{Admitted, Fix};
use super::backfill::{Backfill, Opening};
use super::crossing::crossings;
use super::jumps::{self, FinalFlags};
use super::kpis::{DueAlert, Facts};
use super::presence::{presences, stays};
use super::reach::{Base, Edge, Judged};
use super::timeline::{self, Version};
use super::{Input, Rows, alerts, etas, trips};

/// Takes the input record by record.
pub(super) struct Log {
    records: u64,
    admitted: Admitted,
    edge: Edge,
    /// All of the input, those too that are still to come.
    backfills: Vec<Backfill>,
    /// By vehicle.
    final_flags: BTreeMap<String, FinalFlags>,
    /// By vehicle and fence.
    bases: BTreeMap<(String, String), Base>,
    /// What corrections do not reach of fences.
    fences_before: alerts::Before,
}

/// What a record corrects.
enum Correction {
    Fence(String),
    Everything,
}

impl Log {
    pub fn new(defaults: &GraphSettings, backfills: Vec<Backfill>) -> Log {
        Log {
            records: 0,
            admitted: Admitted::new(defaults),
            edge: Edge::default(),
            backfills,
            final_flags: BTreeMap::new(),
            bases: BTreeMap::new(),
            fences_before: alerts::Before::new(),
        }
    }

    pub fn take(&mut self, record: &Input) {
        self.records += 1;
        self.admitted.arrive(record);
        let settings = self.admitted.changed_settings(record).and_then(Result::ok);
        let settings_now = settings.as_ref().unwrap_or(&self.admitted.settings);
        // Up to a record of settings the old ones hold, and so they do at its own instant.
        self.edge.advance(self.admitted.instant(), &self.admitted.settings);
        let edge = self.edge.advance(self.admitted.instant(), settings_now);
        let backfills = self.backfills.clone();
        let opening = Opening::of_record(self.records, edge, &backfills);
        let correction = match record {
            Input::Fence { fence, .. } => Some(Correction::Fence(fence.id.to_string())),
            Input::FenceDelete { id, .. } => Some(Correction::Fence(id.clone())),
            Input::Settings { .. } if *settings_now != self.admitted.settings => Some(Correction::Everything),
            _ => None,
        };
        if let (Some(edge), Some(correction)) = (opening.edge, correction) {
            self.draw_edge(edge, &correction);
        }
        self.admitted.take(self.records, record, &opening);
    }

    /// Makes final what a correction that has arrived, and is not yet taken, does not reach.
    fn draw_edge(&mut self, edge: TimeMs, correction: &Correction) {
        let fence_ids: Vec<String> = match correction {
            Correction::Fence(id) => vec![id.clone()],
            Correction::Everything => self.admitted.fence_edits.keys().cloned().collect(),
        };
        let fences: Vec<(String, Vec<Version>)> =
            fence_ids.into_iter().map(|id| (id.clone(), self.versions(&id))).collect();
        let vehicle_ids: Vec<String> = self.admitted.fixes.keys().cloned().collect();
        for vehicle_id in vehicle_ids {
            let (fixes, is_good) = self.flagged(&vehicle_id);
            let good_fixes = good(&fixes, &is_good);
            for (fence_id, versions) in &fences {
                let judged = self.judge(&vehicle_id, fence_id, &good_fixes, versions);
                let base = Base::new(edge, &judged, &good_fixes);
                self.bases.insert((vehicle_id.clone(), fence_id.clone()), base);
            }
            if matches!(correction, Correction::Everything) {
                let flags = fixes.iter().zip(is_good).filter(|(fix, _)| fix.time < edge);
                let flags = flags.map(|(fix, is_good)| (fix.time, (fix.seq, is_good))).collect();
                self.final_flags.insert(vehicle_id, flags);
            }
        }
        for (fence_id, versions) in fences {
            self.fences_before.entry(fence_id).or_default().push((edge, versions));
        }
    }

    /// A vehicle's fixes, and whether each is good.
    fn flagged(&self, vehicle_id: &str) -> (Vec<Fix>, Vec<bool>) {
        let by_time = self.admitted.fixes.get(vehicle_id);
        let fixes: Vec<Fix> = by_time.iter().flat_map(|fixes| fixes.values()).copied().collect();
        let none = FinalFlags::new();
        let final_flags = self.final_flags.get(vehicle_id).unwrap_or(&none);
        let is_good = jumps::good(&fixes, self.admitted.settings.max_speed_kmh, final_flags);
        (fixes, is_good)
    }

    fn versions(&self, fence_id: &str) -> Vec<Version> {
        let edits = self.admitted.fence_edits.get(fence_id).map_or([].as_slice(), Vec::as_slice);
        timeline::versions(edits, &self.admitted.settings)
    }

    fn judge(&self, vehicle_id: &str, fence_id: &str, good_fixes: &[Fix], versions: &[Version]) -> Judged {
        let none = Base::default();
        let base = self.bases.get(&(vehicle_id.to_owned(), fence_id.to_owned())).unwrap_or(&none);
        let (settings, instant) = (&self.admitted.settings, self.admitted.instant());
        let presences = presences(good_fixes, versions, instant, base);
        Judged {
            stays: stays(&presences, versions, settings, instant, base),
            crossings: crossings(good_fixes, versions, &presences, base),
            presences,
        }
    }

    /// All rows, as of the last record.
    pub fn rows(&self) -> Rows {
        self.rows_and_trips().0
    }

    fn fences(&self) -> Vec<(Arc<str>, Vec<Version>)> {
        let ids = self.admitted.fence_edits.keys();
        ids.map(|id| (Arc::from(id.as_str()), self.versions(id))).collect()
    }

    /// The ETAs of trips, which may be others than those of this log.
    pub fn etas(&self, trips: &trips::Trips, good_fixes: &dyn Fn(&str) -> Vec<Fix>) -> Vec<EtaRow> {
        etas::rows(&etas::Evidence {
            courses: &trips.planned,
            auto_trips: &trips.auto,
            fences: &self.fences(),
            good_fixes,
            instant: self.admitted.instant(),
            edge: self.edge.now(),
        })
    }

    /// All rows, and what has become of trips.
    pub fn rows_and_trips(&self) -> (Rows, trips::Trips) {
        let mut rows = Rows::default();
        let mut rejects = self.admitted.rejects.clone();
        let fences = self.fences();
        let mut vehicles = Vec::new();
        for vehicle_id in self.admitted.fixes.keys() {
            let vehicle: Arc<str> = Arc::from(vehicle_id.as_str());
            let (fixes, is_good) = self.flagged(vehicle_id);
            for (fix, _) in fixes.iter().zip(&is_good).filter(|(_, is_good)| !**is_good) {
                let about = Some((vehicle.clone(), fix.time));
                // A `bad_value` of the same record gives way: one row a record, and a refusal wins.
                rejects.insert(fix.seq, RejectRow { seq: fix.seq, fix: about, reason: RejectReason::Jump });
            }
            let good_fixes = good(&fixes, &is_good);
            let mut in_fences = Vec::new();
            for (fence, versions) in &fences {
                let judged = self.judge(vehicle_id, fence, &good_fixes, versions);
                rows.crossings.extend(judged.crossings.iter().map(|c| c.into_row(&vehicle, fence)));
                rows.presences.extend(judged.presences.iter().map(|p| p.into_row(&vehicle, fence)));
                rows.visits.extend(judged.stays.iter().filter_map(|s| s.into_row(&vehicle, fence)));
                in_fences.push((fence.clone(), judged));
            }
            vehicles.push(alerts::Vehicle::new(vehicle, good_fixes, in_fences));
        }
        rows.rejects = rejects.into_values().collect();
        let good_fixes_of = |vehicle_id: &str| self.good_fixes(vehicle_id);
        let trips::Trips { planned: courses, auto } =
            trips::trips(&self.admitted, &rows.visits, good_fixes_of);
        rows.trips = courses.iter().map(|course| course.row.clone()).collect();
        rows.trips.extend(auto.iter().map(|trip| trip.row.clone()));
        rows.trips.sort_by(|a, b| a.trip_id.cmp(&b.trip_id));
        let trips = trips::Trips { planned: courses, auto };
        rows.etas = self.etas(&trips, &good_fixes_of);
        let trips::Trips { planned: courses, auto } = trips;
        let fences = alerts::Fences { now: &fences, before: &self.fences_before };
        let evidence = alerts::Evidence { admitted: &self.admitted, vehicles, fences, courses };
        rows.alerts = alerts::rows(&evidence);
        (rows, trips::Trips { planned: evidence.courses, auto })
    }

    fn good_fixes(&self, vehicle_id: &str) -> Vec<Fix> {
        let (fixes, is_good) = self.flagged(vehicle_id);
        good(&fixes, &is_good)
    }

    /// Those of all vehicles that have any.
    pub fn good_fixes_by_vehicle(&self) -> BTreeMap<String, Vec<Fix>> {
        let good_fixes = self.admitted.fixes.keys().map(|id| (id.clone(), self.good_fixes(id)));
        good_fixes.filter(|(_, fixes)| !fixes.is_empty()).collect()
    }

    /// What the records say.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// That of the last record.
    pub fn instant(&self) -> TimeMs {
        self.admitted.instant()
    }

    /// What KPIs count, as of the last record.
    pub fn facts(&self) -> Facts<'_> {
        let (rows, trips) = self.rows_and_trips();
        let good_fixes = self.admitted.fixes.keys().map(|id| (id.as_str(), self.good_fixes(id)));
        Facts {
            admitted: &self.admitted,
            trips: trips.planned,
            auto_trips: trips.auto,
            visits: rows.visits,
            alerts: rows.alerts.into_iter().map(DueAlert::from).collect(),
            good_fixes: good_fixes.filter(|(_, fixes)| !fixes.is_empty()).collect(),
        }
    }
}

fn good(fixes: &[Fix], is_good: &[bool]) -> Vec<Fix> {
    fixes.iter().zip(is_good).filter(|(_, is_good)| **is_good).map(|(fix, _)| *fix).collect()
}
