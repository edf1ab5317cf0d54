//! The changelog as a client of `/api/v1/changes` gets it, and its sum.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::{Event, Events};
use super::{OTHERS, TABLES, Tables};

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event's id: tick and index.
    pub id: (u64, u32),
    pub table: String,
    pub diff: i64,
    /// The row's very bytes.
    pub row: String,
}

#[derive(Deserialize)]
struct Data<'a> {
    tick: u64,
    table: &'a str,
    diff: i64,
    #[serde(borrow)]
    row: &'a RawValue,
}

impl Change {
    /// Reads an event; `None` for one that only tells how far the stream is.
    pub fn of_event(event: &Event) -> Option<Change> {
        if event.name == "tick" {
            return None;
        }
        let data: Data<'_> = serde_json::from_str(&event.data).expect("an event's data");
        let id = read_id(&event.id);
        assert_eq!((id.0, event.name.as_str()), (data.tick, data.table), "an event contradicts its data");
        Some(Change { id, table: data.table.to_owned(), diff: data.diff, row: data.row.get().to_owned() })
    }
}

/// The tick and the index of an event's id.
pub fn read_id(id: &str) -> (u64, u32) {
    let (tick, index) = id.split_once('-').unwrap_or_else(|| panic!("{id:?} is no id"));
    (tick.parse().expect("a tick"), index.parse().expect("an index"))
}

/// All changes after an id, up to and with a tick.
pub fn changes_until(address: SocketAddr, after: &str, tick: u64) -> Vec<Change> {
    let mut events = Events::follow(address, after).expect("the changes can be followed");
    let mut changes = Vec::new();
    loop {
        let event = events.next().expect("an event").expect("the stream has no end");
        match Change::of_event(&event) {
            Some(change) => changes.push(change),
            None if read_id(&event.id).0 >= tick => return changes,
            None => {}
        }
    }
}

/// The rows that are left of changes, each table's in no particular order; ids must rise, and a row must be
/// there to go and not be there to come. Those of [`OTHERS`] are left out then: views show them with more to them.
pub fn sum(changes: &[Change]) -> Tables {
    assert!(changes.is_sorted_by(|a, b| a.id < b.id), "ids of changes rise");
    let mut rows: [BTreeSet<&str>; TABLES.len()] = Default::default();
    let mut of_others: BTreeSet<&str> = BTreeSet::new();
    for change in changes {
        let index = TABLES.iter().position(|table| *table == change.table);
        let rows = match index {
            None if OTHERS.contains(&&*change.table) => &mut of_others,
            None => panic!("a table of its own: {change:?}"),
            Some(index) => &mut rows[index],
        };
        let fits = match change.diff {
            1 => rows.insert(&change.row),
            -1 => rows.remove(change.row.as_str()),
            _ => false,
        };
        assert!(fits, "does not fit what came before: {change:?}");
    }
    Tables(rows.map(|table| table.into_iter().map(str::to_owned).collect()))
}
