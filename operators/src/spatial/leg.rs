//! How long a leg between two fixes is, to the millimetre: as the geodesic says, and nearly always without it.

use model::{Coord, geodesic_mm};

use super::metric::{ECCENTRICITY_SQUARED, RADIANS_PER_UNIT, SEMI_MAJOR_M, short_lon_step};

/// Of WGS 84: (a² - b²) / b².
const SECOND_ECCENTRICITY_SQUARED: f64 = ECCENTRICITY_SQUARED / (1.0 - ECCENTRICITY_SQUARED);
/// The series is used up to here: some 5.5 km, and not near the poles, where degrees of longitude are short.
const MAX_STEP_UNITS: i64 = 500_000;
const MAX_LAT_UNITS: i64 = 700_000_000;
/// Where the series comes so near to half a millimetre, the geodesic decides: the series errs by less than a tenth.
const IN_DOUBT_MM: f64 = 1e-3;

/// The geodesic between two positions, rounded to a millimetre, half away from zero.
pub(crate) fn leg_mm(from: Coord, to: Coord) -> i64 {
    let (dlon, dlat) = (short_lon_step(from.lon, to.lon), i64::from(to.lat) - i64::from(from.lat));
    if dlon == 0 && dlat == 0 {
        return 0;
    }
    let mean_lat = i64::from(from.lat) + i64::from(to.lat);
    if dlon.abs().max(dlat.abs()) > MAX_STEP_UNITS || mean_lat.abs() > 2 * MAX_LAT_UNITS {
        return geodesic_mm(from, to);
    }
    let mm = 1000.0 * short_m(dlon as f64, dlat as f64, mean_lat as f64 / 2.0);
    let whole = mm.floor();
    if (mm - whole - 0.5).abs() < IN_DOUBT_MM { geodesic_mm(from, to) } else { (mm + 0.5).floor() as i64 }
}

/// Gauss's mean latitude formula with its terms of third order; what is left out is of fifth order, and less than
/// 1e-7 m where it is used.
fn short_m(dlon_units: f64, dlat_units: f64, mean_lat_units: f64) -> f64 {
    let (dlon, dlat) = (dlon_units * RADIANS_PER_UNIT, dlat_units * RADIANS_PER_UNIT);
    let (sin, cos) = (mean_lat_units * RADIANS_PER_UNIT).sin_cos();
    let (sin_squared, cos_squared) = (sin * sin, cos * cos);
    let eta_squared = SECOND_ECCENTRICITY_SQUARED * cos_squared;
    let v_squared = 1.0 + eta_squared;
    let v_fourth = v_squared * v_squared;
    let transverse = SEMI_MAJOR_M / (1.0 - ECCENTRICITY_SQUARED * sin_squared).sqrt();
    // With t = tan: eta² t² = e'² sin².
    let eta_t_squared = SECOND_ECCENTRICITY_SQUARED * sin_squared;
    let (dlon_squared, dlat_squared) = (dlon * dlon, dlat * dlat);
    let east = transverse
        * cos
        * dlon
        * (1.0 - dlon_squared * sin_squared / 24.0
            + (1.0 + eta_squared - 9.0 * eta_t_squared) / (24.0 * v_fourth) * dlat_squared);
    let north = transverse / v_squared
        * dlat
        * (1.0
            - dlon_squared * (2.0 * cos_squared + 3.0 * sin_squared + 2.0 * eta_squared * cos_squared)
                / 24.0
            + (eta_squared - eta_t_squared) / (8.0 * v_fourth) * dlat_squared);
    east.hypot(north)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::geodesic_m;
    use proptest::prelude::*;

    fn units(max: i64) -> impl Strategy<Value = i64> {
        prop_oneof![-max / 1000..=max / 1000, -max / 20..=max / 20, -max..=max]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50_000))]
        #[test]
        fn a_leg_is_as_long_as_the_geodesic_says(
            lon in -1_800_000_000_i64..=1_800_000_000, lat in -900_000_000_i64..=900_000_000,
            dlon in units(2 * MAX_STEP_UNITS), dlat in units(2 * MAX_STEP_UNITS),
        ) {
            let coord = |lon: i64, lat: i64| Coord {
                lon: ((lon + 1_800_000_000).rem_euclid(3_600_000_000) - 1_800_000_000) as i32,
                lat: lat.clamp(-900_000_000, 900_000_000) as i32,
            };
            let (from, to) = (coord(lon, lat), coord(lon + dlon, lat + dlat));
            let geodesic_m = geodesic_m(from, to);
            prop_assert_eq!(leg_mm(from, to), (geodesic_m * 1000.0).round() as i64);
            prop_assert_eq!(leg_mm(from, to), leg_mm(to, from));
            let is_short = dlon.abs().max(dlat.abs()) <= MAX_STEP_UNITS && lat.abs() + dlat.abs() < MAX_LAT_UNITS;
            if is_short {
                let mean_lat = (lat as f64) + dlat as f64 / 2.0;
                let series_m = short_m(dlon as f64, dlat as f64, mean_lat);
                prop_assert!((series_m - geodesic_m).abs() < IN_DOUBT_MM / 10_000.0, "{series_m} {geodesic_m}");
            }
        }
    }
}
