//! A fleet for benchmarks: positions in time order, and fences, without files and without margins.

use std::sync::Arc;

use model::{Fence, FenceError, Position, TimeMs};

use super::layout::Layout;
use super::life::{TruckLife, truck_name};
use super::roads::Roads;
use super::shapes::model_fence;
use super::world::{World, WorldOptions, sites};

/// How much work a slice is: about so many positions.
const POSITIONS_A_SLICE: u64 = 200_000;
const SECONDS_A_POSITION: u64 = 40;

/// What a benchmark's fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// How many vehicles.
    pub vehicles: u32,
    /// How many fences.
    pub fences: u32,
    /// The same seed gives the same fleet.
    pub seed: u64,
    /// How the fences lie.
    pub layout: Layout,
    /// The first moment.
    pub start: TimeMs,
}

/// A position of the vehicle with this number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetPosition {
    /// Number of the vehicle, from 0; see [`Fleet::vehicle_ids`].
    pub vehicle: u32,
    /// The position.
    pub position: Position,
}

/// An endless iterator of positions in time order; of one time by the vehicle's number.
pub struct Fleet {
    world: World,
    vehicle_ids: Vec<Arc<str>>,
    lives: Vec<TruckLife>,
    slice_end: TimeMs,
    slice_ms: i64,
    slice: Vec<FleetPosition>,
    taken: usize,
}

/// The fleet of these options.
#[must_use]
pub fn fleet(options: &FleetOptions) -> Fleet {
    let world = World::new(&WorldOptions {
        fences: options.fences,
        seed: options.seed,
        layout: options.layout,
        edits: None,
    });
    let lives =
        (0..options.vehicles).map(|truck| TruckLife::starting(&world, truck, options.start)).collect();
    let slice_s = POSITIONS_A_SLICE * SECONDS_A_POSITION / u64::from(options.vehicles.max(1));
    Fleet {
        world,
        vehicle_ids: (0..options.vehicles).map(|truck| truck_name(truck).into()).collect(),
        lives,
        slice_end: options.start,
        slice_ms: (slice_s as i64).clamp(5, 3600) * 1000,
        slice: Vec::new(),
        taken: 0,
    }
}

/// So many fences of a layout; the same that a [`fleet`] of this seed drives among.
pub fn fences(count: u32, seed: u64, layout: Layout) -> Result<Vec<Fence>, FenceError> {
    let options = WorldOptions { fences: count, seed, layout, edits: None };
    sites(&options, &Roads::new()).iter().map(|fence| model_fence(&fence.label, &fence.first)).collect()
}

impl Fleet {
    /// Identities by the vehicles' numbers.
    #[must_use]
    pub fn vehicle_ids(&self) -> &[Arc<str>] {
        &self.vehicle_ids
    }

    /// The fences, as [`fences`] gives them.
    pub fn fences(&self) -> Result<Vec<Fence>, FenceError> {
        self.world.fences.iter().map(|fence| model_fence(&fence.label, &fence.first)).collect()
    }

    fn next_slice(&mut self) {
        self.slice.clear();
        self.taken = 0;
        self.slice_end = self.slice_end.plus_ms(self.slice_ms);
        for (vehicle, life) in self.lives.iter_mut().enumerate() {
            while let Some(sample) = life.next_before(&self.world, self.slice_end) {
                let (lon, lat) = sample.at.degrees();
                let position = Position {
                    event_time: sample.time,
                    lon: (lon * 1e7).round() / 1e7,
                    lat: (lat * 1e7).round() / 1e7,
                    speed_kmh: Some((sample.speed_kmh * 10.0).round() / 10.0),
                    heading: Some(sample.heading.floor()),
                    ignition: Some(sample.parked.is_none()),
                    ..Position::default()
                };
                self.slice.push(FleetPosition { vehicle: vehicle as u32, position });
            }
        }
        self.slice.sort_unstable_by_key(|next| (next.position.event_time, next.vehicle));
    }
}

impl Iterator for Fleet {
    type Item = FleetPosition;

    fn next(&mut self) -> Option<FleetPosition> {
        if self.lives.is_empty() {
            return None;
        }
        while self.taken == self.slice.len() {
            self.next_slice();
        }
        self.taken += 1;
        self.slice.get(self.taken - 1).copied()
    }
}
