//! Tables of derived rows by vehicle, fence and time: presences, visits and crossings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::state::{Loader, Saver, State, StateError};
use model::{CrossingRow, PresenceRow, TimeMs, VisitRow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pages::{MAX_STEPS, Page};

/// A row about one vehicle in one fence over a span of time. Spans of one pair do not overlap.
pub(crate) trait SpanRow: Clone + PartialEq {
    fn vehicle_id(&self) -> &Arc<str>;
    fn fence_id(&self) -> &Arc<str>;
    fn start(&self) -> TimeMs;
    /// `None` while it lasts.
    fn end(&self) -> Option<TimeMs>;
}

impl SpanRow for PresenceRow {
    fn vehicle_id(&self) -> &Arc<str> {
        &self.vehicle_id
    }
    fn fence_id(&self) -> &Arc<str> {
        &self.fence_id
    }
    fn start(&self) -> TimeMs {
        self.entered
    }
    fn end(&self) -> Option<TimeMs> {
        self.end.map(|(time, _)| time)
    }
}

impl SpanRow for VisitRow {
    fn vehicle_id(&self) -> &Arc<str> {
        &self.vehicle_id
    }
    fn fence_id(&self) -> &Arc<str> {
        &self.fence_id
    }
    fn start(&self) -> TimeMs {
        self.arrived
    }
    fn end(&self) -> Option<TimeMs> {
        self.departed
    }
}

impl SpanRow for CrossingRow {
    fn vehicle_id(&self) -> &Arc<str> {
        &self.vehicle_id
    }
    fn fence_id(&self) -> &Arc<str> {
        &self.fence_id
    }
    fn start(&self) -> TimeMs {
        self.from_time
    }
    fn end(&self) -> Option<TimeMs> {
        Some(self.to_time)
    }
}

/// Vehicle and fence.
type Pair = (Arc<str>, Arc<str>);

/// Where a page of a [`SpanTable`] begins: after this key, which need not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpanKey {
    pub vehicle_id: Arc<str>,
    pub fence_id: Arc<str>,
    pub start: TimeMs,
}

/// Which spans are wanted; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanFilter {
    pub vehicle_id: Option<Arc<str>>,
    pub fence_id: Option<Arc<str>>,
    /// Spans that meet `[from, to)`.
    pub from: Option<TimeMs>,
    pub to: Option<TimeMs>,
}

impl SpanFilter {
    fn meets(&self, row: &impl SpanRow) -> bool {
        let begins_in_time = self.to.is_none_or(|to| row.start() < to);
        let ends_in_time =
            self.from.is_none_or(|from| row.start() >= from || row.end().is_none_or(|end| end > from));
        begins_in_time && ends_in_time
    }

    /// The part of one pair's rows that can meet the filter's times.
    fn narrow<'a, R: SpanRow>(&self, rows: &'a [R]) -> &'a [R] {
        let first = self.from.map_or(0, |from| {
            // Spans do not overlap, so of those that begin before `from` only the last can reach it.
            rows.partition_point(|row| row.start() < from).saturating_sub(1)
        });
        let end = self.to.map_or(rows.len(), |to| rows.partition_point(|row| row.start() < to));
        rows.get(first..end).unwrap_or_default()
    }
}

/// Presences, visits or crossings, in order of vehicle, fence, start.
pub(crate) struct SpanTable<R> {
    by_pair: BTreeMap<Pair, Vec<R>>,
    vehicles_of_fence: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    len: usize,
}

impl<R> Default for SpanTable<R> {
    fn default() -> Self {
        SpanTable { by_pair: BTreeMap::new(), vehicles_of_fence: BTreeMap::new(), len: 0 }
    }
}

/// Which vehicles were in which fences follows from the rows.
impl<R: SpanRow + Serialize + DeserializeOwned> State for SpanTable<R> {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        to.put(&self.len)?;
        to.put_map(&self.by_pair)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        self.len = from.take()?;
        self.by_pair = from.take_map()?;
        for (vehicle_id, fence_id) in self.by_pair.keys() {
            let vehicles = self.vehicles_of_fence.entry(fence_id.clone()).or_default();
            vehicles.insert(vehicle_id.clone());
        }
        Ok(())
    }
}

impl<R: SpanRow> SpanTable<R> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn apply(&mut self, row: &R, came: bool) {
        if came {
            self.insert(row);
        } else {
            self.remove(row);
        }
    }

    fn insert(&mut self, row: &R) {
        let pair = (row.vehicle_id().clone(), row.fence_id().clone());
        let rows = self.by_pair.entry(pair).or_default();
        if rows.is_empty() {
            let vehicles = self.vehicles_of_fence.entry(row.fence_id().clone()).or_default();
            vehicles.insert(row.vehicle_id().clone());
        }
        match rows.binary_search_by_key(&row.start(), SpanRow::start) {
            Ok(at) => rows[at] = row.clone(),
            Err(at) => {
                rows.insert(at, row.clone());
                self.len += 1;
            }
        }
    }

    /// The rows of a vehicle that last.
    pub fn open_ones_of(&self, vehicle_id: &Arc<str>) -> impl Iterator<Item = &R> {
        let pairs = self.by_pair.range((vehicle_id.clone(), Arc::from(""))..);
        let of_vehicle = pairs.take_while(move |(pair, _)| pair.0 == *vehicle_id);
        // Spans of one pair do not overlap: only the last one can last.
        of_vehicle.filter_map(|(_, rows)| rows.last().filter(|row| row.end().is_none()))
    }

    fn remove(&mut self, row: &R) {
        let pair = (row.vehicle_id().clone(), row.fence_id().clone());
        let Some(rows) = self.by_pair.get_mut(&pair) else { return };
        let Ok(at) = rows.binary_search_by_key(&row.start(), SpanRow::start) else { return };
        debug_assert!(rows[at] == *row, "only a row that is there is taken back");
        rows.remove(at);
        self.len -= 1;
        if !rows.is_empty() {
            return;
        }
        self.by_pair.remove(&pair);
        let (vehicle_id, fence_id) = pair;
        if let Some(vehicles) = self.vehicles_of_fence.get_mut(&fence_id) {
            vehicles.remove(&vehicle_id);
            if vehicles.is_empty() {
                self.vehicles_of_fence.remove(&fence_id);
            }
        }
    }

    /// Up to `limit` rows that meet the filter, after a key.
    pub fn page(&self, filter: &SpanFilter, after: Option<&SpanKey>, limit: usize) -> Page<R, SpanKey> {
        let mut scan = Scan { filter, after, limit, steps: 0, rows: Vec::new(), next: None };
        match (&filter.vehicle_id, &filter.fence_id) {
            (Some(vehicle_id), Some(fence_id)) => {
                if let Some((pair, rows)) =
                    self.by_pair.get_key_value(&(vehicle_id.clone(), fence_id.clone()))
                {
                    scan.pair(pair, rows);
                }
            }
            (None, Some(fence_id)) => {
                let vehicles = self.vehicles_of_fence.get(fence_id);
                let first = after.map_or_else(|| Arc::from(""), |key| key.vehicle_id.clone());
                for vehicle_id in vehicles.into_iter().flat_map(|v| v.range(first.clone()..)) {
                    let pair = (vehicle_id.clone(), fence_id.clone());
                    let Some(rows) = self.by_pair.get(&pair) else { continue };
                    if scan.pair(&pair, rows) {
                        break;
                    }
                }
            }
            (vehicle_id, None) => {
                let mut first: Pair = (vehicle_id.clone().unwrap_or_else(|| Arc::from("")), Arc::from(""));
                if let Some(key) = after {
                    first = first.max((key.vehicle_id.clone(), key.fence_id.clone()));
                }
                for (pair, rows) in self.by_pair.range(first..) {
                    let other_vehicle = vehicle_id.as_ref().is_some_and(|wanted| *wanted != pair.0);
                    if other_vehicle || scan.pair(pair, rows) {
                        break;
                    }
                }
            }
        }
        Page { rows: scan.rows, next: scan.next }
    }
}

/// One page in the making.
struct Scan<'a, R> {
    filter: &'a SpanFilter,
    after: Option<&'a SpanKey>,
    limit: usize,
    steps: usize,
    rows: Vec<R>,
    next: Option<SpanKey>,
}

impl<R: SpanRow> Scan<'_, R> {
    /// Takes what fits of one pair's rows; `true` when the page is complete.
    fn pair(&mut self, pair: &Pair, rows: &[R]) -> bool {
        let mut rows = self.filter.narrow(rows);
        if let Some(key) = self.after {
            let this = (&*pair.0, &*pair.1);
            let that = (&*key.vehicle_id, &*key.fence_id);
            if this < that {
                return false;
            }
            if this == that {
                rows = &rows[rows.partition_point(|row| row.start() <= key.start)..];
            }
        }
        self.steps += 1;
        if self.steps > MAX_STEPS {
            let before_all = TimeMs(i64::MIN);
            self.stop_before(pair, before_all);
            return true;
        }
        for row in rows.iter().filter(|row| self.filter.meets(*row)) {
            if self.rows.len() == self.limit {
                self.next = self.rows.last().map(|last| SpanKey {
                    vehicle_id: last.vehicle_id().clone(),
                    fence_id: last.fence_id().clone(),
                    start: last.start(),
                });
                return true;
            }
            self.rows.push(row.clone());
        }
        false
    }

    fn stop_before(&mut self, pair: &Pair, start: TimeMs) {
        self.next = Some(SpanKey { vehicle_id: pair.0.clone(), fence_id: pair.1.clone(), start });
    }
}

#[cfg(test)]
mod tests;
