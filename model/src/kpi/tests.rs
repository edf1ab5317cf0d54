use proptest::prelude::*;

use super::*;
use crate::Row;

fn row(span: KpiSpan, start: Option<i64>, slice: KpiSlice, metric: KpiMetric) -> Row {
    Row::Kpi(KpiRow { span, start: start.map(TimeMs), slice, metric, value: 7, is_final: false })
}

#[test]
fn rows_are_the_contracts_bytes() {
    assert_eq!(
        row(KpiSpan::Now, None, KpiSlice::fleet(), KpiMetric::Trucks(LiveStatus::EnRoute)).to_json(),
        r#"{"span":"now","start":null,"slice":"fleet","slice_id":"all","metric":"trucks:en_route","value":7,"final":false}"#
    );
    let day = KpiRow {
        span: KpiSpan::Day,
        start: Some(TimeMs(-3_600_000)),
        slice: KpiSlice { kind: KpiSliceKind::Client, id: "\"A\" & Co".into() },
        metric: KpiMetric::TatP90S,
        value: -1,
        is_final: true,
    };
    assert_eq!(
        Row::Kpi(day).to_json(),
        r#"{"span":"day","start":"1969-12-31T23:00:00Z","slice":"client","slice_id":"\"A\" & Co","metric":"tat_p90_s","value":-1,"final":true}"#
    );
}

#[test]
fn the_start_is_key_of_days_and_weeks_only() {
    let key = |span, start| row(span, start, KpiSlice::fleet(), KpiMetric::Visits).key_bytes();
    for span in KpiSpan::ALL.into_iter().filter(|span| *span != KpiSpan::Now) {
        assert_eq!(key(span, Some(1)) == key(span, Some(2)), !span.is_calendar(), "{span:?}");
    }
}

#[test]
fn names_read_as_they_are_written() {
    for span in KpiSpan::ALL {
        assert_eq!(KpiSpan::from_name(span.as_str()), Some(span));
    }
    for kind in KpiSliceKind::ALL {
        assert_eq!(KpiSliceKind::from_name(kind.as_str()), Some(kind));
    }
    let others = LiveStatus::ALL.map(KpiMetric::Trucks).into_iter();
    let others = others.chain([KpiMetric::Alerts("overspeed".into()), KpiMetric::Alerts("a:b".into())]);
    for metric in KpiMetric::NAMED.into_iter().chain(others) {
        assert_eq!(KpiMetric::from_name(&metric.name()), Some(metric));
    }
    for wrong in ["", "trips", "trucks:", "trucks:lost", "Visits"] {
        assert_eq!(KpiMetric::from_name(wrong), None, "{wrong}");
    }
    assert_eq!((KpiSpan::from_name("2h"), KpiSliceKind::from_name("all")), (None, None));
}

#[test]
fn all_are_in_the_order_of_names() {
    let by_rank = |a: &KpiSpan, b: &KpiSpan| (a.rank().cmp(&b.rank()), a.as_str().cmp(b.as_str()));
    for (a, b) in KpiSpan::ALL.iter().flat_map(|a| KpiSpan::ALL.iter().map(move |b| (a, b))) {
        let (by_rank, by_name) = by_rank(a, b);
        assert_eq!(by_rank, by_name, "{a:?} {b:?}");
    }
    assert!(KpiSliceKind::ALL.is_sorted() && KpiSliceKind::ALL.is_sorted_by_key(|kind| kind.as_str()));
    let others = LiveStatus::ALL.map(KpiMetric::Trucks).into_iter();
    let alerts = ["a", "b"].map(|kind| KpiMetric::Alerts(kind.into()));
    let mut metrics: Vec<KpiMetric> = KpiMetric::NAMED.into_iter().chain(others).chain(alerts).collect();
    metrics.sort();
    assert!(metrics.is_sorted_by_key(|metric| metric.name()));
    assert!(metrics[0] > KpiMetric::Alerts("".into()), "nothing is before it");
}

#[test]
fn rows_move_by_hops() {
    let at = |time: &str| TimeMs::parse_rfc3339(time).unwrap();
    let mark = |span: KpiSpan, slices| span.mark(slices, at("2026-01-05T08:59:59.999Z")).to_string();
    let fleet = KpiSliceKind::Fleet;
    assert_eq!(mark(KpiSpan::Now, fleet), "2026-01-05T08:59:50Z");
    assert_eq!(mark(KpiSpan::Last15Minutes, KpiSliceKind::Client), "2026-01-05T08:59:50Z");
    for span in [KpiSpan::LastHour, KpiSpan::Day, KpiSpan::Week] {
        assert_eq!(mark(span, fleet), "2026-01-05T08:59:00Z");
    }
    assert_eq!(mark(KpiSpan::Last24Hours, KpiSliceKind::Location), "2026-01-05T08:45:00Z");
    assert_eq!(mark(KpiSpan::Last7Days, fleet), "2026-01-05T08:00:00Z");
    assert_eq!(mark(KpiSpan::Day, KpiSliceKind::Truck), "2026-01-05T08:45:00Z");
    assert_eq!(KpiSpan::Last7Days.mark(fleet, at("2026-01-05T09:00:00Z")), at("2026-01-05T09:00:00Z"));
    assert_eq!(KpiSpan::LastHour.mark(fleet, TimeMs(-1)), TimeMs(-60_000));
    assert!(KpiSpan::Day.has(KpiSliceKind::Truck) && !KpiSpan::Last7Days.has(KpiSliceKind::Truck));
}

proptest! {
    #[test]
    fn key_bytes_sort_as_keys(
        a in (0..7_usize, -1..2_i64, 0..4_usize, "[a\u{0}\u{1}b]{0,2}", "[a\u{0}b]{0,2}"),
        b in (0..7_usize, -1..2_i64, 0..4_usize, "[a\u{0}\u{1}b]{0,2}", "[a\u{0}b]{0,2}"),
    ) {
        let row = |(span, start, kind, id, alert): (usize, i64, usize, String, String)| {
            let slice = KpiSlice { kind: KpiSliceKind::ALL[kind], id: id.into() };
            row(KpiSpan::ALL[span], Some(start), slice, KpiMetric::Alerts(alert.into()))
        };
        let (a, b) = (row(a), row(b));
        prop_assert_eq!(a.key_bytes().cmp(&b.key_bytes()), a.cmp_key(&b));
    }
}
