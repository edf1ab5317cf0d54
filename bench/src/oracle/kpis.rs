//! KPIs: what happened in a window, by slice.
//!
//! ```text
//!   start                          mark                end
//!   |------------------------------|-------------------|
//!    counted: what happened before  not yet             of a day or week
//! ```
//!
//! All rows are a function of the facts and of the mark, which is the last multiple of the hop that the instant
//! has reached. What stays of one tick to the next, where no multiple is reached, is in [`recompute_kpis_after`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    AlertRow, GraphSettings, KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan, Row, TimeMs, VisitRow,
    Window, day_of, week_of,
};

use super::Input;
use super::admission::{Admitted, Fix};
use super::backfill::{self, Backfill};
use super::log::Log;
use super::trips::{AutoTrip, Course};
use tally::Tally;

mod arithmetic;
mod legs;
mod live;
mod of_trips;
mod tally;
#[cfg(test)]
mod tests;
mod work;

/// What there is to count, as of an instant.
pub(super) struct Facts<'a> {
    pub admitted: &'a Admitted,
    /// Those that were planned.
    pub trips: Vec<Course>,
    pub auto_trips: Vec<AutoTrip>,
    pub visits: Vec<VisitRow>,
    pub alerts: Vec<DueAlert>,
    /// By vehicle, in event-time order; those without any are left out.
    pub good_fixes: BTreeMap<&'a str, Vec<Fix>>,
}

/// An alert, as far as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueAlert {
    pub kind: Arc<str>,
    pub vehicle_id: Arc<str>,
    /// Where it happened, if it is about a fence.
    pub fence_id: Option<Arc<str>>,
    pub due_at: TimeMs,
}

impl From<AlertRow> for DueAlert {
    fn from(row: AlertRow) -> DueAlert {
        let AlertRow { kind, vehicle_id, fence_id, due_at, .. } = row;
        DueAlert { kind, vehicle_id, fence_id, due_at }
    }
}

/// All KPIs, brought up to date as of the end of `input`, which is how a replay ends.
#[must_use]
pub fn recompute_kpis(input: &[Input], defaults: &GraphSettings) -> Vec<KpiRow> {
    recompute_kpis_after(input, &[input.len()], defaults)
}

/// All KPIs after the last of some ticks; each tick is given by how many records there are up to its end.
///
/// Each span and kind of slices shows what it showed at the last tick that reached a multiple of its hop; the
/// first tick always does. Backfills count as if they had been known all the time, also where rows moved before they
/// came.
#[must_use]
pub fn recompute_kpis_after(input: &[Input], ticks: &[usize], defaults: &GraphSettings) -> Vec<KpiRow> {
    let backfills = backfill::backfills(&input[..ticks.last().copied().unwrap_or(0)]);
    let mut instants = Vec::new();
    walk(input, ticks, backfills.clone(), defaults, |_, log| instants.push(log.instant()));
    // By tick, what is brought up to date there for the last time.
    let mut last_shown: BTreeMap<usize, Vec<(KpiSpan, KpiSliceKind)>> = BTreeMap::new();
    for (span, kind) in spans_and_kinds() {
        let mark = |tick: usize| span.mark(kind, instants[tick]);
        let reaches = |tick: usize| tick == 0 || mark(tick - 1) < mark(tick);
        if let Some(tick) = (0..instants.len()).rev().find(|&tick| reaches(tick)) {
            last_shown.entry(tick).or_default().push((span, kind));
        }
    }
    let mut rows = Vec::new();
    walk(input, ticks, backfills, defaults, |tick, log| {
        if let Some(shown) = last_shown.get(&tick) {
            let facts = log.facts();
            rows.extend(shown.iter().flat_map(|&(span, kind)| rows_of(&facts, span, kind)));
        }
    });
    sorted(rows)
}

/// All KPIs after each of some ticks. Backfills count as if they had been known all the time.
#[must_use]
pub fn recompute_kpis_after_each(
    input: &[Input],
    ticks: &[usize],
    defaults: &GraphSettings,
) -> Vec<Vec<KpiRow>> {
    let mut shown = BTreeMap::new();
    let mut after_each = Vec::new();
    walk(input, ticks, backfill::backfills(input), defaults, |_, log| {
        let mark = |span: KpiSpan, kind| span.mark(kind, log.instant());
        let mut due: Vec<(KpiSpan, KpiSliceKind)> = spans_and_kinds().collect();
        due.retain(|&(span, kind)| shown.get(&(span, kind)).is_none_or(|&(last, _)| last < mark(span, kind)));
        if !due.is_empty() {
            let facts = log.facts();
            for (span, kind) in due {
                shown.insert((span, kind), (mark(span, kind), rows_of(&facts, span, kind)));
            }
        }
        after_each.push(sorted(shown.values().flat_map(|(_, rows)| rows.clone()).collect()));
    });
    after_each
}

/// Takes the input, and shows what there is after each of some ticks.
fn walk(
    input: &[Input],
    ticks: &[usize],
    backfills: Vec<Backfill>,
    defaults: &GraphSettings,
    mut show: impl FnMut(usize, &Log),
) {
    let mut log = Log::new(defaults, backfills);
    let mut taken = 0;
    for (tick, &count) in ticks.iter().enumerate() {
        input[taken..count].iter().for_each(|record| log.take(record));
        taken = count;
        show(tick, &log);
    }
}

fn spans_and_kinds() -> impl Iterator<Item = (KpiSpan, KpiSliceKind)> {
    let of_span = |span: KpiSpan| KpiSliceKind::ALL.into_iter().map(move |kind| (span, kind));
    KpiSpan::ALL.into_iter().flat_map(of_span).filter(|(span, kind)| span.has(*kind))
}

/// All rows in key order, brought up to date.
pub(super) fn rows_of_all(facts: &Facts<'_>) -> Vec<KpiRow> {
    sorted(spans_and_kinds().flat_map(|(span, kind)| rows_of(facts, span, kind)).collect())
}

fn sorted(rows: Vec<KpiRow>) -> Vec<KpiRow> {
    let mut rows: Vec<Row> = rows.into_iter().map(Row::Kpi).collect();
    rows.sort_by(Row::cmp_key);
    let kpi = |row| if let Row::Kpi(row) = row { Some(row) } else { None };
    rows.into_iter().filter_map(kpi).collect()
}

/// The rows of a span and a kind of slices, brought up to date.
fn rows_of(facts: &Facts<'_>, span: KpiSpan, kind: KpiSliceKind) -> Vec<KpiRow> {
    let mark = span.mark(kind, facts.admitted.instant());
    let row = |start, is_final, id: &Arc<str>, (metric, value): (KpiMetric, i64)| {
        let slice = KpiSlice { kind, id: id.clone() };
        KpiRow { span, start, slice, metric, value, is_final }
    };
    if span == KpiSpan::Now {
        let figures = live::figures(facts, kind, mark);
        return figures.into_iter().map(|(id, figure)| row(None, false, &id, figure)).collect();
    }
    let mut rows = Vec::new();
    for window in windows(facts, span, mark) {
        let is_final = window.end.plus_ms(facts.admitted.settings.horizon_ms) < mark;
        let passed = Window { end: window.end.min(mark), ..window };
        for (id, tally) in tallies(facts, kind, passed) {
            let shows_zeros = kind == KpiSliceKind::Fleet && span.is_calendar();
            let figures = tally.figures(shows_zeros).into_iter();
            rows.extend(figures.map(|figure| row(Some(window.start), is_final, &id, figure)));
        }
    }
    rows
}

/// The windows that have begun before the mark: the rolling one, or those of the calendar in which there may be
/// something.
fn windows(facts: &Facts<'_>, span: KpiSpan, mark: TimeMs) -> BTreeSet<Window> {
    if let Some(length_ms) = span.rolling_ms() {
        return BTreeSet::from([Window { start: mark.plus_ms(-length_ms), end: mark }]);
    }
    let of = if span == KpiSpan::Day { day_of } else { week_of };
    let mut windows = BTreeSet::new();
    for Window { start, end } in happenings(facts) {
        let mut time = start;
        while time < end.min(mark)
            && let Some(window) = of(time, &facts.admitted.calendar_zone)
        {
            windows.insert(window);
            time = window.end;
        }
    }
    windows
}

/// When anything happened that is counted, perhaps more.
fn happenings(facts: &Facts<'_>) -> Vec<Window> {
    let moment = |time: TimeMs| Window { start: time, end: time.plus_ms(1) };
    let fixes = facts.good_fixes.values().flatten().map(|fix| moment(fix.time));
    let legs = facts.good_fixes.values().flat_map(|fixes| legs::legs(fixes)).map(|leg| leg.time);
    let visits = facts.visits.iter().filter_map(|visit| visit.departed).map(moment);
    let alerts = facts.alerts.iter().map(|alert| moment(alert.due_at));
    let trips = facts.trips.iter().flat_map(of_trips::moments).map(moment);
    let on_trips = facts.trips.iter().filter_map(of_trips::on_trip);
    let on_auto_trips = facts.auto_trips.iter().map(of_trips::on_auto_trip);
    let offloads = facts.auto_trips.iter().filter_map(|trip| trip.row.offload).map(moment);
    let on_trips = on_trips.chain(on_auto_trips).chain(offloads);
    fixes.chain(legs).chain(visits).chain(alerts).chain(trips).chain(on_trips).collect()
}

/// What there is in a window, as far as it has passed, by the id of the slice.
fn tallies(facts: &Facts<'_>, kind: KpiSliceKind, passed: Window) -> Tallies {
    let mut tallies = BTreeMap::new();
    of_trips::count(facts, kind, passed, &mut tallies);
    of_trips::count_auto(facts, kind, passed, &mut tallies);
    count_visits(facts, kind, passed, &mut tallies);
    work::count(facts, kind, passed, &mut tallies);
    count_alerts(facts, kind, passed, &mut tallies);
    tallies
}

type Tallies = BTreeMap<Arc<str>, Tally>;

fn count_visits(facts: &Facts<'_>, kind: KpiSliceKind, passed: Window, tallies: &mut Tallies) {
    for visit in &facts.visits {
        let Some(departed) = visit.departed.filter(|&departed| holds(passed, departed)) else { continue };
        let slices = match kind {
            KpiSliceKind::Fleet => vec![all()],
            KpiSliceKind::Location => facts.admitted.said.places_at(&visit.fence_id),
            KpiSliceKind::Client | KpiSliceKind::Truck => Vec::new(),
        };
        let dwell_s = arithmetic::rounded(departed.0 - visit.arrived.0, 1000);
        slices.into_iter().for_each(|id| tallies.entry(id).or_default().dwells_s.push(dwell_s));
    }
}

fn count_alerts(facts: &Facts<'_>, kind: KpiSliceKind, passed: Window, tallies: &mut Tallies) {
    for alert in facts.alerts.iter().filter(|alert| holds(passed, alert.due_at)) {
        let slices = match kind {
            KpiSliceKind::Fleet => vec![all()],
            KpiSliceKind::Location => {
                alert.fence_id.iter().flat_map(|fence_id| facts.admitted.said.places_at(fence_id)).collect()
            }
            KpiSliceKind::Truck => vec![alert.vehicle_id.clone()],
            KpiSliceKind::Client => Vec::new(),
        };
        for id in slices {
            *tallies.entry(id).or_default().alerts.entry(alert.kind.clone()).or_default() += 1;
        }
    }
}

/// The id of the fleet's only slice.
fn all() -> Arc<str> {
    KpiSlice::ALL_OF_IT.into()
}

fn holds(window: Window, time: TimeMs) -> bool {
    window.start <= time && time < window.end
}
