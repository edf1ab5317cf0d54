//! The files of what a replay must give.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use model::Row;

use super::trips::{self, Outcome, Planning};
use super::truth::{self, Observation};
use super::truth_alerts::Known;
use super::truth_kpis::TruthKpis;
use super::world::World;
use super::{Output, Summary};

/// A part is kept in memory up to so many bytes.
const PART_BYTES: usize = 1 << 18;
/// `05/Jan/2026`: how the ids of a day's trips begin.
const DATE_BYTES: usize = 11;

/// The files.
pub(super) struct TruthFiles {
    presences: Output,
    visits: Output,
    /// By date: within a day trucks come in the order of their names, of which none is the beginning of another.
    trips: Parts,
    /// By how their ids begin, which are hashes.
    alerts: Parts,
    kpis: PathBuf,
}

impl TruthFiles {
    /// Creates all of them.
    pub(super) fn create(dir: &Path) -> anyhow::Result<TruthFiles> {
        Ok(TruthFiles {
            presences: Output::create(&dir.join("presences.ndjson"))?,
            visits: Output::create(&dir.join("visits.ndjson"))?,
            trips: Parts::of(dir.join("trips.ndjson")),
            alerts: Parts::of(dir.join("alerts.ndjson")),
            kpis: dir.join("kpis.ndjson"),
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
        let mut kpis = TruthKpis::at(world, seen.instant);
        let length_ms = (seen.to.0 - seen.from.0) as u64;
        for (done, &truck) in by_name.iter().enumerate() {
            let name = &names[truck as usize];
            let truth = truth::of_truck(world, truck, name, seen);
            let planned = trips::trips_of(world, planning, truck, seen.to);
            let mut trips = trips::of_truck(world, name, &planned, &truth.visits, seen);
            let alerts = Known { world, name, truth: &truth, trips: &trips, seen }.alerts();
            kpis.add(world, &truth, &trips, &alerts);
            summary.presences += truth.presences.len() as u64;
            summary.visits += truth.visits.len() as u64;
            summary.trips += trips.len() as u64;
            summary.alerts += alerts.len() as u64;
            for row in truth.presences {
                push_row(&mut self.presences.buffer, &Row::Presence(row));
            }
            for row in truth.visits {
                push_row(&mut self.visits.buffer, &Row::Visit(row));
            }
            self.presences.write_if_large()?;
            self.visits.write_if_large()?;
            trips.sort_by(|a, b| a.row.trip_id.cmp(&b.row.trip_id));
            for Outcome { row, .. } in trips {
                let date = row.trip_id[..DATE_BYTES].to_owned();
                self.trips.push(&date, &Row::Trip(row))?;
            }
            for row in alerts {
                let begins = format!("{:02x}", row.alert_id.0 >> 56);
                self.alerts.push(&begins, &Row::Alert(row))?;
            }
            if done % 256 == 0 {
                progress(length_ms * done as u64 / names.len() as u64);
            }
        }
        self.presences.write()?;
        self.visits.write()?;
        self.trips.write(false)?;
        self.alerts.write(true)?;
        let mut output = Output::create(&self.kpis)?;
        for row in kpis.rows() {
            push_row(&mut output.buffer, &row);
            summary.kpis += 1;
        }
        output.write()
    }
}

fn push_row(out: &mut Vec<u8>, row: &Row) {
    row.write_json(out);
    out.push(b'\n');
}

/// Lines put in the order of their keys without holding all of them: parts are in the order of their names, which
/// the keys begin with, or could.
struct Parts {
    file: PathBuf,
    by_name: BTreeMap<String, Part>,
}

#[derive(Default)]
struct Part {
    /// What was too much for memory.
    spilled: Option<File>,
    rest: Vec<u8>,
}

impl Parts {
    fn of(file: PathBuf) -> Parts {
        Parts { file, by_name: BTreeMap::new() }
    }

    fn push(&mut self, name: &str, row: &Row) -> anyhow::Result<()> {
        if !self.by_name.contains_key(name) {
            self.by_name.insert(name.to_owned(), Part::default());
        }
        let Some(part) = self.by_name.get_mut(name) else { return Ok(()) };
        push_row(&mut part.rest, row);
        if part.rest.len() >= PART_BYTES {
            part.spill(&self.file)?;
        }
        Ok(())
    }

    /// Writes them one after another. `sorted`: the lines of each are brought into their order.
    fn write(&mut self, sorted: bool) -> anyhow::Result<()> {
        let mut output = Output::create(&self.file)?;
        for part in self.by_name.values_mut() {
            if let Some(file) = &mut part.spilled {
                let copied = file.rewind().and_then(|()| match sorted {
                    true => file.read_to_end(&mut output.buffer).map(drop),
                    false => io::copy(file, &mut output.file).map(drop),
                });
                copied.with_context(|| format!("cannot write {}", output.path.display()))?;
            }
            output.buffer.append(&mut part.rest);
            if sorted {
                let mut lines: Vec<&[u8]> = output.buffer.split_inclusive(|&byte| byte == b'\n').collect();
                lines.sort_unstable();
                output.buffer = lines.concat();
            }
            output.write()?;
        }
        output.write()
    }
}

impl Part {
    fn spill(&mut self, beside: &Path) -> anyhow::Result<()> {
        let dir = beside.parent().unwrap_or(Path::new("."));
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
    use model::TripRow;

    use super::*;

    #[test]
    fn lines_are_in_the_order_of_their_keys_however_many_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let parts = |name: &str| Parts::of(dir.path().join(name));
        let (mut in_order, mut mixed) = (parts("in_order"), parts("mixed"));
        let mut expected = Vec::new();
        for truck in 1000..3500 {
            for date in ["31/Jan/2026", "01/Feb/2026", "02/Jan/2027"] {
                let id = |number: u32| format!("{date}-T{number}LA-0000");
                let row = |id: String| Row::Trip(TripRow::planned(id.into(), "T1".into()));
                in_order.push(date, &row(id(truck))).unwrap();
                mixed.push(date, &row(id(4499 - truck))).unwrap();
                expected.push(id(truck));
            }
        }
        expected.sort_unstable();
        for (mut parts, sorted) in [(in_order, false), (mixed, true)] {
            assert!(parts.by_name.values().all(|part| part.spilled.is_some()));
            parts.write(sorted).unwrap();
            let text = std::fs::read_to_string(&parts.file).unwrap();
            let id = |line: &str| {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                row["trip_id"].as_str().unwrap().to_owned()
            };
            assert_eq!(text.lines().map(id).collect::<Vec<_>>(), expected);
        }
    }
}
