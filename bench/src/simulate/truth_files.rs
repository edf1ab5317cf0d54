//! The files of what a replay must give.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use model::{Row, TripRow};

use super::trips::{self, Planning};
use super::truth::{self, Observation};
use super::world::World;
use super::{Output, Summary};

/// A day's trips are kept in memory up to so many bytes.
const DAY_BYTES: usize = 1 << 18;
/// `05/Jan/2026`: how the ids of a day's trips begin.
const DATE_BYTES: usize = 11;

/// The files.
pub(super) struct TruthFiles {
    presences: Output,
    visits: Output,
    trips: TripsByDay,
}

impl TruthFiles {
    /// Creates all of them.
    pub(super) fn create(dir: &Path) -> anyhow::Result<TruthFiles> {
        Ok(TruthFiles {
            presences: Output::create(&dir.join("presences.ndjson"))?,
            visits: Output::create(&dir.join("visits.ndjson"))?,
            trips: TripsByDay { dir: dir.to_owned(), days: BTreeMap::new() },
        })
    }

    /// Writes them, truck by truck in the order of their names.
    pub(super) fn write(
        &mut self,
        world: &World,
        names: &[Arc<str>],
        planning: &Planning,
        seen: &Observation,
        summary: &mut Summary,
        progress: &dyn Fn(u64),
    ) -> anyhow::Result<()> {
        let mut by_name: Vec<u32> = (0..names.len() as u32).collect();
        by_name.sort_unstable_by_key(|&truck| &names[truck as usize]);
        let length_ms = (seen.to.0 - seen.from.0) as u64;
        for (done, &truck) in by_name.iter().enumerate() {
            let name = &names[truck as usize];
            let truth = truth::of_truck(world, truck, name, seen);
            let planned = trips::trips_of(world, planning, truck, seen.to);
            let trips = trips::of_truck(world, name, &planned, &truth.visits, seen);
            summary.presences += truth.presences.len() as u64;
            summary.visits += truth.visits.len() as u64;
            summary.trips += trips.len() as u64;
            for row in truth.presences {
                push_row(&mut self.presences.buffer, &Row::Presence(row));
            }
            for row in truth.visits {
                push_row(&mut self.visits.buffer, &Row::Visit(row));
            }
            self.presences.write_if_large()?;
            self.visits.write_if_large()?;
            self.trips.push(trips)?;
            if done % 256 == 0 {
                progress(length_ms * done as u64 / names.len() as u64);
            }
        }
        self.presences.write()?;
        self.visits.write()?;
        self.trips.write()
    }
}

fn push_row(out: &mut Vec<u8>, row: &Row) {
    row.write_json(out);
    out.push(b'\n');
}

/// Rows of trips, put in the order of their ids without holding all of them: an id begins with its date, and
/// within a day trucks come in the order of their names, of which none is the beginning of another.
struct TripsByDay {
    dir: PathBuf,
    /// By the date as it is in the ids.
    days: BTreeMap<String, Day>,
}

#[derive(Default)]
struct Day {
    /// What was too much for memory.
    spilled: Option<File>,
    rest: Vec<u8>,
}

impl TripsByDay {
    /// Takes all rows of one truck.
    fn push(&mut self, mut rows: Vec<TripRow>) -> anyhow::Result<()> {
        rows.sort_by(|a, b| a.trip_id.cmp(&b.trip_id));
        for row in rows {
            let date = &row.trip_id[..DATE_BYTES];
            if !self.days.contains_key(date) {
                self.days.insert(date.to_owned(), Day::default());
            }
            let Some(day) = self.days.get_mut(date) else { continue };
            push_row(&mut day.rest, &Row::Trip(row));
            if day.rest.len() >= DAY_BYTES {
                day.spill(&self.dir)?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let mut output = Output::create(&self.dir.join("trips.ndjson"))?;
        for day in self.days.values_mut() {
            if let Some(file) = &mut day.spilled {
                file.rewind()
                    .and_then(|()| io::copy(file, &mut output.file))
                    .with_context(|| format!("cannot write {}", output.path.display()))?;
            }
            output.buffer.append(&mut day.rest);
            output.write()?;
        }
        Ok(())
    }
}

impl Day {
    fn spill(&mut self, dir: &Path) -> anyhow::Result<()> {
        let file = match &mut self.spilled {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(dir).context("no temporary file")?),
        };
        file.write_all(&self.rest).context("cannot write a temporary file")?;
        self.rest.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trips_are_in_the_order_of_their_ids_however_many_there_are() {
        let row = |id: String| TripRow::planned(id.into(), "T1".into());
        let dir = tempfile::tempdir().unwrap();
        let mut trips = TripsByDay { dir: dir.path().to_owned(), days: BTreeMap::new() };
        let mut expected = Vec::new();
        for truck in 1000..3500 {
            let of_truck =
                ["31/Jan/2026", "01/Feb/2026", "02/Jan/2027"].map(|date| format!("{date}-T{truck}LA-0000"));
            expected.extend(of_truck.clone());
            trips.push(of_truck.map(row).into()).unwrap();
        }
        assert!(trips.days.values().all(|day| day.spilled.is_some()));
        trips.write().unwrap();
        expected.sort_unstable();
        let text = std::fs::read_to_string(dir.path().join("trips.ndjson")).unwrap();
        let ids: Vec<String> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["trip_id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(ids, expected);
    }
}
