//! KPIs: the figures of now, what they were, what was corrected, and the tables made of them.

use api::ApiConfig;
use model::{Cause, Change, KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan, TimeMs, Why};
use serde_json::{Value, json};

use crate::harness::{Service, fix, kpi, kpi_change};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// When a day begins in Lagos, an hour ahead of UTC; day 0 is 2026-01-05, a Monday.
fn day(n: i64) -> Option<TimeMs> {
    Some(TimeMs(crate::harness::START_MS + (n * DAY_S - HOUR_S) * 1000))
}

fn came(rows: &[KpiRow]) -> Vec<Change> {
    rows.iter().map(|row| kpi_change(1, row)).collect()
}

fn values(items: &[Value]) -> Vec<String> {
    let value = |item: &Value| {
        let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {}", text("span"), text("slice_id"), text("metric"), item["value"])
    };
    items.iter().map(value).collect()
}

#[test]
fn figures_of_now_are_listed() {
    let service = Service::start(ApiConfig::default());
    let of = |kind, id: &str, row: KpiRow| KpiRow { slice: KpiSlice { kind, id: id.into() }, ..row };
    let rows = [
        kpi(KpiSpan::Now, None, KpiMetric::from_name("trucks:idle").unwrap(), 3),
        kpi(KpiSpan::LastHour, Some(TimeMs(0)), KpiMetric::Visits, 4),
        kpi(KpiSpan::Day, day(-1), KpiMetric::Visits, 40),
        kpi(KpiSpan::Day, day(0), KpiMetric::Visits, 5),
        kpi(KpiSpan::Day, day(0), KpiMetric::Alerts("idle".into()), 1),
        of(KpiSliceKind::Truck, "T1", kpi(KpiSpan::Day, day(0), KpiMetric::DistanceM, 900)),
        of(KpiSliceKind::Location, "A b", kpi(KpiSpan::Day, day(0), KpiMetric::Visits, 2)),
    ];
    service.close(vec![], came(&rows), vec![]);
    let shown = |query: &str| values(&service.read_all(&format!("/api/v1/kpis?{query}")));
    let all = [
        "now all trucks:idle 3",
        "1h all visits 4",
        "day all alerts:idle 1",
        "day all visits 5",
        "day A b visits 2",
        "day T1 distance_m 900",
    ];
    assert_eq!(shown("limit=1"), all, "yesterday is over");
    assert_eq!(shown("span=day"), all[2..]);
    assert_eq!(shown("span=day&slice=fleet"), all[2..4]);
    assert_eq!(shown("slice=location&slice_id=A%20b"), all[4..5]);
    assert_eq!(shown("metric=visits&limit=1"), [all[1], all[3], all[4]]);
    assert_eq!(shown("metric=alerts:idle&slice=fleet&slice_id=all"), all[2..3]);
    assert_eq!(shown("span=7d").len(), 0);
    let item = &service.get_json("/api/v1/kpis?span=day&slice=truck")["items"][0];
    let expected = json!({"span": "day", "start": "2026-01-04T23:00:00Z", "slice": "truck", "slice_id": "T1",
        "metric": "distance_m", "value": 900, "final": false, "corrected": null, "week_before": null});
    assert_eq!(item, &expected);
    for (query, word) in [
        ("span=2h", "span must be one of now"),
        ("slice=company", "slice must be one of client"),
        ("slice_id=A", "slice is not"),
        ("metric=speed", "metric must be"),
        ("metric=trucks:lost", "metric must be"),
        ("limit=-1", "limit"),
        ("cursor=6d00000000", "cursor"),
        ("as_of=now", "as_of"),
    ] {
        assert!(service.get(&format!("/api/v1/kpis?{query}")).problem(400).contains(word), "{query}");
    }
}

#[test]
fn history_has_days_and_what_was_corrected_of_them() {
    let service = Service::start(ApiConfig::default());
    let visits = |n, value| kpi(KpiSpan::Day, day(n), KpiMetric::Visits, value);
    for n in 0..10 {
        service.pass_time_to(n * DAY_S);
        service.close(
            vec![],
            came(&[visits(n, 10 + n), kpi(KpiSpan::Day, day(n), KpiMetric::TatMeanS, n)]),
            vec![],
        );
    }
    let shown = |query: &str| -> Vec<String> {
        let items = service.read_all(&format!("/api/v1/kpis/history?span=day&{query}"));
        let day = |item: &Value| format!("{} {}", &item["start"].as_str().unwrap()[8..10], item["value"]);
        items.iter().map(day).collect()
    };
    assert_eq!(shown("metric=visits&limit=3").len(), 10);
    assert_eq!(shown("limit=7").len(), 20);
    let period = "metric=visits&from=2026-01-05T23:00:00Z&to=2026-01-07T23:00:00Z";
    assert_eq!(shown(period), ["05 11", "06 12"]);

    // Late data change what was shown of a day that was over, and what was shown of today.
    let late = |change: Change| Change { why: Why { cause: Cause::LateFix, seq: 3 }, ..change };
    let replace = |old: KpiRow, new: KpiRow| {
        service.close(vec![], vec![late(kpi_change(-1, &old)), late(kpi_change(1, &new))], vec![]);
    };
    replace(visits(2, 12), visits(2, 15));
    replace(visits(9, 19), visits(9, 20));
    let of_day = |n: i64| {
        let from = day(n).unwrap();
        let query = format!("span=day&metric=visits&from={from}&to={}", from.plus_ms(1));
        service.get_json(&format!("/api/v1/kpis/history?{query}"))["items"][0].clone()
    };
    let corrected = json!({"was": 12, "at": "2026-01-14T00:00:02Z", "cause": "late_fix"});
    assert_eq!(of_day(2)["corrected"], corrected);
    assert_eq!((&of_day(9)["corrected"], &of_day(9)["value"]), (&Value::Null, &json!(20)));
    let week_before = json!({"value": 15, "change": 5, "change_bp": 3333});
    assert_eq!(of_day(9)["week_before"], week_before, "by what is known now");
    replace(visits(2, 15), visits(2, 16));
    assert_eq!(of_day(2)["corrected"]["was"], 12, "what people saw first");
    replace(visits(2, 16), KpiRow { is_final: true, ..visits(2, 16) });
    assert_eq!(of_day(2)["corrected"]["was"], 12, "a day that becomes final stays corrected");
    replace(KpiRow { is_final: true, ..visits(2, 16) }, KpiRow { is_final: true, ..visits(2, 12) });
    assert_eq!(of_day(2)["corrected"], Value::Null, "it is again what it was");
    service.get("/api/v1/kpis/history").problem(400);
    service.get("/api/v1/kpis/history?span=day&cursor=68").problem(400);
    service.get("/api/v1/kpis/history?span=day&from=x").problem(400);
}

#[test]
fn rolling_figures_have_a_bounded_past() {
    let service = Service::start(ApiConfig::default());
    let row = |n: i64| kpi(KpiSpan::Last15Minutes, Some(TimeMs(n)), KpiMetric::Visits, n);
    let mut last = None;
    for n in 0..1300 {
        let changes = last.map(|last| kpi_change(-1, &row(last))).into_iter().chain([kpi_change(1, &row(n))]);
        service.pass_time_to(n * 10);
        service.close(vec![], changes.collect(), vec![]);
        last = Some(n);
    }
    let past = service.read_all("/api/v1/kpis/history?span=15m&metric=visits&limit=100");
    assert_eq!(past.len(), 192, "one a minute");
    assert_eq!((&past[191]["value"], &past[190]["value"]), (&json!(1299), &json!(1295)));
    assert_eq!(past[190]["shown_at"], "2026-01-05T03:35:51Z");
    service.close(vec![], vec![kpi_change(-1, &row(1299))], vec![]);
    assert_eq!(service.read_all("/api/v1/kpis/history?span=15m").len(), 0);
}

#[test]
fn one_figure_is_followed() {
    let service = Service::start(ApiConfig::default());
    let visits = |n, value| kpi(KpiSpan::Day, day(n), KpiMetric::Visits, value);
    let tat = |value| kpi(KpiSpan::Day, day(0), KpiMetric::TatMeanS, value);
    let hour = |value| kpi(KpiSpan::LastHour, Some(TimeMs(value)), KpiMetric::Visits, value);
    service.close(vec![], came(&[visits(0, 1), tat(1), hour(1)]), vec![]);
    let path = "/api/v1/kpis/stream?span=day&metric=visits";
    let mut events = service.follow_at(path, &[]);
    let first = events.next().unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["value"], &first.data["tick"]),
        ("kpi", &json!(1), &json!(1))
    );
    // More changes than are read at a time, none of which is of this figure.
    for n in 1..2200 {
        service.close(vec![], vec![kpi_change(-1, &tat(n)), kpi_change(1, &tat(n + 1))], vec![]);
    }
    let changes =
        vec![kpi_change(-1, &visits(0, 1)), kpi_change(1, &visits(0, 2)), kpi_change(1, &visits(1, 3))];
    service.close(vec![], changes, vec![]);
    let told: Vec<Value> = (0..3).map(|_| events.next_change().data).collect();
    let told: Vec<(&Value, &Value)> =
        told.iter().map(|data| (&data["diff"], &data["row"]["value"])).collect();
    assert_eq!(told, [(&json!(-1), &json!(1)), (&json!(1), &json!(2)), (&json!(1), &json!(3))]);

    let mut events = service.follow_at("/api/v1/kpis/stream?span=1h&metric=visits&cursor=0-0", &[]);
    assert_eq!(events.next_change().data["row"]["value"], 1, "the past, and no figure of now before it");
    let mut events =
        service.follow_at("/api/v1/kpis/stream?span=7d&slice=client&slice_id=x&metric=visits", &[]);
    assert_eq!(events.next().unwrap().name, "tick", "there is no such figure yet");
    for (query, status) in [
        ("", 400),
        ("?span=day", 400),
        ("?metric=visits", 400),
        ("?span=day&metric=x", 400),
        ("?span=day&metric=visits&slice=truck", 400),
        ("?span=day&metric=visits&slice_id=T1", 400),
        ("?span=day&metric=visits&cursor=x", 400),
        ("?span=day&metric=visits&cursor=999999-0", 410),
    ] {
        service.get(&format!("/api/v1/kpis/stream{query}")).problem(status);
    }
}

#[test]
fn tables_have_a_row_a_day_or_week() {
    let service = Service::start(ApiConfig::default());
    let truck =
        |row: KpiRow| KpiRow { slice: KpiSlice { kind: KpiSliceKind::Truck, id: "T1".into() }, ..row };
    service.close(vec![fix("T1", 1, 0, 3.4, 6.5)], vec![], vec![]);
    for n in 0..9 {
        service.pass_time_to(n * DAY_S);
        let of = |metric, value| kpi(KpiSpan::Day, day(n), metric, value);
        let mut rows = vec![
            of(KpiMetric::Visits, n),
            of(KpiMetric::TatMeanS, 100 - n),
            of(KpiMetric::UtilizationBp, 5000),
            truck(of(KpiMetric::DistanceM, 1000 * n)),
        ];
        if n % 7 == 0 {
            rows.push(kpi(KpiSpan::Week, day(n), KpiMetric::Visits, n));
        }
        service.close(vec![], came(&rows), vec![]);
    }
    let daily = service.get_json("/api/v1/analytics/daily");
    assert_eq!(
        (&daily["span"], &daily["slice"], &daily["slice_id"]),
        (&json!("day"), &json!("fleet"), &json!("all"))
    );
    assert_eq!(daily["items"].as_array().unwrap().len(), 9);
    let last = &daily["items"][8];
    assert_eq!((&last["start"], &last["final"]), (&json!("2026-01-12T23:00:00Z"), &json!(false)));
    let week_before = json!({"value": 1, "change": 7, "change_bp": 70_000});
    let visits = json!({"value": 8, "corrected": null, "week_before": week_before});
    assert_eq!(last["metrics"]["visits"], visits);
    assert_eq!(last["metrics"].as_object().unwrap().len(), 3);
    assert_eq!(service.read_all("/api/v1/analytics/daily?limit=2").len(), 9);
    assert_eq!(service.read_all("/api/v1/analytics/daily?from=2026-01-11T23:00:00Z&limit=1").len(), 2);
    let metrics = |path: &str| -> Vec<String> {
        let items = service.read_all(path);
        items[0]["metrics"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(metrics("/api/v1/analytics/tat"), ["tat_mean_s"]);
    assert_eq!(metrics("/api/v1/analytics/utilization?span=day"), ["utilization_bp"]);
    assert_eq!(metrics("/api/v1/analytics/daily?slice=truck&slice_id=T1"), ["distance_m"]);
    let weeks = service.read_all("/api/v1/analytics/weekly");
    assert_eq!(weeks[1]["metrics"]["visits"]["week_before"]["change"], 7);
    assert_eq!(weeks[1]["metrics"]["visits"]["week_before"]["change_bp"], Value::Null, "there were none");
    let of_truck = service.get_json("/api/v1/analytics/trucks/t%201?from=2026-01-11T23:00:00Z");
    assert_eq!((&of_truck["slice_id"], of_truck["items"].as_array().unwrap().len()), (&json!("T1"), 2));
    service.get("/api/v1/analytics/trucks/T2").problem(404);
    for (query, word) in [
        ("daily?span=week", "span"),
        ("tat?span=15m", "span must be one of day, week"),
        ("tat?slice=client", "slice_id is missing"),
        ("utilization?slice_id=T1", "slice is not"),
        ("weekly?cursor=77", "cursor"),
        ("trucks/T1?slice=fleet", "slice"),
        ("daily?limit=0", "limit"),
    ] {
        assert!(service.get(&format!("/api/v1/analytics/{query}")).problem(400).contains(word), "{query}");
    }
}
