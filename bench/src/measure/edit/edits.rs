//! Random edits of round fences: some are created, some moved, some deleted as if they had never been.

use model::Record;

use super::crowds::Centres;
use crate::measure::country::circle;
use crate::simulate::DEFAULT_START;
use crate::simulate::prng::{Prng, key};

const CREATED_PERCENT: u32 = 40;
const MOVED_PERCENT: u32 = 40;
/// A fence is moved by this part of its radius at least, and by its radius at most.
const SHORTEST_MOVE: f64 = 0.1;
const METRES_A_DEGREE: f64 = 110_000.0;

/// One edit.
pub(super) struct Edit {
    pub record: Record,
    /// Whether the fence is, or was, where fixes are densest.
    pub is_hot: bool,
}

/// Draws edits and knows which fences there are.
pub(super) struct Edits {
    prefix: &'static str,
    radius_m: f64,
    random: Prng,
    created: u32,
    standing: Vec<Standing>,
}

struct Standing {
    id: String,
    centre: (f64, f64),
}

impl Edits {
    /// Edits of fences of this radius, whose ids begin with `prefix`.
    pub fn new(prefix: &'static str, radius_m: f64, seed: u64) -> Edits {
        Edits { prefix, radius_m, random: Prng::new(key(seed, 0xed17)), created: 0, standing: Vec::new() }
    }

    pub fn draw(&mut self, centres: &Centres) -> anyhow::Result<Edit> {
        let chance = self.random.below(0, 100);
        let any = self.random.below(0, u32::try_from(self.standing.len())?) as usize;
        if self.standing.is_empty() || chance < CREATED_PERCENT {
            let centre = centres.draw(&mut self.random);
            let centre = centre.ok_or_else(|| anyhow::anyhow!("no fixes to draw a fence's centre from"))?;
            let id = format!("{}-{}", self.prefix, self.created);
            self.created += 1;
            let record = Record::FenceUpsert(circle(&id, centre.0, centre.1, self.radius_m)?);
            self.standing.push(Standing { id, centre });
            Ok(Edit { record, is_hot: centres.is_hot(centre) })
        } else if chance < CREATED_PERCENT + MOVED_PERCENT {
            let before = self.standing[any].centre;
            let angle = self.random.unit() * std::f64::consts::TAU;
            let by_degrees = self.radius_m * self.random.between(SHORTEST_MOVE, 1.0) / METRES_A_DEGREE;
            let after = (before.0 + by_degrees * angle.cos(), before.1 + by_degrees * angle.sin());
            let fence = &mut self.standing[any];
            fence.centre = after;
            let record = Record::FenceUpsert(circle(&fence.id, after.0, after.1, self.radius_m)?);
            Ok(Edit { record, is_hot: centres.is_hot(before) || centres.is_hot(after) })
        } else {
            let fence = self.standing.swap_remove(any);
            Ok(Edit { record: deleted_from_the_start(&fence.id), is_hot: centres.is_hot(fence.centre) })
        }
    }

    /// Edits that leave nothing of all that was drawn.
    pub fn delete_all(&mut self) -> Vec<Record> {
        self.standing.drain(..).map(|fence| deleted_from_the_start(&fence.id)).collect()
    }
}

/// A delete as of before the first fix: it takes all presences in the fence away.
fn deleted_from_the_start(id: &str) -> Record {
    Record::FenceDelete { id: id.into(), at: Some(DEFAULT_START) }
}
