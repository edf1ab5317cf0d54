//! Rectangles that are looked at one by one, because they are few or move about.

use model::Coord;

use super::legs::{crosses_antimeridian, leg_rects};
use crate::spatial::Rect;

/// A closed rectangle of positions that grows; empty at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Bounds {
    low: Coord,
    high: Coord,
}

impl Bounds {
    pub(super) const EMPTY: Bounds =
        Bounds { low: Coord { lon: i32::MAX, lat: i32::MAX }, high: Coord { lon: i32::MIN, lat: i32::MIN } };

    /// A rectangle within ±180°; what of it is beyond a pole may be left out.
    pub(super) fn of(rect: &Rect) -> Bounds {
        let unit = |units: i64| units.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        Bounds {
            low: Coord { lon: unit(rect.min_lon), lat: unit(rect.min_lat) },
            high: Coord { lon: unit(rect.max_lon), lat: unit(rect.max_lat) },
        }
    }

    #[inline]
    pub(super) fn touch(&self) -> u32 {
        self.low.lon.cast_unsigned()
    }

    #[inline]
    pub(super) fn include(&mut self, at: Coord) {
        self.low.lon = self.low.lon.min(at.lon);
        self.low.lat = self.low.lat.min(at.lat);
        self.high.lon = self.high.lon.max(at.lon);
        self.high.lat = self.high.lat.max(at.lat);
    }

    /// Grows to hold a leg; one over 180° makes it go all around.
    pub(super) fn include_leg(&mut self, from: Coord, to: Coord) {
        self.include(from);
        self.include(to);
        if crosses_antimeridian(from, to) {
            for rect in leg_rects(from, to) {
                let part = Bounds::of(&rect);
                self.include(part.low);
                self.include(part.high);
            }
        }
    }

    /// Without a branch, so that several are compared at once.
    #[inline]
    pub(super) fn meets(&self, other: &Bounds) -> bool {
        (self.low.lon <= other.high.lon)
            & (other.low.lon <= self.high.lon)
            & (self.low.lat <= other.high.lat)
            & (other.low.lat <= self.high.lat)
    }
}

/// Calls `found` with the place of each rectangle that meets one of the others.
pub(super) fn for_each_meeting(all: &[Bounds], others: &[Bounds], mut found: impl FnMut(usize)) {
    const BITS: usize = u64::BITS as usize;
    for (first, chunk) in (0..).step_by(BITS).zip(all.chunks(BITS)) {
        let mut met = 0_u64;
        for other in others {
            for (bit, bounds) in chunk.iter().enumerate() {
                met |= u64::from(bounds.meets(other)) << bit;
            }
        }
        while met != 0 {
            found(first + met.trailing_zeros() as usize);
            met &= met - 1;
        }
    }
}
