//! The days and weeks of a worker's trucks.
//!
//! Trucks are many and each of them has little: what comes of their steps is summed in buckets as long as their hop,
//! and is in no window before the mark is behind it.

use model::{GraphSettings, KpiSliceKind, KpiSpan, TimeMs, TimeZone, Why};

use super::board::{At, KpiFacts};
use super::calendar::{Calendar, Rules};
use super::parts::{Part, Piece, SliceKey};
use super::shown::{Moved, Shown};
use super::steps::StepBuckets;
use crate::presence::{Step, VehicleKey};
use crate::rows::Delta;
use model::state::{Loader, Saver, State, StateError};

/// The hop of trucks. Days begin and end at multiples of it in every zone since 2000, before which there are no fixes.
const QUARTER_MS: i64 = 15 * 60_000;

/// One truck.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct OfTruck {
    /// What waits for the next mark.
    steps: StepBuckets<QUARTER_MS>,
    parts: Vec<Part>,
    /// Why rows may move: the strongest reason since they did last.
    why: Option<Why>,
    calendars: [Calendar; 2],
}

/// See the module.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Trucks {
    /// By place on the worker.
    #[serde(skip)]
    trucks: Vec<OfTruck>,
    /// Vehicle numbers are spread over workers by remainder.
    peers: u32,
    remainder: u32,
    mark: Option<i64>,
    #[serde(with = "model::zone_by_name")]
    zone: TimeZone,
    horizon_ms: i64,
    /// Room for figures.
    #[serde(skip)]
    spare: Shown,
}

impl State for Trucks {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        to.put(self)?;
        to.put_all(&self.trucks)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        *self = from.take()?;
        self.trucks = from.take_all()?;
        Ok(())
    }
}

impl Default for OfTruck {
    fn default() -> Self {
        OfTruck {
            steps: StepBuckets::default(),
            parts: Vec::new(),
            why: None,
            calendars: [Calendar::new(KpiSpan::Day), Calendar::new(KpiSpan::Week)],
        }
    }
}

impl OfTruck {
    fn note(&mut self, why: Why) {
        self.why = Some(self.why.map_or(why, |known| known.stronger(why)));
    }

    /// Moves into the windows what happened before a mark.
    fn take_in(&mut self, mark: i64, zone: &TimeZone) {
        let OfTruck { steps, parts, calendars, .. } = self;
        let mut add = |piece: Piece<'_>| calendars.iter_mut().for_each(|calendar| calendar.add(piece, zone));
        steps.take_before(mark, |bucket, sums| add(Piece::Steps(bucket, sums)));
        parts.retain(|part| {
            let is_ahead = part.bucket >= mark;
            if !is_ahead {
                add(Piece::Part(part));
            }
            is_ahead
        });
    }
}

impl Trucks {
    /// Those of worker `index` of `peers`.
    pub fn new(settings: &GraphSettings, index: usize, peers: usize) -> Trucks {
        Trucks {
            trucks: Vec::new(),
            peers: peers as u32,
            remainder: index as u32,
            mark: None,
            zone: settings.zone.clone(),
            horizon_ms: settings.horizon_ms,
            spare: Shown::default(),
        }
    }

    /// See [`Board::change_settings`](super::board::Board::change_settings).
    pub fn change_settings(&mut self, settings: &GraphSettings, is_first: bool, why: Why) {
        if is_first {
            self.zone = settings.zone.clone();
        }
        if self.horizon_ms != settings.horizon_ms {
            self.horizon_ms = settings.horizon_ms;
            for truck in &mut self.trucks {
                truck.calendars.iter_mut().for_each(Calendar::judge_ends_anew);
                truck.note(why);
            }
        }
    }

    #[inline]
    fn at(&mut self, vehicle: VehicleKey) -> &mut OfTruck {
        debug_assert_eq!(vehicle % self.peers, self.remainder);
        let place = (vehicle / self.peers) as usize;
        if self.trucks.len() <= place {
            self.trucks.resize_with(place + 1, OfTruck::default);
        }
        &mut self.trucks[place]
    }

    /// A step came or went.
    #[inline]
    pub fn step(&mut self, step: &Step) {
        let truck = self.at(step.vehicle);
        truck.steps.add(step);
        truck.note(step.why);
    }

    /// Takes in a part of a truck.
    pub fn add(&mut self, vehicle: VehicleKey, part: &Part) {
        let truck = self.at(vehicle);
        truck.parts.push(*part);
        truck.note(part.why);
    }

    /// Brings up to date what a tick's instant lets move.
    pub fn show(&mut self, at: At, mut emit: impl FnMut(Delta<KpiFacts>)) {
        let At { instant, last_seq, .. } = at;
        let mark = KpiSpan::Day.mark(KpiSliceKind::Truck, TimeMs(instant)).0;
        if !at.moves(self.mark, mark) {
            return;
        }
        self.mark = Some(mark);
        let rules = Rules { zone: &self.zone, horizon_ms: self.horizon_ms, shows_zeros: false };
        for (place, truck) in (0..).zip(&mut self.trucks) {
            truck.take_in(mark, rules.zone);
            let why = truck.why.take().unwrap_or(Why::first(last_seq));
            let slice = SliceKey::Truck(place * self.peers + self.remainder);
            let mut moved = |moved: Moved| emit(KpiFacts::moved(slice, moved, why));
            truck
                .calendars
                .iter_mut()
                .for_each(|calendar| calendar.show(mark, &rules, &mut self.spare, &mut moved));
        }
    }

    /// How many buckets are kept.
    #[cfg(test)]
    pub fn buckets(&self) -> usize {
        self.trucks.iter().map(|truck| truck.steps.len() + truck.parts.len()).sum()
    }
}
