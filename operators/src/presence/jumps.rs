//! The jump filter: which fixes of a vehicle are plausible.
//!
//! In event-time order, with `g` the last good fix: a fix is good if it follows `g`; or if the two fixes
//! directly before it are flagged, and it follows the nearer, which follows the farther; or if more than
//! 30 minutes passed since `g`. So the filter lets go of a wrong `g` by itself.

use super::fix::Fix;
use super::history::{History, Place};
use crate::spatial::geodesic_at_most;

const LET_GO_AFTER_MS: i64 = 30 * 60_000;
const ALLOWANCE_M: f64 = 200.0;

/// Whether the fix at a place is good, given the last good fix before it. Looks at the flags of the two
/// fixes directly before it only.
#[inline]
pub(crate) fn is_good(
    history: &History,
    place: Place,
    fix: &Fix,
    good: Option<&Fix>,
    max_speed_kmh: f64,
) -> bool {
    let Some(good) = good else { return true };
    if max_speed_kmh == 0.0 || follows(good, fix, max_speed_kmh) || fix.time - good.time > LET_GO_AFTER_MS {
        return true;
    }
    lets_go(history, place, fix, max_speed_kmh).is_some()
}

fn lets_go(history: &History, place: Place, fix: &Fix, max_speed_kmh: f64) -> Option<()> {
    let nearer_place = history.prev(place)?;
    let nearer = history.get(nearer_place);
    let farther = history.get(history.prev(nearer_place)?);
    let both_flagged = nearer.is_jump && farther.is_jump;
    (both_flagged && follows(&nearer, fix, max_speed_kmh) && follows(&farther, &nearer, max_speed_kmh))
        .then_some(())
}

#[inline]
fn follows(earlier: &Fix, later: &Fix, max_speed_kmh: f64) -> bool {
    let elapsed_ms = (later.time - earlier.time) as f64;
    // km/h times ms: 1000 m / 3600 s / 1000 ms.
    geodesic_at_most(earlier.at, later.at, max_speed_kmh * elapsed_ms / 3600.0 + ALLOWANCE_M)
}
