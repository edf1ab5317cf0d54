//! Legs: from one good fix of a vehicle to the next.

use model::{TimeMs, Window, geodesic_m};

use crate::oracle::admission::Fix;

pub(super) const OFFLINE_AFTER_MS: i64 = 15 * 60_000;

/// What a vehicle did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Moving,
    Idle,
    Stopped,
    Offline,
}

/// From one fix to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub time: Window,
    pub length_mm: i64,
    pub doing: Doing,
}

/// The legs of a vehicle whose good fixes are given in event-time order.
pub(super) fn legs(good_fixes: &[Fix]) -> Vec<Leg> {
    good_fixes.windows(2).map(|fixes| leg(&fixes[0], &fixes[1])).collect()
}

fn leg(from: &Fix, to: &Fix) -> Leg {
    let length_mm = (geodesic_m(from.at, to.at) * 1000.0).round() as i64;
    let ms = to.time.0 - from.time.0;
    // 5 km/h are 25 mm in 18 ms.
    let is_moving = length_mm * 18 >= ms * 25;
    let doing = match from.motion.ignition {
        _ if ms > OFFLINE_AFTER_MS => Doing::Offline,
        _ if is_moving => Doing::Moving,
        Some(true) => Doing::Idle,
        Some(false) | None => Doing::Stopped,
    };
    Leg { time: Window { start: from.time, end: to.time }, length_mm, doing }
}

/// How much of some time lies in a window.
pub(super) fn overlap_ms(time: Window, window: Window) -> i64 {
    let (start, end): (TimeMs, TimeMs) = (time.start.max(window.start), time.end.min(window.end));
    (end.0 - start.0).max(0)
}
