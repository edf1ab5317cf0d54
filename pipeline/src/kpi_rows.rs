//! Rows of KPIs with their names, in the order in which a tick tells them.

use std::sync::Arc;

use model::{Change, KpiRow, KpiSlice, Row, TimeMs};
use operators::Delta;
use operators::kpis::{KpiFacts, SliceKey};

use crate::names::Guards;

/// A slice's id; the fleet has none.
fn id<'a>(slice: SliceKey, names: &'a Guards<'_>) -> Option<&'a Arc<str>> {
    match slice {
        SliceKey::Fleet => None,
        SliceKey::Client(key) => Some(&names.clients[key as usize]),
        SliceKey::Location(key) => Some(&names.fences[key as usize]),
        SliceKey::Truck(key) => Some(&names.vehicles[key as usize]),
    }
}

fn row(facts: &KpiFacts, names: &Guards<'_>) -> KpiRow {
    let id = id(facts.slice, names).map_or_else(|| KpiSlice::ALL_OF_IT.into(), Arc::clone);
    KpiRow {
        span: facts.span,
        start: facts.start.map(TimeMs),
        slice: KpiSlice { kind: facts.slice.kind(), id },
        metric: facts.metric.rename(|kind| names.kinds[kind as usize].clone()),
        value: facts.value,
        is_final: facts.is_final,
    }
}

/// Appends the changes of KPIs in the order of [`Change::cmp_in_tick`]. There may be more of them than of all others.
/// Those of one window and slice come one after the other and, but for kinds of alerts, in their order: so windows are
/// ordered, and not rows.
pub(crate) fn push_changes(mut deltas: Vec<Delta<KpiFacts>>, names: &Guards<'_>, out: &mut Vec<Change>) {
    let window = |facts: &KpiFacts| {
        let start = facts.start.filter(|_| facts.span.is_calendar());
        (facts.span.rank(), start, facts.slice)
    };
    let metric = |facts: &KpiFacts| facts.metric.rename(|kind| &*names.kinds[kind as usize]);
    let order = |delta: &Delta<KpiFacts>| (metric(&delta.row), delta.diff);
    let windows = deltas.chunk_by_mut(|a, b| window(&a.row) == window(&b.row)).map(|of_window| {
        of_window.sort_by(|a, b| order(a).cmp(&order(b)));
        let (span, start, slice) = window(&of_window[0].row);
        ((span, start, slice.kind(), id(slice, names)), &*of_window)
    });
    let mut windows: Vec<_> = windows.collect();
    windows.sort_unstable_by_key(|(window, _)| *window);
    debug_assert!(windows.is_sorted_by(|a, b| a.0 < b.0), "a window comes twice");
    let change = |delta: &Delta<KpiFacts>| {
        let row = Row::Kpi(row(&delta.row, names));
        Change { diff: delta.diff, row, why: delta.why }
    };
    windows.into_iter().for_each(|(_, of_window)| out.extend(of_window.iter().map(change)));
}
