//! How many records are not used, and why: in all, and by vehicle. The rows themselves are in the changelog.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use model::{RejectReason, RejectRow};

use super::pages::{MAX_STEPS, Page};

const REASONS: usize = RejectReason::ALL.len();

/// Counts by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ReasonCounts([u64; REASONS]);

impl ReasonCounts {
    /// In the order in which the reasons are tested.
    pub fn iter(&self) -> impl Iterator<Item = (RejectReason, u64)> + use<> {
        RejectReason::ALL.into_iter().zip(self.0)
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn apply(&mut self, reason: RejectReason, came: bool) {
        let Some(at) = RejectReason::ALL.iter().position(|known| *known == reason) else { return };
        debug_assert!(came || self.0[at] > 0, "only a row that is there is taken back");
        self.0[at] = if came { self.0[at] + 1 } else { self.0[at].saturating_sub(1) };
    }
}

/// The counts of all rejects that stand.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct RejectCounts {
    totals: ReasonCounts,
    /// Of vehicles that have any.
    by_vehicle: BTreeMap<Arc<str>, ReasonCounts>,
}

impl RejectCounts {
    pub fn totals(&self) -> ReasonCounts {
        self.totals
    }

    pub fn apply(&mut self, row: &RejectRow, came: bool) {
        self.totals.apply(row.reason, came);
        let Some((vehicle_id, _)) = &row.fix else { return };
        let counts = self.by_vehicle.entry(vehicle_id.clone()).or_default();
        counts.apply(row.reason, came);
        if counts.total() == 0 {
            self.by_vehicle.remove(vehicle_id);
        }
    }

    /// One vehicle's counts.
    pub fn of_vehicle(&self, vehicle_id: &str) -> Option<(Arc<str>, ReasonCounts)> {
        self.by_vehicle.get_key_value(vehicle_id).map(|(id, counts)| (id.clone(), *counts))
    }

    /// Up to `limit` vehicles after one, in order of their ids; with a reason, only those that have it.
    pub fn page(
        &self,
        reason: Option<RejectReason>,
        after: Option<&str>,
        limit: usize,
    ) -> Page<(Arc<str>, ReasonCounts), Arc<str>> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows: Vec<(Arc<str>, ReasonCounts)> = Vec::new();
        let mut last_seen = None;
        for (step, (id, counts)) in self.by_vehicle.range::<str, _>((first, Bound::Unbounded)).enumerate() {
            if step == MAX_STEPS || rows.len() == limit {
                return Page { rows, next: last_seen };
            }
            let is_wanted = reason.is_none_or(|reason| counts.iter().any(|(r, n)| r == reason && n > 0));
            if is_wanted {
                rows.push((id.clone(), *counts));
            }
            last_seen = Some(id.clone());
        }
        Page { rows, next: None }
    }
}

#[cfg(test)]
mod tests {
    use model::TimeMs;

    use super::*;

    fn reject(vehicle: Option<&str>, reason: RejectReason) -> RejectRow {
        RejectRow { seq: 1, fix: vehicle.map(|id| (id.into(), TimeMs(0))), reason }
    }

    #[test]
    fn counts_are_of_what_stands() {
        let mut counts = RejectCounts::default();
        let of = |counts: &RejectCounts, id: &str| counts.of_vehicle(id).map(|(_, counts)| counts.total());
        counts.apply(&reject(Some("T1"), RejectReason::Jump), true);
        counts.apply(&reject(Some("T1"), RejectReason::TooLate), true);
        counts.apply(&reject(Some("T2"), RejectReason::Jump), true);
        counts.apply(&reject(None, RejectReason::Malformed), true);
        assert_eq!((counts.totals().total(), of(&counts, "T1"), of(&counts, "T2")), (4, Some(2), Some(1)));
        counts.apply(&reject(Some("T2"), RejectReason::Jump), false);
        counts.apply(&reject(Some("T1"), RejectReason::Jump), false);
        assert_eq!((counts.totals().total(), of(&counts, "T1"), of(&counts, "T2")), (2, Some(1), None));
        let by_reason: Vec<(RejectReason, u64)> = counts.totals().iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(by_reason, [(RejectReason::Malformed, 1), (RejectReason::TooLate, 1)]);
    }

    #[test]
    fn pages_hold_every_vehicle_once_and_look_at_few() {
        let mut counts = RejectCounts::default();
        let vehicles = MAX_STEPS + 10;
        for n in 0..vehicles {
            let reason = if n + 1 == vehicles { RejectReason::Future } else { RejectReason::Jump };
            counts.apply(&reject(Some(&format!("T{n:06}")), reason), true);
        }
        let read_all = |reason, limit| {
            let (mut ids, mut after, mut pages) = (Vec::new(), None::<Arc<str>>, 0);
            loop {
                let page = counts.page(reason, after.as_deref(), limit);
                ids.extend(page.rows.into_iter().map(|(id, _)| id));
                pages += 1;
                after = page.next;
                if after.is_none() {
                    return (ids, pages);
                }
            }
        };
        let (ids, pages) = read_all(None, 1000);
        assert_eq!((ids.len(), pages), (vehicles, vehicles.div_ceil(1000)));
        assert!(ids.is_sorted_by(|a, b| a < b));
        let (ids, pages) = read_all(Some(RejectReason::Future), 10);
        assert_eq!((ids.len(), pages), (1, 2), "a narrow filter costs a page no more steps");
    }
}
