//! Rectangles of longitude and latitude, in units, closed; longitudes may be unwrapped beyond ±180°.

use model::Coord;

use super::metric::{FULL_TURN, HALF_TURN};
use super::ring::Edge;

/// A closed rectangle in units of 1e-7 degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// West edge.
    pub min_lon: i64,
    /// East edge.
    pub max_lon: i64,
    /// South edge.
    pub min_lat: i64,
    /// North edge.
    pub max_lat: i64,
}

impl Rect {
    /// All of the earth.
    pub const EARTH: Rect =
        Rect { min_lon: -HALF_TURN, max_lon: HALF_TURN, min_lat: -HALF_TURN / 2, max_lat: HALF_TURN / 2 };

    /// A rectangle that meets nothing, and that grows by [`Rect::include`].
    pub const EMPTY: Rect =
        Rect { min_lon: i64::MAX, max_lon: i64::MIN, min_lat: i64::MAX, max_lat: i64::MIN };

    /// The smallest rectangle around points.
    pub(crate) fn around(points: impl Iterator<Item = (i64, i64)>) -> Rect {
        points.fold(Rect::EMPTY, |mut rect, (lon, lat)| {
            rect.include(lon, lat);
            rect
        })
    }

    /// Grows the rectangle, if need be, to hold a point.
    pub fn include(&mut self, lon: i64, lat: i64) {
        self.min_lon = self.min_lon.min(lon);
        self.max_lon = self.max_lon.max(lon);
        self.min_lat = self.min_lat.min(lat);
        self.max_lat = self.max_lat.max(lat);
    }

    /// Whether two rectangles in the same frame have a point in common.
    #[must_use]
    pub fn meets(&self, other: &Rect) -> bool {
        self.min_lon <= other.max_lon
            && other.min_lon <= self.max_lon
            && self.min_lat <= other.max_lat
            && other.min_lat <= self.max_lat
    }

    /// Whether a point in the same frame is in it.
    #[must_use]
    pub fn holds(&self, lon: i64, lat: i64) -> bool {
        (self.min_lon..=self.max_lon).contains(&lon) && (self.min_lat..=self.max_lat).contains(&lat)
    }

    /// The rectangle grown on all sides.
    pub(crate) fn grown(&self, lon: i64, lat: i64) -> Rect {
        Rect {
            min_lon: self.min_lon - lon,
            max_lon: self.max_lon + lon,
            min_lat: self.min_lat - lat,
            max_lat: self.max_lat + lat,
        }
    }

    /// The longitudes, whole turns apart, by which a position falls into this rectangle's bounds.
    pub(crate) fn frames_of(&self, at: Coord) -> impl Iterator<Item = i64> {
        let (lon, lat) = (i64::from(at.lon), i64::from(at.lat));
        let (min_lon, max_lon) = (self.min_lon, self.max_lon);
        let lat_fits = lat >= self.min_lat && lat <= self.max_lat;
        let turns = if lat_fits { -2..3 } else { 0..0 };
        turns.map(move |turn: i64| lon + turn * FULL_TURN).filter(move |x| (min_lon..=max_lon).contains(x))
    }

    /// The whole turns by which this rectangle must be moved to meet `other`.
    pub(crate) fn shifts_onto(&self, other: &Rect) -> impl Iterator<Item = i64> + use<> {
        let (own, other) = (*self, *other);
        (-3..=3).map(|turn: i64| turn * FULL_TURN).filter(move |shift| {
            let moved = Rect { min_lon: own.min_lon + shift, max_lon: own.max_lon + shift, ..own };
            moved.meets(&other)
        })
    }

    /// This rectangle cut into parts within ±180°.
    pub(crate) fn wrapped(&self) -> Vec<Rect> {
        if self.max_lon - self.min_lon >= FULL_TURN {
            return vec![Rect { min_lon: -HALF_TURN, max_lon: HALF_TURN, ..*self }];
        }
        let mut parts = Vec::with_capacity(2);
        for shift in self.shifts_onto(&Rect::EARTH) {
            let min_lon = (self.min_lon + shift).max(-HALF_TURN);
            let max_lon = (self.max_lon + shift).min(HALF_TURN);
            parts.push(Rect { min_lon, max_lon, ..*self });
        }
        parts
    }

    /// Whether an edge has a point in common with the rectangle.
    pub(crate) fn meets_edge(&self, ((ax, ay), (bx, by)): Edge) -> bool {
        if ax.max(bx) < self.min_lon
            || ax.min(bx) > self.max_lon
            || ay.max(by) < self.min_lat
            || ay.min(by) > self.max_lat
        {
            return false;
        }
        // Apart from the bounds only the edge's own line can separate the two.
        let side = |x: i64, y: i64| {
            let cross = i128::from(bx - ax) * i128::from(y - ay) - i128::from(by - ay) * i128::from(x - ax);
            cross.signum()
        };
        let corners = [
            side(self.min_lon, self.min_lat),
            side(self.min_lon, self.max_lat),
            side(self.max_lon, self.min_lat),
            side(self.max_lon, self.max_lat),
        ];
        !(corners.iter().all(|&s| s > 0) || corners.iter().all(|&s| s < 0))
    }

    /// The rectangle with what distances to it are judged by; it lies within ±180°. `east` is
    /// [`Rect::widest_metres_per_unit`] of this rectangle, or of one around it.
    pub(crate) fn place_within(self, east: f64) -> Place {
        // Cells of the grid may reach beyond a pole, where no position is.
        let lat = ((self.min_lat + self.max_lat) / 2).clamp(Rect::EARTH.min_lat, Rect::EARTH.max_lat);
        let middle = Coord { lon: ((self.min_lon + self.max_lon) / 2) as i32, lat: lat as i32 };
        let half_width = (self.max_lon - self.min_lon + 1) as f64 / 2.0 + 1.0;
        let half_height = (self.max_lat - self.min_lat + 1) as f64 / 2.0 + 1.0;
        // Along the parallel and then the meridian is no shorter than the geodesic; for rectangles of a
        // few kilometres the diagonal is right to a part in a thousand, which the margin covers.
        let north = 0.011_169_4;
        let (width_m, height_m) = (half_width * east, half_height * north);
        let reach_m = (width_m * width_m + height_m * height_m).sqrt() * 1.002 + 0.1;
        Place { rect: self, middle, reach_m }
    }

    /// Metres of a unit of longitude where it is longest: a parallel is longest nearest to the equator.
    pub(crate) fn widest_metres_per_unit(&self) -> f64 {
        let widest = |lat: i64| super::metric::metres_per_unit(lat as f64).0;
        if self.min_lat <= 0 && self.max_lat >= 0 {
            widest(0)
        } else {
            widest(self.min_lat).max(widest(self.max_lat))
        }
    }
}

/// A rectangle, its middle, and an upper bound of the geodesic in metres from there to any point of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) rect: Rect,
    pub(crate) middle: Coord,
    pub(crate) reach_m: f64,
}
