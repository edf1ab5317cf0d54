//! Which trucks are near a place: a cheap test on the unit sphere for all, the geodesic for those left.
//!
//! Directions on a sphere know no antimeridian and no poles. Distances on the sphere differ from geodesics
//! on WGS 84 by less than 0.6 %, and 32-bit directions by a few metres; the bounds here allow for both.

use std::sync::Arc;

use model::{Coord, geodesic_m};

use super::{TruckView, Trucks};
use crate::views::pages::Page;

const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// By how much a distance on the sphere may exceed the geodesic, and the other way round.
const SPHERE_FACTOR: f64 = 1.006;
const SLACK_M: f64 = 5.0;
/// Beyond this the chord says little of the distance, so everything is a candidate.
const MAX_PREFILTER_M: f64 = 15_000_000.0;

/// A search.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    pub centre: Coord,
    pub radius_m: f64,
    pub limit: usize,
    pub after: Option<NearKey>,
}

/// Where a page begins: after this distance and truck.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NearKey {
    pub distance_m: f64,
    pub vehicle_id: Arc<str>,
}

pub(super) fn direction(at: Coord) -> [f32; 3] {
    let (lon, lat) = (at.lon_degrees().to_radians(), at.lat_degrees().to_radians());
    [(lat.cos() * lon.cos()) as f32, (lat.cos() * lon.sin()) as f32, lat.sin() as f32]
}

fn chord_squared(a: [f32; 3], b: [f32; 3]) -> f32 {
    let (x, y, z) = (a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    x * x + y * y + z * z
}

/// The square of a chord that no truck within a geodesic distance exceeds.
fn chord_squared_within(distance_m: f64) -> f32 {
    let on_sphere_m = distance_m * SPHERE_FACTOR + SLACK_M;
    if on_sphere_m > MAX_PREFILTER_M {
        return f32::INFINITY;
    }
    let chord = 2.0 * (on_sphere_m / EARTH_RADIUS_M / 2.0).sin();
    (chord * chord) as f32
}

/// The square of a chord that no truck beyond a geodesic distance falls short of.
fn chord_squared_beyond(distance_m: f64) -> f32 {
    let on_sphere_m = (distance_m / SPHERE_FACTOR - SLACK_M).clamp(0.0, MAX_PREFILTER_M);
    let chord = 2.0 * (on_sphere_m / EARTH_RADIUS_M / 2.0).sin();
    (chord * chord) as f32
}

/// The geodesic distance that no truck with that chord exceeds.
fn distance_at_most_m(chord_squared: f32) -> f64 {
    let half_chord = (f64::from(chord_squared).sqrt() / 2.0).min(1.0);
    (2.0 * half_chord.asin() * EARTH_RADIUS_M + SLACK_M) * SPHERE_FACTOR
}

impl Trucks {
    /// Trucks among which are all that [`Near::page`] can find, in no order. This is the part that needs
    /// the tables.
    pub fn candidates(&self, near: &Near) -> Vec<TruckView> {
        let centre = direction(near.centre);
        let widest = chord_squared_within(near.radius_m);
        let narrowest = near.after.as_ref().map_or(0.0, |key| chord_squared_beyond(key.distance_m));
        let mut found: Vec<(f32, usize)> = self
            .directions
            .iter()
            .enumerate()
            .map(|(slot, there)| (chord_squared(centre, *there), slot))
            .filter(|(chord, _)| *chord <= widest && *chord >= narrowest)
            .collect();
        // One more than the page holds tells whether there is another page. Trucks that may be at or before
        // the cursor are not counted on.
        let certainly_after = near.after.as_ref().map_or(-1.0, |key| chord_squared_within(key.distance_m));
        let certain = found.iter().filter(|(chord, _)| *chord > certainly_after).count();
        let wanted = near.limit + 1;
        if certain > wanted {
            let at = found.len() - certain + wanted - 1;
            let (_, nth, _) = found.select_nth_unstable_by(at, |a, b| a.0.total_cmp(&b.0));
            let bound = chord_squared_within(distance_at_most_m(nth.0));
            found.retain(|(chord, _)| *chord <= bound);
        }
        found.into_iter().map(|(_, slot)| self.slots[slot].shown.clone()).collect()
    }
}

impl Near {
    /// The nearest of the candidates with their geodesic distances in metres, nearest first.
    pub fn page(&self, candidates: Vec<TruckView>) -> Page<(f64, TruckView), NearKey> {
        let is_after = |distance_m: f64, id: &str| {
            self.after.as_ref().is_none_or(|key| (distance_m, id) > (key.distance_m, &*key.vehicle_id))
        };
        let mut rows: Vec<(f64, TruckView)> = candidates
            .into_iter()
            .filter_map(|truck| Some((geodesic_m(self.centre, truck.location?.at), truck)))
            .filter(|(distance_m, truck)| {
                *distance_m <= self.radius_m && is_after(*distance_m, &truck.vehicle_id)
            })
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.vehicle_id.cmp(&b.1.vehicle_id)));
        let is_last = rows.len() <= self.limit;
        rows.truncate(self.limit);
        let next = if is_last {
            None
        } else {
            rows.last().map(|(distance_m, truck)| NearKey {
                distance_m: *distance_m,
                vehicle_id: truck.vehicle_id.clone(),
            })
        };
        Page { rows, next }
    }
}
