//! A journal that an archive was put into: a fleet's fences, locations, plans and fixes of a past period, the fixes as
//! `watchtower backfill` writes those of files.

use std::path::Path;

use anyhow::Context;
use model::{PositionRef, TimeMs};

use crate::measure::bodies::{Bodies, Body, write_journal};
use crate::simulate::prng::key;
use crate::simulate::{
    Fix, Layout, Planning, Sample, TripStream, TruckLife, World, WorldOptions, feature_json,
    push_fence_upsert, push_location_upsert, push_trip_act, truck_name,
};

const FENCES: u32 = 60;
const SEED: u64 = 7;
const MINUTE_MS: i64 = 60_000;

/// The fleet and its period.
#[derive(Clone, Copy)]
pub(super) struct Archive {
    pub trucks: u32,
    pub from: TimeMs,
    pub to: TimeMs,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub fixes: u64,
    pub trips: u64,
}

impl Archive {
    /// Writes it into a data folder that nobody uses.
    pub fn write(&self, data: &Path) -> anyhow::Result<Written> {
        write_journal(data, |give| self.make(give)).context("the archive cannot be written")
    }

    fn make(&self, give: &mut dyn FnMut(Body) -> anyhow::Result<()>) -> anyhow::Result<Written> {
        let world =
            World::new(&WorldOptions { fences: FENCES, seed: SEED, layout: Layout::Lagos, edits: None });
        let mut records = Bodies::new(sources::code::RECORDS, &mut *give);
        for fence in &world.fences {
            push_fence_upsert(&mut records.bytes, None, &feature_json(&fence.label, &fence.first));
            records.give_if_large()?;
        }
        for place in 0..world.places.len() as u32 {
            push_location_upsert(&mut records.bytes, &world, place, None);
            records.give_if_large()?;
        }
        let trips = self.plan(&world, &mut records)?;
        let fixes = self.drive(&world, give)?;
        Ok(Written { fixes, trips })
    }

    /// Of a past period only the plan is known that held in the end: what is set by hand is dated by its arrival.
    fn plan(&self, world: &World, records: &mut Bodies<'_>) -> anyhow::Result<u64> {
        let planning = Planning { trucks: self.trucks, noise: true, from: self.from, by: Some(self.to) };
        let mut stream = TripStream::new(planning);
        let mut trips = 0;
        while let Some(act) = stream.next_until(world, self.to) {
            if act.is_plan_that_holds() {
                push_trip_act(&mut records.bytes, world, &act, None);
                records.give_if_large()?;
                trips += 1;
            }
        }
        records.give_all()?;
        Ok(trips)
    }

    fn drive(&self, world: &World, give: &mut dyn FnMut(Body) -> anyhow::Result<()>) -> anyhow::Result<u64> {
        let mut records = Bodies::new(sources::code::BACKFILL, give);
        let ids: Vec<String> = (0..self.trucks).map(truck_name).collect();
        let mut trucks: Vec<Minutes> =
            (0..self.trucks).map(|truck| Minutes::of(world, truck, self.from)).collect();
        let mut fixes = 0;
        let mut minute = self.from;
        while minute < self.to {
            for (vehicle_id, truck) in ids.iter().zip(&mut trucks) {
                let Some(fix) = truck.fix(world, minute) else { continue };
                let mut position = fix.position();
                position.exempt = true;
                let decoded = PositionRef { vehicle_id, spelling: None, position };
                sources::encode_position(&mut records.bytes, position.event_time, &decoded);
                fixes += 1;
            }
            records.give_if_large()?;
            minute = minute.plus_ms(MINUTE_MS);
        }
        records.give_all()?;
        Ok(fixes)
    }
}

/// A truck whose device reports once a minute, moving or not, at a second of its own.
struct Minutes {
    life: TruckLife,
    last: Option<Sample>,
    offset_ms: i64,
}

impl Minutes {
    fn of(world: &World, truck: u32, from: TimeMs) -> Minutes {
        let offset_ms = i64::from(truck) * 7919 % 60 * 1000;
        // Where it is at the first minute a sample before it says: parked trucks have one in five minutes.
        Minutes {
            life: TruckLife::starting(world, truck, from.plus_ms(-5 * MINUTE_MS)),
            last: None,
            offset_ms,
        }
    }

    fn fix(&mut self, world: &World, minute: TimeMs) -> Option<Fix> {
        let time = minute.plus_ms(self.offset_ms);
        while let Some(sample) = self.life.next_before(world, time.plus_ms(1)) {
            self.last = Some(sample);
        }
        let last = self.last?;
        let now = Sample { time, hash: key(last.hash, time.0.cast_unsigned()), ..last };
        now.observe(world, true).map(|(fix, _)| fix)
    }
}

#[cfg(test)]
mod tests {
    use journal::{Log as _, Options, Store};

    use super::*;
    use crate::simulate::DEFAULT_START;

    #[test]
    fn every_truck_has_a_fix_a_minute_and_all_are_in_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (DEFAULT_START, DEFAULT_START.plus_ms(2 * 24 * 3_600_000));
        let written = Archive { trucks: 10, from, to }.write(dir.path()).unwrap();
        assert_eq!(written.fixes, 10 * 2 * 24 * 60);
        assert!(written.trips > 0);
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let log = store.log();
        let last_tick = log.last_tick().unwrap().0;
        let (mut fixes, mut lines) = (0, 0);
        for tick in log.read(1, last_tick) {
            for entry in tick.unwrap().entries {
                let count = entry.payload.iter().filter(|&&byte| byte == b'\n').count() as u64;
                lines += count;
                fixes += if entry.source == sources::code::BACKFILL { count } else { 0 };
                let checked =
                    sources::records::check(&entry.payload, sources::records::Backfill::Allowed).unwrap();
                assert!(checked.refused.is_empty());
            }
        }
        assert_eq!(fixes, written.fixes);
        assert!(lines > fixes + written.trips + u64::from(FENCES));
    }
}
