//! What the changes of a batch come to: for each key the row that stands after it, or that none does.

use journal::StoredChange;
use model::{Cause, Table};

/// What brought a message about, as its headers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub tick: u64,
    /// `None` where that is not known.
    pub cause: Option<&'static str>,
    pub seq: Option<u64>,
}

/// The last change of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetChange<'a> {
    pub table: Table,
    /// The row that stands, or the one that does not any more.
    pub row: &'a [u8],
    pub stands: bool,
    pub origin: Origin,
}

/// The net effect of changes that are in order, by table and key.
pub(crate) fn net_effect(changes: &[StoredChange]) -> impl Iterator<Item = NetChange<'_>> {
    let mut order: Vec<&StoredChange> = changes.iter().collect();
    // Stable: the changes of one key stay in their order.
    order.sort_by(|a, b| (a.change.table, &a.change.key).cmp(&(b.change.table, &b.change.key)));
    let mut net = Vec::new();
    for of_key in order.chunk_by(|a, b| a.change.table == b.change.table && a.change.key == b.change.key) {
        let (Some(first), Some(last)) = (of_key.first(), of_key.last()) else { continue };
        let Some(table) = Table::from_code(last.change.table) else { continue };
        let stands = last.change.diff > 0;
        // What came and went nobody has seen.
        if stands || first.change.diff < 0 {
            let origin = Origin {
                tick: last.cursor.tick,
                cause: Cause::from_code(last.change.cause).map(Cause::as_str),
                seq: (last.change.seq > 0).then_some(last.change.seq),
            };
            net.push(NetChange { table, row: &last.change.row, stands, origin });
        }
    }
    net.into_iter()
}
