//! Plane geometry of the simulator: its own, so that its truth owes nothing to the code that it checks.
//!
//! Trucks move on one plane of metres around Lagos. A shape is measured in a plane of its own, scaled at its
//! centre, which is within centimetres of the geodesic for what is a few kilometres away. The margins that
//! fixes keep (50 m) are thousands of times what that errs by.

use model::Coord;

/// Origin of the plane: north of Lagos.
const ORIGIN_LON: f64 = 3.4;
const ORIGIN_LAT: f64 = 6.6;

/// A place on the plane, in metres east and north of the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// Metres east.
    pub x_m: f64,
    /// Metres north.
    pub y_m: f64,
}

/// Metres per degree of longitude and of latitude on WGS 84 at a latitude.
#[must_use]
pub(crate) fn metres_per_degree(lat: f64) -> (f64, f64) {
    let phi = lat.to_radians();
    let east = 111_412.84 * phi.cos() - 93.5 * (3.0 * phi).cos() + 0.118 * (5.0 * phi).cos();
    let north = 111_132.92 - 559.82 * (2.0 * phi).cos() + 1.175 * (4.0 * phi).cos();
    (east, north)
}

/// The scale of the plane: [`metres_per_degree`] at the origin, to the centimetre.
const PLANE_EAST_M: f64 = 110_586.61;
const PLANE_NORTH_M: f64 = 110_588.94;

impl Point {
    /// From degrees.
    #[must_use]
    pub(crate) fn from_degrees(lon: f64, lat: f64) -> Point {
        Point { x_m: (lon - ORIGIN_LON) * PLANE_EAST_M, y_m: (lat - ORIGIN_LAT) * PLANE_NORTH_M }
    }

    /// Longitude and latitude in degrees.
    #[must_use]
    pub(crate) fn degrees(self) -> (f64, f64) {
        (ORIGIN_LON + self.x_m / PLANE_EAST_M, ORIGIN_LAT + self.y_m / PLANE_NORTH_M)
    }

    /// Rounded to 1e-7 degrees.
    #[must_use]
    pub(crate) fn coord(self) -> Coord {
        let (lon, lat) = self.degrees();
        Coord { lon: (lon * 1e7).round() as i32, lat: (lat * 1e7).round() as i32 }
    }

    /// Moved by metres.
    #[must_use]
    pub(crate) fn moved(self, east_m: f64, north_m: f64) -> Point {
        Point { x_m: self.x_m + east_m, y_m: self.y_m + north_m }
    }

    /// Straight distance.
    #[must_use]
    pub(crate) fn distance_m(self, other: Point) -> f64 {
        let (dx, dy) = (self.x_m - other.x_m, self.y_m - other.y_m);
        (dx * dx + dy * dy).sqrt()
    }

    /// Between `self` (0) and `other` (1).
    #[must_use]
    pub(crate) fn towards(self, other: Point, part: f64) -> Point {
        self.moved((other.x_m - self.x_m) * part, (other.y_m - self.y_m) * part)
    }

    /// Degrees clockwise from north, `[0, 360)`.
    #[must_use]
    pub(crate) fn heading_to(self, other: Point) -> f64 {
        (other.x_m - self.x_m).atan2(other.y_m - self.y_m).to_degrees().rem_euclid(360.0)
    }
}

/// A closed line around or within a part; metres from the shape's centre, the first vertex not repeated.
pub(crate) type LocalRing = Vec<(f64, f64)>;

/// What a shape is, around its centre.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outline {
    /// A circle of this radius in metres.
    Circle(f64),
    /// Parts, each an outer ring followed by holes.
    Parts(Vec<Vec<LocalRing>>),
}

/// A fence's area.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Area {
    /// Centre; outlines are relative to it.
    pub centre: Point,
    /// The outline.
    pub outline: Outline,
    /// No point of the area is farther than this from the centre.
    pub reach_m: f64,
    /// What a metre of the plane is here.
    scale: (f64, f64),
}

impl Area {
    /// An area around a centre.
    #[must_use]
    pub(crate) fn new(centre: Point, outline: Outline) -> Area {
        let reach_m = match &outline {
            Outline::Circle(radius_m) => *radius_m,
            Outline::Parts(parts) => {
                parts.iter().flatten().flatten().map(|&(x, y)| (x * x + y * y).sqrt()).fold(0.0, f64::max)
            }
        };
        let (east, north) = metres_per_degree(centre.degrees().1);
        Area { centre, outline, reach_m, scale: (east / PLANE_EAST_M, north / PLANE_NORTH_M) }
    }

    /// Metres to the nearest border, negative inside. Beyond `care_m` from all that the area reaches it is
    /// only a lower bound.
    #[must_use]
    pub(crate) fn signed_distance_m(&self, point: Point, care_m: f64) -> f64 {
        let x = (point.x_m - self.centre.x_m) * self.scale.0;
        let y = (point.y_m - self.centre.y_m) * self.scale.1;
        let from_centre = (x * x + y * y).sqrt();
        let at_least = from_centre - self.reach_m;
        if at_least > care_m {
            return at_least;
        }
        match &self.outline {
            Outline::Circle(radius_m) => from_centre - radius_m,
            Outline::Parts(parts) => {
                let mut nearest_squared = f64::INFINITY;
                let mut inside_any = false;
                for part in parts {
                    let mut inside = false;
                    for ring in part {
                        let (crossings_odd, squared) = ring_test(ring, x, y);
                        inside ^= crossings_odd;
                        nearest_squared = nearest_squared.min(squared);
                    }
                    inside_any |= inside;
                }
                let nearest = nearest_squared.sqrt();
                if inside_any { -nearest } else { nearest }
            }
        }
    }

    /// A vertex of the outline in degrees.
    #[must_use]
    pub(crate) fn vertex_degrees(&self, (x, y): (f64, f64)) -> (f64, f64) {
        self.centre.moved(x / self.scale.0, y / self.scale.1).degrees()
    }
}

/// Whether a ray to the east crosses the ring an odd number of times, and the squared distance to the ring.
fn ring_test(ring: &[(f64, f64)], x: f64, y: f64) -> (bool, f64) {
    let mut odd = false;
    let mut nearest_squared = f64::INFINITY;
    let Some(&(mut ax, mut ay)) = ring.last() else {
        return (false, nearest_squared);
    };
    for &(bx, by) in ring {
        if (ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax) {
            odd = !odd;
        }
        let (dx, dy) = (bx - ax, by - ay);
        let length_squared = dx * dx + dy * dy;
        let along = if length_squared > 0.0 {
            (((x - ax) * dx + (y - ay) * dy) / length_squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let (ex, ey) = (x - ax - along * dx, y - ay - along * dy);
        nearest_squared = nearest_squared.min(ex * ex + ey * ey);
        (ax, ay) = (bx, by);
    }
    (odd, nearest_squared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_is_that_of_the_ellipsoid() {
        let (east, north) = metres_per_degree(ORIGIN_LAT);
        assert!((east - PLANE_EAST_M).abs() < 1.0, "{east}");
        assert!((north - PLANE_NORTH_M).abs() < 1.0, "{north}");
        for lat in [6.3, 6.6, 7.3, 8.1] {
            let (east, north) = metres_per_degree(lat);
            let geodesic_east = model::geodesic_degrees_m((3.4, lat), (3.401, lat)) * 1000.0;
            let geodesic_north = model::geodesic_degrees_m((3.4, lat - 0.0005), (3.4, lat + 0.0005)) * 1000.0;
            assert!((east - geodesic_east).abs() < 1.0, "{lat}: {east} {geodesic_east}");
            assert!((north - geodesic_north).abs() < 1.0, "{lat}: {north} {geodesic_north}");
        }
    }

    #[test]
    fn distance_agrees_with_the_geodesic_far_from_the_origin() {
        let centre = Point::from_degrees(4.2, 8.0);
        let circle = Area::new(centre, Outline::Circle(2_000.0));
        for (east, north) in [(2_500.0, 0.0), (0.0, 2_500.0), (-1_500.0, 1_500.0), (10.0, -20.0)] {
            let point = centre.moved(east, north);
            let geodesic = model::geodesic_degrees_m(centre.degrees(), point.degrees());
            let off = circle.signed_distance_m(point, 1_000.0) - (geodesic - 2_000.0);
            assert!(off.abs() < 1.0, "{off}");
        }
    }

    #[test]
    fn holes_are_outside() {
        let square = |half: f64| vec![(-half, -half), (half, -half), (half, half), (-half, half)];
        let area = Area::new(Point::default(), Outline::Parts(vec![vec![square(300.0), square(100.0)]]));
        let at = |x: f64, y: f64| area.signed_distance_m(Point::default().moved(x, y), 500.0);
        assert!((at(0.0, 0.0) - 100.0).abs() < 0.01);
        assert!((at(200.0, 0.0) + 100.0).abs() < 0.01);
        assert!((at(340.0, 0.0) - 40.0).abs() < 0.01);
    }
}
