//! A journal that an archive was put into: a fleet's fences, locations, plans and fixes of a past period, the fixes as
//! `watchtower backfill` writes those of files.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use anyhow::Context;
use journal::{AppendError, Log, Options, Store};
use model::{PositionRef, TimeMs};

use crate::simulate::prng::key;
use crate::simulate::{
    Fix, Layout, Planning, Sample, TripStream, TruckLife, World, WorldOptions, feature_json,
    push_fence_upsert, push_location_upsert, push_trip_act, truck_name,
};

const FENCES: u32 = 60;
const SEED: u64 = 7;
const MINUTE_MS: i64 = 60_000;
/// A body of records is about as large as those that `watchtower backfill` writes.
const BODY_BYTES: usize = 256 * 1024;
/// Bodies that are made before they are written.
const BODIES_AHEAD: usize = 8;

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

/// A body and the source that it is from.
type Body = (u8, Vec<u8>);

impl Archive {
    /// Writes it into a data folder that nobody uses.
    pub fn write(&self, data: &Path) -> anyhow::Result<Written> {
        let store = Store::open(data, Options::default())?;
        let log = store.log();
        let ticks = log.start()?;
        // The next start of a service works them off.
        std::thread::spawn(move || ticks.into_iter().for_each(drop));
        let (give, bodies) = sync_channel::<Body>(BODIES_AHEAD);
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| bodies.into_iter().try_for_each(|body| append(&log, body)));
            let made = self.make(&mut |body| Ok(give.send(body)?));
            drop(give);
            writer.join().map_err(|_| anyhow::anyhow!("the journal's writer panicked"))??;
            made
        });
        log.stop();
        written.context("the archive cannot be written")
    }

    fn make(&self, give: &mut dyn FnMut(Body) -> anyhow::Result<()>) -> anyhow::Result<Written> {
        let world =
            World::new(&WorldOptions { fences: FENCES, seed: SEED, layout: Layout::Lagos, edits: None });
        let mut records = Bodies { source: sources::code::RECORDS, bytes: Vec::new(), give: &mut *give };
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
        let mut records = Bodies { source: sources::code::BACKFILL, bytes: Vec::new(), give };
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

/// Waits until it is durable.
fn append(log: &dyn Log, (source, payload): Body) -> anyhow::Result<()> {
    loop {
        match log.append(source, "", payload.clone()) {
            Ok(ticket) => return Ok(ticket.wait_blocking().map(drop)?),
            Err(AppendError::Full { .. }) => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Records as bodies.
struct Bodies<'a> {
    source: u8,
    bytes: Vec<u8>,
    give: &'a mut dyn FnMut(Body) -> anyhow::Result<()>,
}

impl Bodies<'_> {
    fn give_if_large(&mut self) -> anyhow::Result<()> {
        if self.bytes.len() >= BODY_BYTES { self.give_all() } else { Ok(()) }
    }

    fn give_all(&mut self) -> anyhow::Result<()> {
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(BODY_BYTES + 4096));
        if bytes.is_empty() { Ok(()) } else { (self.give)((self.source, bytes)) }
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
