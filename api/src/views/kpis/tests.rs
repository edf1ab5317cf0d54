use model::{Why, time_zone};

use super::*;

fn at(time: &str) -> TimeMs {
    TimeMs::parse_rfc3339(time).unwrap()
}

fn row(span: KpiSpan, start: &str, value: i64) -> KpiRow {
    let (slice, metric) = (KpiSlice::fleet(), KpiMetric::Visits);
    KpiRow { span, start: Some(at(start)), slice, metric, value, is_final: false }
}

fn change(diff: i8, row: &KpiRow) -> Change {
    Change { diff, row: Row::Kpi(row.clone()), why: Why::first(1) }
}

fn all(kpis: &Kpis) -> Vec<KpiView> {
    kpis.history(&KpiFilter::default(), (None, None), None, 1000).rows
}

#[test]
fn a_week_before_is_a_week_by_the_clock() {
    // Clocks go forward on 2026-03-29 in Berlin: that day has 23 hours.
    let mut kpis = Kpis::new(time_zone("Europe/Berlin").unwrap());
    let (before, after) = ("2026-03-28T23:00:00Z", "2026-04-04T22:00:00Z");
    let rows = [
        row(KpiSpan::Day, before, 4),
        row(KpiSpan::Day, after, 5),
        row(KpiSpan::Week, "2026-03-22T23:00:00Z", 40),
        row(KpiSpan::Week, "2026-03-29T22:00:00Z", 50),
    ];
    let changes: Vec<Change> = rows.iter().map(|row| change(1, row)).collect();
    kpis.apply(&changes, TimeMs(0), at(after));
    let weeks_before: Vec<Option<i64>> =
        all(&kpis).iter().map(|view| view.week_before.map(|week| week.value)).collect();
    assert_eq!(weeks_before, [None, Some(4), None, Some(40)]);
}

#[test]
fn changes_against_nothing_and_of_negative_values_are_told_as_far_as_they_can_be() {
    assert_eq!(WeekBefore::of(5, 0), WeekBefore { value: 0, change: 5, change_bp: None });
    assert_eq!(WeekBefore::of(-5, -10), WeekBefore { value: -10, change: 5, change_bp: Some(5000) });
    assert_eq!(WeekBefore::of(i64::MIN, i64::MAX).change, i64::MIN);
    assert_eq!(WeekBefore::of(i64::MAX, 1).change_bp, Some(i64::MAX));
}

#[test]
fn a_day_is_over_for_a_figure_once_it_has_counted_all_of_it() {
    let end = "2026-01-06T00:00:00Z";
    for (shown_at, is_correction) in [("2026-01-05T23:59:59.999Z", false), (end, true)] {
        let mut kpis = Kpis::new(time_zone("UTC").unwrap());
        let (old, new) =
            (row(KpiSpan::Day, "2026-01-05T00:00:00Z", 1), row(KpiSpan::Day, "2026-01-05T00:00:00Z", 2));
        kpis.apply(&[change(1, &old)], TimeMs(0), at(shown_at));
        kpis.apply(&[change(-1, &old), change(1, &new)], at(shown_at), at("2026-01-06T00:01:00Z"));
        let shown = &all(&kpis)[0];
        assert_eq!(shown.point.correction.map(|correction| correction.was), is_correction.then_some(1));
        assert_eq!((kpis.len(), shown.point.value), (1, 2));
    }
}

#[test]
fn what_goes_for_good_leaves_nothing() {
    let mut kpis = Kpis::new(time_zone("UTC").unwrap());
    let days = [row(KpiSpan::Day, "2026-01-05T00:00:00Z", 1), row(KpiSpan::Day, "2026-01-06T00:00:00Z", 2)];
    let hour = row(KpiSpan::LastHour, "2026-01-05T00:00:00Z", 3);
    let came: Vec<Change> = days.iter().chain([&hour]).map(|row| change(1, row)).collect();
    kpis.apply(&came, TimeMs(0), TimeMs(1));
    assert_eq!((kpis.len(), kpis.series.len()), (3, 2));
    // Two keys of one figure: the -1 of the one is not answered by the +1 of the other.
    let later = row(KpiSpan::Day, "2026-01-07T00:00:00Z", 4);
    kpis.apply(&[change(-1, &days[0]), change(1, &later), change(-1, &hour)], TimeMs(1), TimeMs(2));
    assert_eq!((kpis.len(), kpis.series.len()), (2, 1));
    kpis.apply(&[change(-1, &days[1]), change(-1, &later)], TimeMs(2), TimeMs(3));
    assert_eq!((kpis.len(), kpis.series.len()), (0, 0));
}

#[test]
fn seven_days_are_compared_with_those_before() {
    let mut kpis = Kpis::new(time_zone("UTC").unwrap());
    let of = |hour: i64| KpiRow {
        start: Some(TimeMs(hour)),
        ..row(KpiSpan::Last7Days, "2026-01-05T00:00:00Z", hour)
    };
    let mut last: Option<KpiRow> = None;
    for hour in 0..400 {
        let new = of(hour);
        let changes: Vec<Change> = last.iter().map(|old| change(-1, old)).chain([change(1, &new)]).collect();
        kpis.apply(&changes, TimeMs((hour - 1) * HOUR_MS), TimeMs(hour * HOUR_MS));
        last = Some(new);
        let key = key_of(&of(hour));
        let week_before = kpis.get(&key, TimeMs(0)).unwrap().week_before;
        assert_eq!(week_before.map(|week| week.value), (hour >= 168).then_some(hour - 168));
    }
    assert_eq!(all(&kpis).len(), MAX_PAST);
}

#[test]
fn what_is_saved_is_shown_again_with_its_past_and_its_corrections_but_not_in_another_zone() {
    let mut kpis = Kpis::new(time_zone("UTC").unwrap());
    let (old, new) =
        (row(KpiSpan::Day, "2026-01-05T00:00:00Z", 1), row(KpiSpan::Day, "2026-01-05T00:00:00Z", 2));
    let hours = [
        row(KpiSpan::LastHour, "2026-01-06T00:00:00Z", 3),
        row(KpiSpan::LastHour, "2026-01-06T00:01:00Z", 4),
    ];
    kpis.apply(&[change(1, &old), change(1, &hours[0])], TimeMs(0), at("2026-01-06T01:00:00Z"));
    let corrected = [change(-1, &old), change(1, &new), change(-1, &hours[0]), change(1, &hours[1])];
    kpis.apply(&corrected, at("2026-01-06T01:00:00Z"), at("2026-01-06T01:01:00Z"));
    let shown = format!("{:?}", all(&kpis));
    assert!(shown.contains("was: 1"), "{shown}");
    let mut frames = VecDeque::new();
    kpis.save(&mut Saver::new("kpis", &mut frames)).unwrap();
    let mut kept = frames.clone();

    let mut again = Kpis::new(time_zone("UTC").unwrap());
    again.load(&mut Loader::new("kpis", &mut frames)).unwrap();
    assert_eq!((format!("{:?}", all(&again)), again.len(), frames.len()), (shown, kpis.len(), 0));
    let mut elsewhere = Kpis::new(time_zone("Africa/Lagos").unwrap());
    let error = elsewhere.load(&mut Loader::new("kpis", &mut kept)).unwrap_err();
    assert!(error.to_string().contains("another zone"), "{error}");
}
