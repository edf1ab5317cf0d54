//! The world that trucks live in: places, fences with what becomes of them, and the roads between.

use model::TimeMs;

use super::index::{AreaIndex, IndexedArea};
use super::lagos::{Form, Kind, PLACES};
use super::layout::{Layout, generated};
use super::plane::{Area, Outline, Point};
use super::prng::{Prng, key};
use super::roads::{End, Roads};
use super::shapes::{Label, Terms, outline};

/// Fixes keep this far from every border that decides, metres.
pub(crate) const MARGIN_M: f64 = 50.0;
/// A parked truck's fixes are within this of its place's spot, metres.
const PARKING_SLACK_M: f64 = 20.0;

const FENCE_KEY: u64 = 0x000f_e9ce;
const EDIT_KEY: u64 = 0x0000_ed17;
const SPOT_KEY: u64 = 0x0000_5907;

/// What is done to a fence during the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EditKind {
    /// Another area, for all of its past.
    Reshape(Area),
    /// Gone from this time on.
    Delete(TimeMs),
}

/// An edit of a fence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edit {
    pub received: TimeMs,
    pub kind: EditKind,
}

/// A fence and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct SimFence {
    pub label: Label,
    pub first: Area,
    pub edit: Option<Edit>,
}

impl SimFence {
    /// From when on the fence is gone.
    #[must_use]
    pub(crate) fn deleted_at(&self) -> Option<TimeMs> {
        match self.edit {
            Some(Edit { kind: EditKind::Delete(at), .. }) => Some(at),
            _ => None,
        }
    }

    /// What it is first, and what it is made into.
    pub(crate) fn areas(&self) -> impl Iterator<Item = &Area> {
        let last = match &self.edit {
            Some(Edit { kind: EditKind::Reshape(area), .. }) => Some(area),
            _ => None,
        };
        [Some(&self.first), last].into_iter().flatten()
    }

    /// Whether a parked truck's fixes here are clear of the borders of this fence.
    fn is_clear(&self, point: Point, slack_m: f64) -> bool {
        let buffer_m = self.label.terms.exit_buffer_m();
        self.areas().all(|area| is_clear_of(area, buffer_m, point, slack_m))
    }
}

/// Where trucks stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub end: End,
    /// Its fence, where it has one.
    pub fence: Option<u32>,
    /// Whether trucks parked here are clear of all borders that decide.
    pub is_clear: bool,
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorldOptions {
    pub fences: u32,
    pub seed: u64,
    pub layout: Layout,
    /// Which share of the fences is edited, between these times of arrival.
    pub edits: Option<(f64, TimeMs, TimeMs)>,
}

/// The world.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub seed: u64,
    pub fences: Vec<SimFence>,
    pub places: Vec<Place>,
    pub depots: Vec<u32>,
    pub terminals: Vec<u32>,
    pub clients: Vec<u32>,
    /// How many of `clients` are on the map; the rest are generated.
    pub mapped_clients: u32,
    pub roads: Roads,
    index: AreaIndex,
}

impl World {
    /// Makes the world of these options.
    #[must_use]
    pub(crate) fn new(options: &WorldOptions) -> World {
        let roads = Roads::new();
        let mut fences = sites(options, &roads);
        if let Some((share, start, end)) = options.edits {
            for (number, fence) in fences.iter_mut().enumerate() {
                let mut prng = Prng::new(key(key(options.seed, EDIT_KEY), number as u64));
                if prng.chance(share) {
                    fence.edit = Some(edit(fence, &mut prng, start, end));
                }
            }
        }
        let mut areas = Vec::with_capacity(fences.len());
        for (number, fence) in fences.iter().enumerate() {
            let count = fence.areas().count();
            areas.extend(fence.areas().enumerate().map(|(version, area)| IndexedArea {
                fence: number as u32,
                area: area.clone(),
                exit_buffer_m: fence.label.terms.exit_buffer_m(),
                is_final: version + 1 == count,
            }));
        }
        let index = AreaIndex::new(areas, MARGIN_M + PARKING_SLACK_M);
        let mut world = World {
            seed: options.seed,
            fences,
            places: Vec::new(),
            depots: Vec::new(),
            terminals: Vec::new(),
            clients: Vec::new(),
            mapped_clients: 0,
            roads,
            index,
        };
        world.find_places(options);
        world
    }

    /// Whether a point is clear of all borders that decide, by the margin and `slack_m` more.
    #[must_use]
    pub(crate) fn is_clear(&self, point: Point, slack_m: f64) -> bool {
        self.index.near(point).all(|near| is_clear_of(&near.area, near.exit_buffer_m, point, slack_m))
    }

    /// The final areas within their exit buffer of a point: fence, metres to the border (negative inside).
    pub(crate) fn close_fences(&self, point: Point, found: &mut Vec<(u32, f64)>) {
        found.clear();
        for near in self.index.near(point).filter(|near| near.is_final) {
            let distance_m = near.area.signed_distance_m(point, near.exit_buffer_m);
            if distance_m <= near.exit_buffer_m {
                found.push((near.fence, distance_m));
            }
        }
    }

    /// The final areas of some fences within their exit buffer of a point, as [`World::close_fences`] has them.
    pub(crate) fn close_among(&self, among: &[u32], point: Point, found: &mut Vec<(u32, f64)>) {
        found.clear();
        found.extend(among.iter().filter_map(|&fence| {
            let buffer_m = self.fences[fence as usize].label.terms.exit_buffer_m();
            let area = self.fences[fence as usize].areas().last()?;
            let distance_m = area.signed_distance_m(point, buffer_m);
            (distance_m <= buffer_m).then_some((fence, distance_m))
        }));
    }

    fn find_places(&mut self, options: &WorldOptions) {
        let mapped = PLACES.iter().map(|place| (place.kind, Point::from_degrees(place.lon, place.lat)));
        let mapped_fences = if options.layout == Layout::Lagos { PLACES.len() } else { 0 };
        let made: Vec<(Kind, Point)> = mapped
            .chain(self.fences.iter().skip(mapped_fences).map(|fence| (Kind::Client, fence.first.centre)))
            .collect();
        for (number, (kind, centre)) in made.into_iter().enumerate() {
            let on_map = number < PLACES.len();
            let fence = match (options.layout, on_map) {
                (Layout::Lagos, _) => Some(number),
                (_, true) => None,
                (_, false) => Some(number - PLACES.len()),
            };
            let fence = fence.filter(|&fence| fence < self.fences.len());
            let spot = match options.layout {
                Layout::Lagos => {
                    self.clear_spot(options.seed, number, centre, fence.map(|fence| &self.fences[fence]))
                }
                Layout::Scattered | Layout::Dense => Some(centre),
            };
            let at = spot.unwrap_or(centre);
            self.places.push(Place {
                end: End { at, node: self.roads.nearest(at) },
                fence: fence.map(|fence| fence as u32),
                is_clear: spot.is_some(),
            });
            let used = match kind {
                Kind::Depot => &mut self.depots,
                Kind::Terminal => &mut self.terminals,
                Kind::Client => &mut self.clients,
                Kind::ServiceArea | Kind::Checkpoint => continue,
            };
            // What is on the map is always used: trucks need somewhere to be. Their fixes are tested one by
            // one where a place is not clear.
            if spot.is_some() || on_map {
                used.push(number as u32);
                self.mapped_clients += u32::from(on_map && kind == Kind::Client);
            }
        }
    }

    /// A spot near the middle of a place whose parked trucks are clear of all borders.
    fn clear_spot(&self, seed: u64, number: usize, centre: Point, own: Option<&SimFence>) -> Option<Point> {
        let mut prng = Prng::new(key(key(seed, SPOT_KEY), number as u64));
        let reach_m = own.map_or(200.0, |fence| fence.first.reach_m);
        (0..200)
            .map(|attempt| {
                let off_m = if attempt == 0 { 0.0 } else { reach_m * 0.85 };
                centre.moved(prng.between(-1.0, 1.0) * off_m, prng.between(-1.0, 1.0) * off_m)
            })
            .find(|&spot| {
                let is_inside = own.is_none_or(|fence| fence.first.signed_distance_m(spot, 0.0) < 0.0);
                is_inside && self.is_clear(spot, PARKING_SLACK_M)
            })
    }
}

fn is_clear_of(area: &Area, exit_buffer_m: f64, point: Point, slack_m: f64) -> bool {
    let margin_m = MARGIN_M + slack_m;
    let distance_m = area.signed_distance_m(point, exit_buffer_m + margin_m);
    // Between the two bands there is no room with any buffer that is used here (less than 100 m).
    distance_m <= -margin_m || distance_m >= exit_buffer_m + margin_m
}

/// All fences of a layout, as they are first.
pub(crate) fn sites(options: &WorldOptions, roads: &Roads) -> Vec<SimFence> {
    let fence_key = key(options.seed, FENCE_KEY);
    let mut fences: Vec<SimFence> = Vec::with_capacity(options.fences as usize);
    if options.layout == Layout::Lagos {
        for (number, place) in PLACES.iter().take(options.fences as usize).enumerate() {
            let mut prng = Prng::new(key(fence_key, number as u64));
            let label = Label {
                id: place.id.into(),
                name: place.name.into(),
                kind: place.kind,
                terms: Terms::of(place.kind),
            };
            let centre = Point::from_degrees(place.lon, place.lat);
            let first = Area::new(centre, outline(place.form, place.size_m, &mut prng));
            fences.push(SimFence { label, first, edit: None });
        }
    }
    let missing = options.fences - fences.len() as u32;
    for (number, first) in generated(options.layout, missing, fence_key, roads).into_iter().enumerate() {
        let label = Label {
            id: format!("client-{number:06}").into(),
            name: format!("Client {number:06}").into(),
            kind: Kind::Client,
            terms: Terms::default(),
        };
        fences.push(SimFence { label, first, edit: None });
    }
    fences
}

/// An edit that arrives between two times.
fn edit(fence: &SimFence, prng: &mut Prng, start: TimeMs, end: TimeMs) -> Edit {
    let length_ms = (end.0 - start.0) as f64;
    let received = TimeMs(start.0 + (length_ms * prng.between(0.1, 0.9)) as i64);
    if !prng.chance(0.3) {
        for _ in 0..20 {
            let candidate = reshaped(fence, prng);
            let edited = SimFence {
                edit: Some(Edit { received, kind: EditKind::Reshape(candidate) }),
                ..fence.clone()
            };
            if let Some(edit) = edited.edit.clone().filter(|_| leaves_room(&edited, prng)) {
                return edit;
            }
        }
    }
    // Half seconds: no fix has such a time, so nothing depends on which of two things came first.
    let before_ms = (length_ms * 0.1).min(3_600_000.0) * prng.unit();
    let at = TimeMs((received.0 - before_ms as i64).max(start.0 + 1000).div_euclid(1000) * 1000 - 500);
    Edit { received, kind: EditKind::Delete(at) }
}

/// The area moved, or made larger or smaller, or drawn anew.
fn reshaped(fence: &SimFence, prng: &mut Prng) -> Area {
    let first = &fence.first;
    match prng.below(0, 3) {
        0 => {
            let (sin, cos) = prng.between(0.0, std::f64::consts::TAU).sin_cos();
            let off_m = prng.between(120.0, 400.0);
            Area::new(first.centre.moved(off_m * cos, off_m * sin), first.outline.clone())
        }
        1 => {
            let factor = prng.between(0.6, 1.6);
            let outline = match &first.outline {
                Outline::Circle(radius_m) => Outline::Circle((radius_m * factor).round()),
                Outline::Parts(parts) => {
                    let mut parts = parts.clone();
                    for (x, y) in parts.iter_mut().flatten().flatten() {
                        *x *= factor;
                        *y *= factor;
                    }
                    Outline::Parts(parts)
                }
            };
            Area::new(first.centre, outline)
        }
        _ => {
            let form = if prng.chance(0.5) { Form::Site } else { Form::Circle };
            Area::new(first.centre, outline(form, first.reach_m * prng.between(0.7, 1.2), prng))
        }
    }
}

/// Whether somewhere inside, trucks can park clear of both areas' borders.
fn leaves_room(fence: &SimFence, prng: &mut Prng) -> bool {
    let reach_m = fence.first.reach_m;
    (0..60).any(|_| {
        let off = (prng.between(-0.8, 0.8) * reach_m, prng.between(-0.8, 0.8) * reach_m);
        let spot = fence.first.centre.moved(off.0, off.1);
        fence.first.signed_distance_m(spot, 0.0) < 0.0 && fence.is_clear(spot, PARKING_SLACK_M)
    })
}
