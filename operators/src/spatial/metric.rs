//! Metres from degrees: fast local approximations with known error, and when to ask the geodesic.
//!
//! The meridional radius of curvature is `M = a(1-e²)/(1-e² sin²φ)^1.5`, the transverse one
//! `N = a/sqrt(1-e² sin²φ)` (WGS 84).

use model::{Coord, geodesic_m};

pub(crate) const SEMI_MAJOR_M: f64 = 6_378_137.0;
pub(crate) const ECCENTRICITY_SQUARED: f64 = 6.694_379_990_141_316e-3;
/// One coordinate unit (1e-7 degrees) in radians.
pub(crate) const RADIANS_PER_UNIT: f64 = std::f64::consts::PI / 180.0 / 1e7;
/// No two positions one unit of latitude apart are farther than this many metres (the pole's 1e-7°).
pub(crate) const MAX_METRES_PER_LAT_UNIT: f64 = 0.011_169_4;
/// No two positions one unit of longitude apart are farther than this many metres (the equator's 1e-7°).
const MAX_METRES_PER_LON_UNIT: f64 = 0.011_132_0;
/// No two latitudes one unit apart are nearer than this many metres (the equator's 1e-7°).
pub(crate) const MIN_METRES_PER_LAT_UNIT: f64 = 0.011_057_4;

pub(crate) const HALF_TURN: i64 = 1_800_000_000;
pub(crate) const FULL_TURN: i64 = 3_600_000_000;

/// Metres per coordinate unit (east, north) at a latitude in units.
pub(crate) fn metres_per_unit(lat_units: f64) -> (f64, f64) {
    let phi = lat_units * RADIANS_PER_UNIT;
    let (sin, cos) = phi.sin_cos();
    let w_squared = 1.0 - ECCENTRICITY_SQUARED * sin * sin;
    let transverse = SEMI_MAJOR_M / w_squared.sqrt();
    let meridional = transverse * (1.0 - ECCENTRICITY_SQUARED) / w_squared;
    (transverse * cos * RADIANS_PER_UNIT, meridional * RADIANS_PER_UNIT)
}

/// The shorter way round from one longitude to another, in units.
pub(crate) fn short_lon_step(from: i32, to: i32) -> i64 {
    let step = i64::from(to) - i64::from(from);
    if step > HALF_TURN {
        step - FULL_TURN
    } else if step < -HALF_TURN {
        step + FULL_TURN
    } else {
        step
    }
}

/// Whether the geodesic between two positions is at most `limit_m`; exact, and cheap unless it is close.
pub(crate) fn geodesic_at_most(from: Coord, to: Coord, limit_m: f64) -> bool {
    let dlon = short_lon_step(from.lon, to.lon).abs() as f64;
    let dlat = (i64::from(to.lat) - i64::from(from.lat)).abs() as f64;
    // The way along the parallel and then the meridian is never shorter than the geodesic.
    if dlon * MAX_METRES_PER_LON_UNIT + dlat * MAX_METRES_PER_LAT_UNIT <= limit_m {
        return true;
    }
    if dlat * MIN_METRES_PER_LAT_UNIT > limit_m {
        return false;
    }
    geodesic_m(from, to) <= limit_m
}

/// Tests distances from one fixed centre: a series in the difference of latitude, prepared once.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    centre: Coord,
    /// East metres per unit at the mean latitude, as a polynomial in the difference of latitude.
    east: [f64; 3],
    /// North metres per unit, likewise.
    north: [f64; 2],
    tan_squared: f64,
    usable: bool,
}

impl Around {
    pub(crate) fn new(centre: Coord) -> Around {
        let lat = f64::from(centre.lat);
        let step = 100_000.0;
        let (east_0, north_0) = metres_per_unit(lat);
        let (east_up, north_up) = metres_per_unit(lat + step);
        let (east_down, north_down) = metres_per_unit(lat - step);
        let tan = (lat * RADIANS_PER_UNIT).tan();
        Around {
            centre,
            // The mean latitude is half of the difference away, hence the halves and quarters.
            east: [
                east_0,
                (east_up - east_down) / (2.0 * step) / 2.0,
                (east_up - 2.0 * east_0 + east_down) / (step * step) / 2.0 / 4.0,
            ],
            north: [north_0, (north_up - north_down) / (2.0 * step) / 2.0],
            tan_squared: tan * tan,
            usable: lat.abs() < 800_000_000.0,
        }
    }

    pub(crate) fn centre(&self) -> Coord {
        self.centre
    }

    /// Whether the geodesic from the centre to `to` is at most `limit_m`. Exact to the geodesic's own
    /// accuracy: the series decides only where its error cannot matter.
    pub(crate) fn within(&self, to: Coord, limit_m: f64) -> bool {
        if !self.usable || limit_m > 50_000.0 {
            return geodesic_m(self.centre, to) <= limit_m;
        }
        let dlat = (i64::from(to.lat) - i64::from(self.centre.lat)) as f64;
        if dlat.abs() * MIN_METRES_PER_LAT_UNIT > limit_m {
            return false;
        }
        let dlon = short_lon_step(self.centre.lon, to.lon) as f64;
        let east_m = dlon * (self.east[0] + dlat * (self.east[1] + dlat * self.east[2]));
        let north_m = dlat * (self.north[0] + dlat * self.north[1]);
        let metres = (east_m * east_m + north_m * north_m).sqrt();
        let margin = 0.002 + limit_m * (limit_m / 6.3e6).powi(2) * (1.0 + self.tan_squared);
        // Outside of twice the limit the series' error is not bounded by the margin, but neither can it
        // bring a position back to half of its distance.
        if metres <= limit_m - margin {
            return true;
        }
        if metres > limit_m + margin {
            return false;
        }
        geodesic_m(self.centre, to) <= limit_m
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn around_agrees_with_the_geodesic(
            lon in -1_800_000_000_i32..=1_800_000_000, lat in -900_000_000_i32..=900_000_000,
            radius_m in 1.0_f64..60_000.0, angle in 0.0_f64..6.3, factor in 0.0_f64..3.0, near in any::<bool>(),
        ) {
            let centre = Coord { lon, lat };
            let factor = if near { 1.0 + (factor - 1.5) * 1e-4 } else { factor };
            let (east, north) = metres_per_unit(f64::from(lat));
            let to_lat = (f64::from(lat) + radius_m * factor * angle.sin() / north).clamp(-9e8, 9e8) as i32;
            let to_lon = i64::from(lon) + (radius_m * factor * angle.cos() / east.max(1e-5)).clamp(-1.7e9, 1.7e9) as i64;
            let to_lon = (to_lon + HALF_TURN).rem_euclid(FULL_TURN) - HALF_TURN;
            let to = Coord { lon: to_lon as i32, lat: to_lat };
            let exact = geodesic_m(centre, to) <= radius_m;
            prop_assert_eq!(Around::new(centre).within(to, radius_m), exact);
            prop_assert_eq!(geodesic_at_most(centre, to, radius_m), exact);
        }
    }
}
