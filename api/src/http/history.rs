//! The story of a row, page by page: what it was before, and why it changed.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use journal::{Cursor, RowsSnapshot, StoreError};
use model::{Table, trip_hash};

use super::params::{self, ListParams};
use super::{
    Shared, begin_object, end_with_list, json, read_cursor, stamp_of, unreadable, write_text, write_time,
};
use crate::problem::Problem;
use crate::story::row::{RowEvent, RowStory, story};
use crate::views::{BadCursor, CursorWriter, Stamp};

const HISTORY: u8 = b'y';

/// Whose story is told.
pub(super) struct Of {
    pub table: Table,
    /// Of the row.
    pub key: Vec<u8>,
    /// What such a row is called.
    pub noun: &'static str,
    /// As it was asked for.
    pub id: String,
}

/// A page of the story of a row whose changes are found by its key.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    of: Of,
    params: &ListParams,
) -> Result<Response<Body>, Problem> {
    let limit = params::limit(params.limit.as_deref(), 100)?;
    // A place in one story says nothing of another's.
    let whose = [u64::from(of.table.code()), trip_hash(&of.key)];
    let after = read_cursor(HISTORY, params.cursor.as_deref(), |cursor| {
        if [cursor.number()?, cursor.number()?] != whose {
            return Err(BadCursor);
        }
        let (tick, index) = (cursor.number()?, cursor.number()?);
        Ok(Cursor { tick, index: u32::try_from(index).unwrap_or(u32::MAX) })
    })?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    shared.check_indexed().await?;
    let Of { table, key, noun, id } = of;
    let changelog = shared.api.changelog.clone();
    let read = shared.reads.run(move || read(&changelog.rows(), table, &key));
    let (stamp, RowStory { is_known, is_complete, events }) = read.await?.map_err(unreadable)?;
    if !is_known {
        return Err(Problem::not_found(noun, &id));
    }
    let first = after.map_or(0, |after| events.partition_point(|event| event.cursor <= after));
    let rest = events.get(first..).unwrap_or_default();
    let page = rest.get(..limit).unwrap_or(rest);
    let next = page.last().filter(|_| page.len() < rest.len()).map(|last| {
        let cursor = last.cursor;
        let begun = CursorWriter::new(HISTORY).number(whose[0]).number(whose[1]);
        begun.number(cursor.tick).number(cursor.index.into()).finish()
    });
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"id\":");
    write_text(&mut out, Some(&id));
    out.extend_from_slice(format!(",\"complete\":{is_complete}").as_bytes());
    end_with_list(&mut out, "items", page, write_event, next);
    Ok(json(out))
}

fn read(snapshot: &RowsSnapshot, table: Table, key: &[u8]) -> Result<(Stamp, RowStory), StoreError> {
    Ok((stamp_of(snapshot), story(snapshot, table.code(), key)?))
}

fn write_event(out: &mut Vec<u8>, event: &RowEvent) {
    out.extend_from_slice(format!("{{\"tick\":{},\"instant\":", event.cursor.tick).as_bytes());
    write_time(out, Some(event.instant));
    let (change, why) = (event.name(), event.why);
    let middle =
        format!(",\"change\":\"{change}\",\"cause\":\"{}\",\"seq\":{},\"old\":", why.cause.as_str(), why.seq);
    out.extend_from_slice(middle.as_bytes());
    out.extend_from_slice(event.old.as_deref().unwrap_or(b"null"));
    out.extend_from_slice(b",\"new\":");
    out.extend_from_slice(event.new.as_deref().unwrap_or(b"null"));
    out.push(b'}');
}
