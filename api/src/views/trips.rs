//! Trips and locations: the row of each trip and beside it what was planned last, and where locations are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use model::{
    EtaRow, LocationEdit, LocationRecord, TimeMs, TripEdit, TripPhase, TripRecord, TripRow, TripSchedule,
    TripStatus,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::pages::{MAX_STEPS, Page};
use crate::fingerprint::Fingerprint;

/// A page of trips ends when their plans are this long together: they may have any fields.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// What is kept of a plan.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeptPlan {
    pub schedule: TripSchedule,
    pub pickup: Arc<str>,
    pub delivery: Arc<str>,
    /// All of its fields, as a compact JSON object.
    pub json: Box<str>,
}

/// A trip as a reader gets it.
#[derive(Clone, Debug)]
pub(crate) struct TripView {
    pub row: TripRow,
    /// `None`: it is made of visits alone.
    pub plan: Option<Arc<KeptPlan>>,
    /// When it is expected, where it is in transit.
    pub eta: Option<EtaRow>,
}

impl TripView {
    /// The status by the evidence, where another may be set by hand.
    pub fn inferred_status(&self, as_of: TimeMs) -> TripStatus {
        let of_plan = |plan: &Arc<KeptPlan>| self.row.inferred_status(plan.schedule, as_of);
        self.plan.as_ref().map_or(self.row.status, of_plan)
    }

    /// From where to where: as its plan names the places, else the terminal and the client.
    pub fn places(&self) -> Option<(&Arc<str>, &Arc<str>)> {
        let planned = self.plan.as_ref().map(|plan| (&plan.pickup, &plan.delivery));
        planned.or_else(|| self.row.auto.as_ref().map(|auto| (&auto.pickup, &auto.delivery)))
    }

    /// When it was to leave; where it has no plan, when it did.
    fn departure(&self) -> Option<TimeMs> {
        self.plan.as_ref().map(|plan| plan.schedule.departure).or(self.row.actual_departure)
    }

    /// Whether it is still to be driven to its end, by what is seen and by what people say.
    pub fn is_open(&self) -> bool {
        let has_ended = matches!(self.row.phase, TripPhase::Done | TripPhase::Cancelled | TripPhase::Failed);
        let is_called_ended =
            matches!(self.row.status, TripStatus::Completed | TripStatus::Cancelled | TripStatus::Failed);
        !has_ended && !is_called_ended
    }

    /// Whether it is delayed and not over, by the evidence or by hand.
    pub fn is_late(&self, as_of: TimeMs) -> bool {
        let is_delayed = |status| status == TripStatus::Delayed;
        self.is_open() && (is_delayed(self.row.status) || is_delayed(self.inferred_status(as_of)))
    }

    /// What changes whenever somebody edits it: the plan, or the status by hand. What is seen of it does not count.
    pub fn fingerprint(&self) -> Fingerprint {
        let planned = Fingerprint::of(self.plan.as_ref().map_or("", |plan| &*plan.json).as_bytes());
        if !self.row.is_set_by_hand() {
            return planned;
        }
        planned
            .with(&[0])
            .with(self.row.status.as_str().as_bytes())
            .with(&[0])
            .with(self.row.status_by.as_bytes())
    }
}

/// A location as a reader gets it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct LocationView {
    pub fence_id: Option<Arc<str>>,
    pub name: Option<Box<str>>,
}

/// Which trips are wanted; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct TripFilter {
    pub vehicle_id: Option<Arc<str>>,
    pub phase: Option<TripPhase>,
    pub status: Option<TripStatus>,
    pub pickup: Option<Arc<str>>,
    pub delivery: Option<Arc<str>>,
    /// Trips whose scheduled departure, or actual one where they have no plan, is in `[from, to)`.
    pub from: Option<TimeMs>,
    pub to: Option<TimeMs>,
    pub is_late: bool,
}

impl TripFilter {
    fn meets(&self, trip: &TripView, as_of: TimeMs) -> bool {
        let row = &trip.row;
        let departure = trip.departure();
        let (pickup, delivery) = trip.places().unzip();
        self.vehicle_id.as_ref().is_none_or(|wanted| *wanted == row.vehicle_id)
            && self.phase.is_none_or(|wanted| wanted == row.phase)
            && self.status.is_none_or(|wanted| wanted == row.status)
            && self.pickup.as_ref().is_none_or(|wanted| Some(wanted) == pickup)
            && self.delivery.as_ref().is_none_or(|wanted| Some(wanted) == delivery)
            && self.from.is_none_or(|from| departure >= Some(from))
            && self.to.is_none_or(|to| departure < Some(to))
            && (!self.is_late || trip.is_late(as_of))
    }
}

/// A trip's row, its plan and its ETA. They come in one tick, and a trip that has a plan has a row. What is made of
/// visits has no plan.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Kept {
    row: Option<TripRow>,
    plan: Option<Arc<KeptPlan>>,
    eta: Option<EtaRow>,
}

impl Kept {
    fn view(&self) -> Option<TripView> {
        let row = self.row.clone()?;
        let is_complete = self.plan.is_some() || row.auto.is_some();
        is_complete.then(|| TripView { row, plan: self.plan.clone(), eta: self.eta.clone() })
    }
}

/// All trips, by id, and all locations.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Trips {
    by_id: BTreeMap<Arc<str>, Kept>,
    of_vehicle: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Scheduled; actual where nothing was planned.
    by_departure: BTreeSet<(TimeMs, Arc<str>)>,
    locations: BTreeMap<Arc<str>, LocationView>,
    /// Ids of places that plans name: there are few, and many plans.
    places: BTreeSet<Arc<str>>,
}

/// The part of a trip's record that is its plan.
#[derive(Deserialize)]
struct PlanRecord<'a> {
    #[serde(borrow)]
    trip: &'a RawValue,
}

/// The part of a location's record that people read.
#[derive(Deserialize)]
struct NamedRecord {
    location: Named,
}

#[derive(Deserialize)]
struct Named {
    name: Option<serde_json::Value>,
}

impl Trips {
    /// Takes a record in. What is set by hand shows in the row.
    pub fn take_record(&mut self, record: &TripRecord) {
        let TripEdit::Plan(plan) = &record.edit else { return };
        let json = serde_json::from_str::<PlanRecord<'_>>(&record.json);
        let kept = KeptPlan {
            schedule: plan.schedule(),
            pickup: self.place(&plan.pickup),
            delivery: self.place(&plan.delivery),
            json: json.map_or("{}", |record| record.trip.get()).into(),
        };
        let id = match self.by_id.get_key_value(&record.id) {
            Some((id, _)) => id.clone(),
            None => record.id.clone(),
        };
        let departure = kept.schedule.departure;
        let before = self.by_id.entry(id.clone()).or_default().plan.replace(Arc::new(kept));
        if let Some(before) = before {
            self.by_departure.remove(&(before.schedule.departure, id.clone()));
        }
        self.by_departure.insert((departure, id));
    }

    fn place(&mut self, id: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.places.get(id) {
            return known.clone();
        }
        self.places.insert(id.clone());
        id.clone()
    }

    /// A row came or went.
    pub fn apply(&mut self, row: &TripRow, came: bool) {
        if let Some(departure) = row.actual_departure.filter(|_| row.auto.is_some()) {
            let departure = (departure, row.trip_id.clone());
            if came {
                self.by_departure.insert(departure);
            } else {
                self.by_departure.remove(&departure);
                self.by_id.remove(&row.trip_id);
            }
        }
        if came {
            let kept = self.by_id.entry(row.trip_id.clone()).or_default();
            kept.row = Some(row.clone());
            self.of_vehicle.entry(row.vehicle_id.clone()).or_default().insert(row.trip_id.clone());
            return;
        }
        if let Some(kept) = self.by_id.get_mut(&row.trip_id) {
            kept.row = None;
        }
        if let Some(of_vehicle) = self.of_vehicle.get_mut(&row.vehicle_id) {
            of_vehicle.remove(&row.trip_id);
            if of_vehicle.is_empty() {
                self.of_vehicle.remove(&row.vehicle_id);
            }
        }
    }

    /// An ETA came or went.
    pub fn apply_eta(&mut self, row: &EtaRow, came: bool) {
        let kept = self.by_id.entry(row.trip_id.clone()).or_default();
        kept.eta = came.then(|| row.clone());
    }

    pub fn take_location(&mut self, record: &LocationRecord) {
        match &record.edit {
            LocationEdit::Delete => {
                self.locations.remove(&record.id);
            }
            LocationEdit::Upsert { fence_id, .. } => {
                let named = serde_json::from_str::<NamedRecord>(&record.json).ok();
                let name = named.and_then(|record| Some(record.location.name?.as_str()?.into()));
                let location = LocationView { fence_id: fence_id.clone(), name };
                self.locations.insert(record.id.clone(), location);
            }
        }
    }

    pub fn location(&self, id: &str) -> Option<&LocationView> {
        self.locations.get(id)
    }

    pub fn get(&self, id: &str) -> Option<TripView> {
        self.by_id.get(id)?.view()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Up to `limit` trips that meet the filter, after an id, in order of ids.
    pub fn page(
        &self,
        filter: &TripFilter,
        as_of: TimeMs,
        after: Option<&str>,
        limit: usize,
    ) -> Page<TripView, Arc<str>> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (first, Bound::Unbounded);
        if let Some(vehicle_id) = &filter.vehicle_id {
            let ids = self.of_vehicle.get(vehicle_id).into_iter().flat_map(|ids| ids.range::<str, _>(range));
            return self.page_of(ids, filter, as_of, limit);
        }
        match self.scheduled_within(filter, after) {
            Some(ids) => self.page_of(ids.into_iter(), filter, as_of, limit),
            None => self.page_of(self.by_id.range::<str, _>(range).map(|(id, _)| id), filter, as_of, limit),
        }
    }

    /// The ids, in order, of those that are scheduled within the filter's times, where it has any and there are not
    /// too many to be sorted.
    fn scheduled_within(&self, filter: &TripFilter, after: Option<&str>) -> Option<Vec<&Arc<str>>> {
        if filter.from.is_none() && filter.to.is_none() {
            return None;
        }
        let from = (filter.from.unwrap_or(TimeMs(i64::MIN)), Arc::from(""));
        let scheduled = self.by_departure.range(from..);
        let scheduled = scheduled.take_while(|(departure, _)| filter.to.is_none_or(|to| *departure < to));
        let mut ids: Vec<&Arc<str>> = scheduled.take(MAX_STEPS + 1).map(|(_, id)| id).collect();
        if ids.len() > MAX_STEPS {
            return None;
        }
        ids.retain(|id| after.is_none_or(|after| &***id > after));
        ids.sort_unstable();
        Some(ids)
    }

    /// `ids` are in order.
    fn page_of<'a>(
        &self,
        ids: impl Iterator<Item = &'a Arc<str>>,
        filter: &TripFilter,
        as_of: TimeMs,
        limit: usize,
    ) -> Page<TripView, Arc<str>> {
        let mut rows: Vec<TripView> = Vec::new();
        let (mut bytes, mut last_seen) = (0, None);
        for (step, id) in ids.enumerate() {
            if step == MAX_STEPS {
                return Page { rows, next: last_seen };
            }
            let wanted = self.get(id).filter(|trip| filter.meets(trip, as_of));
            if let Some(trip) = wanted {
                bytes += trip.plan.as_ref().map_or(0, |plan| plan.json.len());
                if rows.len() == limit || (bytes > MAX_PAGE_BYTES && !rows.is_empty()) {
                    return Page { rows, next: last_seen };
                }
                rows.push(trip);
            }
            last_seen = Some(id.clone());
        }
        Page { rows, next: None }
    }
}

#[cfg(test)]
mod tests;
