//! Makes the tables those of a snapshot by writing what differs, whatever they hold.
//!
//! First each row of the database is looked up in the snapshot: one that is not there goes, one that differs is
//! written. Then, where the snapshot has more rows, those that are missing are added. So nothing is sorted, and one
//! chunk is in memory. No row of it goes to `history`: what happened in between is not known.

use journal::RowsSnapshot;
use model::Table;
use sqlx::AssertSqlSafe;

use super::cells::{key_bytes, read_row, write_row};
use super::changes::{RowWrite, TableWork, Unreadable};
use super::retention::Removed;
use super::statements::{read_cells, select_sql};
use super::waiting::{Failed, Waiting};
use super::writer::Writer;

const ROWS_A_CHUNK: usize = 10_000;
/// The cause of rows that were written by a comparison.
const CAUSE: &str = "resync";

/// Runs within a transaction.
pub(crate) fn run(
    waiting: &Waiting,
    writer: &mut Writer<'_>,
    rows: &RowsSnapshot,
    removed: &Removed,
) -> Result<(), Failed> {
    // Whatever is refused is refused again.
    waiting.until(sqlx::query("DELETE FROM watchtower.dead_letters").execute(writer.connection()))?;
    for table in Table::ALL {
        let standing = mend(waiting, writer, rows, (table, removed))?;
        let is_wanted = |row: &Result<(Vec<u8>, Vec<u8>), _>| {
            row.as_ref().map_or(true, |(_, json)| !removed.has_json(table, json))
        };
        let wanted = rows.iter(table.code()).filter(is_wanted).count();
        if standing < wanted {
            add_missing(waiting, writer, rows, (table, removed))?;
        }
    }
    Ok(())
}

/// Takes out and corrects what the database has, and says how many of its rows stand then.
fn mend(
    waiting: &Waiting,
    writer: &mut Writer<'_>,
    rows: &RowsSnapshot,
    (table, removed): (Table, &Removed),
) -> Result<usize, Failed> {
    let tick = tick_of(rows);
    // It sees the table as it was when it was declared, whatever is written meanwhile.
    let declare = format!("DECLARE present NO SCROLL CURSOR FOR {}", select_sql(table));
    waiting.until(sqlx::query(AssertSqlSafe(declare)).execute(writer.connection()))?;
    let mut standing = 0;
    loop {
        let fetch = format!("FETCH {ROWS_A_CHUNK} FROM present");
        let fetch = sqlx::query(AssertSqlSafe(fetch)).persistent(false);
        let present = waiting.until(fetch.fetch_all(writer.connection()))?;
        if present.is_empty() {
            break;
        }
        let mut gone = Vec::new();
        let mut wrong = Vec::new();
        for row in &present {
            let cells = read_cells(table, row)?;
            let Some(key) = key_bytes(table, &cells) else {
                gone.push((Vec::new(), cells));
                continue;
            };
            let mut is = Vec::with_capacity(160);
            write_row(table, &cells, &mut is);
            match rows.get(table.code(), &key)? {
                None => gone.push((key, cells)),
                Some(must_be) if removed.has_json(table, &must_be) => gone.push((key, cells)),
                Some(must_be) if must_be == is => standing += 1,
                Some(must_be) => wrong.push((key, must_be)),
            }
        }
        let mut work = TableWork::new(table);
        for (key, cells) in &gone {
            work.deletes.push(RowWrite {
                cells: cells.clone(),
                tick,
                cause: None,
                seq: None,
                key,
                json: &[],
            });
        }
        add_rows(&mut work, &wrong, tick);
        standing += wrong.len();
        waiting.until(writer.write_table(&work))?;
    }
    waiting.until(sqlx::query("CLOSE present").execute(writer.connection()))?;
    Ok(standing)
}

/// Adds the rows of the snapshot that are not there.
fn add_missing(
    waiting: &Waiting,
    writer: &mut Writer<'_>,
    rows: &RowsSnapshot,
    (table, removed): (Table, &Removed),
) -> Result<(), Failed> {
    let mut kept = rows.iter(table.code());
    loop {
        let chunk: Vec<(Vec<u8>, Vec<u8>)> = kept.by_ref().take(ROWS_A_CHUNK).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let mut work = TableWork::new(table);
        add_rows(&mut work, &chunk, tick_of(rows));
        removed.keep_out(&mut work);
        work.deletes.clear();
        let present = std::mem::take(&mut work.upserts);
        waiting.until(writer.write_table(&work))?;
        waiting.until(writer.insert(table, &present))?;
    }
}

fn add_rows<'a>(work: &mut TableWork<'a>, rows: &'a [(Vec<u8>, Vec<u8>)], tick: u64) {
    for (key, json) in rows {
        let mut row = RowWrite { cells: Vec::new(), tick, cause: Some(CAUSE), seq: None, key, json };
        match read_row(work.table, json) {
            Ok(cells) => {
                row.cells = cells;
                work.upserts.push(row);
            }
            Err(error) => work.unreadable.push(Unreadable { row, reason: error.to_string() }),
        }
    }
}

fn tick_of(rows: &RowsSnapshot) -> u64 {
    rows.last_tick().map_or(0, |(tick, _)| tick)
}
