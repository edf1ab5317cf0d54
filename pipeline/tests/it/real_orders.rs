//! Orders in which a fleet's records may arrive: as given, sorted, shuffled; with repeats, and with fences that
//! are moved and moved back while positions come in. Each is a function of its seed.

use std::sync::Arc;

use bench::oracle::Input;
use bench::simulate::prng::{Prng, key};
use model::{Coord, Fence, Ring, Shape, TimeMs};

/// One position in so many comes again.
const REPEATED_ONE_IN: u32 = 20;

/// Keys of the draws, so that each is independent of the others.
const SHUFFLE_KEY: u64 = 1;
const REPEAT_KEY: u64 = 2;
const MOVE_KEY: u64 = 3;

/// By event time; what has none stays at the beginning.
pub fn sorted(positions: &[Input]) -> Vec<Input> {
    let mut sorted = positions.to_vec();
    sorted.sort_by_key(|input| match input {
        Input::Position { position, .. } => position.event_time,
        _ => TimeMs(i64::MIN),
    });
    sorted
}

/// In any order.
pub fn shuffled(positions: &[Input], seed: u64) -> Vec<Input> {
    let mut shuffled = positions.to_vec();
    let mut random = Prng::new(key(seed, SHUFFLE_KEY));
    for i in (1..shuffled.len()).rev() {
        shuffled.swap(i, random.below(0, u32::try_from(i + 1).unwrap()) as usize);
    }
    shuffled
}

/// With 5 % of the records a second time, anywhere after the first.
pub fn with_repeats(records: &[Input], seed: u64) -> Vec<Input> {
    let mut random = Prng::new(key(seed, REPEAT_KEY));
    let count = u32::try_from(records.len()).unwrap();
    let repeats: Vec<(u32, usize)> = (0..count)
        .filter_map(|i| {
            let again_after = random.below(i, count);
            (random.below(0, REPEATED_ONE_IN) == 0).then_some((again_after, i as usize))
        })
        .collect();
    inserted(records, repeats.into_iter().map(|(after, i)| (after as usize, records[i].clone())).collect())
}

/// With so many of the fences moved within the first half of the records, and moved back within the second
/// half: at the middle all of them are elsewhere. Neither edit has a `valid_from`: each corrects all of the
/// past.
pub fn with_moves(records: &[Input], fences: &[Arc<Fence>], count: usize, seed: u64) -> Vec<Input> {
    let mut random = Prng::new(key(seed, MOVE_KEY));
    let middle = u32::try_from(records.len() / 2).unwrap();
    // Ticks have up to 1,000 records: the one that ends behind the middle sees no fence moved back.
    let first_back = middle + middle / 4;
    assert!(first_back - middle > 1000, "too few records to move fences in mid-stream");
    let mut candidates = fences.to_vec();
    let mut edits = Vec::new();
    for _ in 0..count {
        let last = u32::try_from(candidates.len()).unwrap();
        let fence = candidates.swap_remove(random.below(0, last) as usize);
        let there = Arc::new(moved(&fence, &mut random));
        edits.push((random.below(middle / 4, middle) as usize, there));
        edits.push((random.below(first_back, middle * 2) as usize, fence));
    }
    let upsert = |(after, fence)| (after, Input::Fence { received: None, fence });
    inserted(records, edits.into_iter().map(upsert).collect())
}

/// The same records without the edits that [`with_moves`] put in.
pub fn without_moves(records: &[Input]) -> Vec<Input> {
    records.iter().filter(|input| !matches!(input, Input::Fence { .. })).cloned().collect()
}

/// Each extra record right behind the record of its index; of several there in the order given.
fn inserted(records: &[Input], mut extra: Vec<(usize, Input)>) -> Vec<Input> {
    extra.sort_by_key(|(after, _)| *after);
    let mut all = Vec::with_capacity(records.len() + extra.len());
    let mut extra = extra.into_iter().peekable();
    for (i, record) in records.iter().enumerate() {
        all.push(record.clone());
        while let Some((_, next)) = extra.next_if(|(after, _)| *after == i) {
            all.push(next);
        }
    }
    all
}

/// Some 200 m to 5 km away, so that it meets other fixes, and mostly some of the old ones.
fn moved(fence: &Fence, random: &mut Prng) -> Fence {
    let mut step = || {
        let units = i64::from(random.below(20_000, 500_000));
        if random.chance(0.5) { units } else { -units }
    };
    let (east, north) = (step(), step());
    let shifted_ring = |ring: &Ring| Ring {
        vertices: ring.vertices.iter().map(|&(lon, lat)| (lon + east, lat + north)).collect(),
    };
    let shape = match &fence.shape {
        Shape::Circle { centre, radius_m } => Shape::Circle {
            centre: Coord {
                lon: centre.lon + i32::try_from(east).unwrap(),
                lat: centre.lat + i32::try_from(north).unwrap(),
            },
            radius_m: *radius_m,
        },
        Shape::Polygon { parts } => Shape::Polygon {
            parts: parts.iter().map(|part| part.iter().map(shifted_ring).collect()).collect(),
        },
        Shape::Corridor { line, width_m } => Shape::Corridor { line: shifted_ring(line), width_m: *width_m },
    };
    Fence { shape, ..fence.clone() }
}
