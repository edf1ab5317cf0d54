//! Holds a replay against the simulator's truth: the whole way of records through files, decoding and graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model::{ClosedTick, GraphSettings, Table};
use pipeline::{BadLine, Follower, ReplayOptions, replay};

use super::{Options, run};

/// Keeps the rows that are left when all changes are summed.
#[derive(Default)]
struct Rows(BTreeMap<(Table, Vec<u8>), String>);

impl Follower for Rows {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        for change in &closed.changes {
            let key = (change.row.table(), change.row.key_bytes());
            if change.diff > 0 {
                assert_eq!(self.0.insert(key, change.row.to_json()), None);
            } else {
                assert_eq!(self.0.remove(&key), Some(change.row.to_json()));
            }
        }
        Ok(())
    }

    fn bad_line(&mut self, bad: &BadLine) {
        panic!("{}:{}: {}", bad.file.display(), bad.line, bad.reason);
    }

    fn warning(&mut self, text: String) {
        panic!("{text}");
    }

    fn progress(&mut self, _done_bytes: u64, _all_bytes: u64) {}
}

impl Rows {
    fn text(&self, table: Table) -> String {
        self.0.iter().filter(|row| row.0.0 == table).map(|row| row.1.clone() + "\n").collect()
    }
}

#[test]
fn a_replay_gives_the_truth() {
    for (seed, vehicles, fences, edits) in [(1, 12, 58, 0.0), (2, 8, 400, 0.5), (3, 3, 10, 1.0)] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            vehicles,
            fences,
            hours: 40.0,
            seed,
            out: dir.path().to_owned(),
            late: 0.1,
            duplicates: 0.05,
            edits,
            ..Options::default()
        };
        let summary = run(&options, &|_, _| {}).unwrap();
        let replayed = ReplayOptions {
            files: vec![dir.path().join("records.ndjson")],
            settings: GraphSettings::default(),
            pinned: BTreeSet::new(),
            clock: None,
            workers: 1,
            strict: true,
        };
        let mut rows = Rows::default();
        assert_eq!(replay(&replayed, &mut rows).unwrap().records, summary.records);
        let truth = |name: &str| fs::read_to_string(dir.path().join("truth").join(name)).unwrap();
        assert_eq!(rows.text(Table::Rejects), "");
        assert_eq!(rows.text(Table::Presences), truth("presences.ndjson"));
        assert_eq!(rows.text(Table::Visits), truth("visits.ndjson"));
    }
}
