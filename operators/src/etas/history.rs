//! How long trips took from one place to another.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::fences::FenceKey;

const DAY_MS: i64 = 24 * 3_600_000;
/// Trips that left within so much of each other's time of day are alike.
const LIKE_HOUR_MS: i64 = 2 * 3_600_000;
/// Quantiles of fewer say little.
const ENOUGH_TRIPS: usize = 5;
/// Roads and traffic change: older trips do not count.
const NEWEST_TRIPS: usize = 256;
const PERCENTS: [usize; 3] = [10, 50, 90];

/// From where to where, as plans name the places.
pub(super) type Places = (FenceKey, FenceKey);

/// What a trip may still take: the 10th, 50th and 90th percentile, ms.
pub(super) type Quantiles = [i64; 3];

/// A trip that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Took {
    /// When it did, ms.
    pub arrival: i64,
    /// From its departure on.
    pub took_ms: i64,
}

/// Trips that arrived, by places. How many there are of each: equal ones cannot be told apart.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct History {
    of: FxHashMap<Places, BTreeMap<Took, u32>>,
}

impl History {
    /// A trip arrived, or it turns out that it did not.
    pub fn note(&mut self, places: Places, took: Took, diff: i8) {
        let trips = self.of.entry(places).or_default();
        let count = trips.entry(took).or_insert(0);
        *count = count.saturating_add_signed(diff.into());
        if *count == 0 {
            trips.remove(&took);
        }
        if trips.is_empty() {
            self.of.remove(&places);
        }
    }

    /// What a trip may still take that left at `departure` and has taken `elapsed_ms`, by those that arrived before
    /// `mark` and took longer: those that left at a like time of day, else all.
    pub fn left_ms(&self, places: Places, departure: i64, elapsed_ms: i64, mark: i64) -> Option<Quantiles> {
        let arrived_before = Took { arrival: mark, took_ms: i64::MIN };
        let earlier = self.of.get(&places)?.range(..arrived_before).rev();
        let (mut alike, mut all) = (Vec::new(), Vec::new());
        for took in earlier.flat_map(|(&took, &count)| (0..count).map(move |_| took)).take(NEWEST_TRIPS) {
            if took.took_ms <= elapsed_ms {
                continue;
            }
            let apart_ms = (took.arrival - took.took_ms - departure).rem_euclid(DAY_MS);
            if apart_ms.min(DAY_MS - apart_ms) <= LIKE_HOUR_MS {
                alike.push(took.took_ms - elapsed_ms);
            }
            all.push(took.took_ms - elapsed_ms);
        }
        quantiles(alike).or_else(|| quantiles(all))
    }
}

/// By nearest rank.
fn quantiles(mut left_ms: Vec<i64>) -> Option<Quantiles> {
    if left_ms.len() < ENOUGH_TRIPS {
        return None;
    }
    let count = left_ms.len();
    Some(PERCENTS.map(|percent| *left_ms.select_nth_unstable((count * percent).div_ceil(100) - 1).1))
}
