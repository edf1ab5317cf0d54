//! The filter of implausible jumps over one vehicle's accepted fixes.

use std::collections::BTreeMap;

use model::{TimeMs, geodesic_m};

use super::admission::Fix;

const SLACK_M: f64 = 200.0;
const RECOVERY_MS: i64 = 30 * 60 * 1000;

/// Flags of one vehicle's fixes that no change of settings reaches any more: by event time, the fix's `seq` and
/// whether it is good.
pub(super) type FinalFlags = BTreeMap<TimeMs, (u64, bool)>;

/// For each of the fixes, which are in event-time order, whether it is good; the others are jumps.
pub(super) fn good(fixes: &[Fix], max_speed_kmh: f64, final_flags: &FinalFlags) -> Vec<bool> {
    let follows = |later: &Fix, earlier: &Fix| {
        let elapsed_h = (later.time.0 - earlier.time.0) as f64 / 3_600_000.0;
        geodesic_m(earlier.at, later.at) <= max_speed_kmh * 1000.0 * elapsed_h + SLACK_M
    };
    let mut is_good: Vec<bool> = Vec::with_capacity(fixes.len());
    let mut last_good: Option<&Fix> = None;
    for (i, fix) in fixes.iter().enumerate() {
        let final_flag = final_flags.get(&fix.time).filter(|(seq, _)| *seq == fix.seq);
        let good = match last_good {
            _ if final_flag.is_some_and(|(_, is_good)| *is_good) => true,
            _ if final_flag.is_some() => false,
            _ if max_speed_kmh == 0.0 => true,
            None => true,
            Some(last) if follows(fix, last) => true,
            Some(last) => {
                let lets_go = i >= 2
                    && !is_good[i - 1]
                    && !is_good[i - 2]
                    && follows(fix, &fixes[i - 1])
                    && follows(&fixes[i - 1], &fixes[i - 2]);
                lets_go || fix.time.0 - last.time.0 > RECOVERY_MS
            }
        };
        if good {
            last_good = Some(fix);
        }
        is_good.push(good);
    }
    is_good
}
