//! Coordinates as integers, so that geometry tests are exact.

/// How many coordinate units make a degree.
pub const UNITS_PER_DEGREE: i64 = 10_000_000;

/// A WGS 84 position in units of 1e-7 degrees: longitude within ±180°, latitude within ±90°.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Coord {
    /// Longitude, 1e-7 degrees, east positive.
    pub lon: i32,
    /// Latitude, 1e-7 degrees, north positive.
    pub lat: i32,
}

/// Why two numbers are not a position.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CoordError {
    /// A coordinate is NaN or infinite.
    #[error("a coordinate is not a finite number")]
    NotFinite,
    /// |longitude| > 180 or |latitude| > 90 degrees.
    #[error("position {0}, {1} is out of range (longitude within 180, latitude within 90 degrees)")]
    OutOfRange(f64, f64),
}

impl Coord {
    /// Rounds degrees to 1e-7, half away from zero.
    pub fn from_degrees(lon: f64, lat: f64) -> Result<Coord, CoordError> {
        if !lon.is_finite() || !lat.is_finite() {
            return Err(CoordError::NotFinite);
        }
        if lon.abs() > 180.0 || lat.abs() > 90.0 {
            return Err(CoordError::OutOfRange(lon, lat));
        }
        let units = |degrees: f64| (degrees * 1e7).round() as i32;
        Ok(Coord { lon: units(lon), lat: units(lat) })
    }

    /// Longitude in degrees.
    #[must_use]
    pub fn lon_degrees(self) -> f64 {
        f64::from(self.lon) / 1e7
    }

    /// Latitude in degrees.
    #[must_use]
    pub fn lat_degrees(self) -> f64 {
        f64::from(self.lat) / 1e7
    }
}

/// Geodesic distance on WGS 84 in metres (Karney's algorithm, by `geographiclib-rs`).
#[must_use]
pub fn geodesic_m(from: Coord, to: Coord) -> f64 {
    geodesic_degrees_m((from.lon_degrees(), from.lat_degrees()), (to.lon_degrees(), to.lat_degrees()))
}

/// [`geodesic_m`] rounded to a millimetre, half away from zero, as sums of distances are made of it.
#[must_use]
pub fn geodesic_mm(from: Coord, to: Coord) -> i64 {
    (geodesic_m(from, to) * 1000.0).round() as i64
}

/// [`geodesic_m`] of (longitude, latitude) pairs in degrees that need not be on the 1e-7 grid.
#[must_use]
pub fn geodesic_degrees_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    use geographiclib_rs::InverseGeodesic;
    WGS84.with(|ellipsoid| ellipsoid.inverse(from.1, from.0, to.1, to.0))
}

thread_local! {
    static WGS84: geographiclib_rs::Geodesic = geographiclib_rs::Geodesic::wgs84();
}
