//! Pages against a plain filter of all rows.

use super::*;

fn presence(vehicle: usize, fence: usize, start: i64, end: Option<i64>) -> PresenceRow {
    PresenceRow {
        vehicle_id: format!("T{vehicle}").into(),
        fence_id: format!("f{fence}").into(),
        entered: TimeMs(start),
        end: end.map(|time| (TimeMs(time), model::EndReason::Exit)),
    }
}

fn table() -> (SpanTable<PresenceRow>, Vec<PresenceRow>) {
    let mut table = SpanTable::default();
    let mut all = Vec::new();
    for vehicle in 0..7 {
        for fence in 0..5 {
            for visit in 0..4 {
                let start = visit * 100 + i64::try_from(vehicle * 7 + fence * 3).unwrap();
                let end = (visit < 3).then_some(start + 40);
                all.push(presence(vehicle, fence, start, end));
            }
        }
    }
    for row in all.iter().rev() {
        table.apply(row, true);
    }
    (table, all)
}

fn read_all(table: &SpanTable<PresenceRow>, filter: &SpanFilter, limit: usize) -> Vec<PresenceRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = table.page(filter, after.as_ref(), limit);
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

#[test]
fn pages_of_any_size_and_filter_hold_what_a_plain_filter_finds() {
    let (table, all) = table();
    let vehicles = [None, Some("T3"), Some("T9")];
    let fences = [None, Some("f0"), Some("f4"), Some("g")];
    let times = [None, Some(0), Some(60), Some(145), Some(330), Some(5000)];
    for vehicle in vehicles {
        for fence in fences {
            for from in times {
                for to in times {
                    let filter = SpanFilter {
                        vehicle_id: vehicle.map(Arc::from),
                        fence_id: fence.map(Arc::from),
                        from: from.map(TimeMs),
                        to: to.map(TimeMs),
                    };
                    let expected: Vec<PresenceRow> = all
                        .iter()
                        .filter(|row| {
                            vehicle.is_none_or(|id| &*row.vehicle_id == id)
                                && fence.is_none_or(|id| &*row.fence_id == id)
                                && to.is_none_or(|to| row.entered.0 < to)
                                && from.is_none_or(|from| row.end.is_none_or(|(end, _)| end.0 > from))
                        })
                        .cloned()
                        .collect();
                    for limit in [1, 3, 1000] {
                        assert_eq!(read_all(&table, &filter, limit), expected, "{filter:?} by {limit}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_went_is_gone_from_rows_and_indexes() {
    let (mut table, all) = table();
    for row in &all {
        table.apply(row, false);
    }
    assert_eq!(table.len(), 0);
    assert!(table.by_pair.is_empty() && table.vehicles_of_fence.is_empty());
}

#[test]
fn a_page_looks_at_a_bounded_number_of_pairs() {
    let mut table = SpanTable::default();
    for vehicle in 0..MAX_STEPS + 10 {
        table.apply(&presence(vehicle, 0, 0, Some(10)), true);
    }
    let filter = SpanFilter { from: Some(TimeMs(50)), ..SpanFilter::default() };
    let first = table.page(&filter, None, 10);
    assert!(first.rows.is_empty() && first.next.is_some());
    let second = table.page(&filter, first.next.as_ref(), 10);
    assert!(second.rows.is_empty() && second.next.is_none());
    assert_eq!(read_all(&table, &SpanFilter::default(), 1000).len(), MAX_STEPS + 10);
}
