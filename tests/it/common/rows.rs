//! All derived tables as bytes: as changes sum up to them, and as a replay writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::{Change, OTHERS, TABLES, succeed, watchtower};

/// Rows by table, each table's sorted by their bytes.
pub type Rows = BTreeMap<&'static str, Vec<String>>;

/// The names of all derived tables.
pub fn all_tables() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().chain(OTHERS)
}

/// Those that change with the marks of time: a replay brings them up to its end, a service up to the last mark.
pub fn moves_by_marks(table: &str) -> bool {
    matches!(table, "kpis" | "etas")
}

/// The rows that changes leave; each must fit what came before it.
pub fn rows_of_changes(changes: &[Change]) -> Rows {
    assert!(changes.is_sorted_by(|a, b| a.id < b.id), "ids of changes rise");
    let mut rows: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for change in changes {
        let rows = rows.entry(&change.table).or_default();
        let fits = match change.diff {
            1 => rows.insert(&change.row),
            -1 => rows.remove(change.row.as_str()),
            _ => false,
        };
        assert!(fits, "does not fit what came before: {change:?}");
    }
    let mut of = |name: &str| rows.remove(name).unwrap_or_default().into_iter().map(str::to_owned).collect();
    let left = all_tables().map(|name| (name, of(name))).collect();
    assert!(rows.is_empty(), "tables of no name: {:?}", rows.keys());
    left
}

/// The rows that an export gives when it is replayed.
pub fn rows_of_replay(export: &[u8]) -> Rows {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("export.ndjson");
    std::fs::write(&file, export).expect("the export can be kept");
    let out = dir.path().join("out");
    succeed(watchtower().arg("replay").arg(&file).arg("--out").arg(&out));
    rows_in(&out)
}

/// The rows in files that a replay wrote.
pub fn rows_in(folder: &Path) -> Rows {
    let rows = |name: &'static str| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.ndjson"))).expect("a table's file");
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        (name, rows)
    };
    all_tables().map(rows).collect()
}
