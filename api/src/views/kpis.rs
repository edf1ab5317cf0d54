//! KPIs: the figures of now, what they were before, and what was corrected of them.
//!
//! Days and weeks are kept as long as their rows are. Of rolling windows and of the present state only the row that
//! stands is kept anywhere else; here their last values are held, for the curves that people look at: at most
//! [`MAX_PAST`] a figure, one for each [`sample_ms`]. They begin anew with a start of the service, when the journal is
//! replayed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use model::state::{Loader, Saver, State, StateError};
use model::{
    Cause, Change, KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan, Row, TimeMs, TimeZone, Window, day_of,
    week_of,
};

use super::pages::{MAX_STEPS, Page};

/// Past values that are held of a rolling figure.
const MAX_PAST: usize = 192;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// How far apart the values are that are held: of seven days 8 days of them, so that there is one of a week ago.
fn sample_ms(span: KpiSpan) -> i64 {
    match span {
        KpiSpan::Now | KpiSpan::Last15Minutes => MINUTE_MS,
        KpiSpan::LastHour => 5 * MINUTE_MS,
        KpiSpan::Last24Hours => 15 * MINUTE_MS,
        KpiSpan::Last7Days | KpiSpan::Day | KpiSpan::Week => HOUR_MS,
    }
}

/// Which figure; without a time, all that there are of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct KpiKey {
    pub span: KpiSpan,
    pub slice: KpiSlice,
    pub metric: KpiMetric,
}

/// A past figure that became another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Correction {
    /// What was shown first of the window, once it was over.
    pub was: i64,
    /// The instant of the last correction.
    pub at: TimeMs,
    pub cause: Cause,
}

/// A value of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KpiPoint {
    /// When the window begins.
    pub start: Option<TimeMs>,
    /// The instant of the tick that brought the value.
    pub shown_at: TimeMs,
    pub value: i64,
    pub is_final: bool,
    pub correction: Option<Correction>,
}

impl KpiPoint {
    /// The row that it is of.
    pub fn row(&self, key: &KpiKey) -> KpiRow {
        let KpiKey { span, slice, metric } = key.clone();
        KpiRow { span, start: self.start, slice, metric, value: self.value, is_final: self.is_final }
    }
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WeekBefore {
    pub value: i64,
    pub change: i64,
    /// The change in hundredths of a percent of the value a week before, where that is not 0.
    pub change_bp: Option<i64>,
}

impl WeekBefore {
    fn of(value: i64, before: i64) -> WeekBefore {
        let change = value.saturating_sub(before);
        let change_bp = (before != 0).then(|| {
            let bp = i128::from(change) * 10_000;
            i64::try_from(bp / i128::from(before).abs()).unwrap_or(if change < 0 {
                i64::MIN
            } else {
                i64::MAX
            })
        });
        WeekBefore { value: before, change, change_bp }
    }
}

/// A figure as a reader gets it.
#[derive(Clone, Debug)]
pub(crate) struct KpiView {
    pub key: KpiKey,
    pub point: KpiPoint,
    pub week_before: Option<WeekBefore>,
}

/// Which figures are wanted; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct KpiFilter {
    pub span: Option<KpiSpan>,
    pub slice: Option<KpiSliceKind>,
    pub slice_id: Option<Arc<str>>,
    pub metric: Option<KpiMetric>,
}

impl KpiFilter {
    fn meets(&self, key: &KpiKey) -> bool {
        self.span.is_none_or(|wanted| wanted == key.span)
            && self.slice.is_none_or(|wanted| wanted == key.slice.kind)
            && self.slice_id.as_ref().is_none_or(|wanted| *wanted == key.slice.id)
            && self.metric.as_ref().is_none_or(|wanted| *wanted == key.metric)
    }

    /// The first key that can meet the filter: keys are in order of span, slice, metric, and those of names.
    fn first(&self) -> Option<KpiKey> {
        let [first_kind, ..] = KpiSliceKind::ALL;
        let kind = self.slice.unwrap_or(first_kind);
        let id = self.slice_id.as_ref().filter(|_| self.slice.is_some());
        let slice = KpiSlice { kind, id: id.cloned().unwrap_or_else(|| Arc::from("")) };
        Some(KpiKey { span: self.span?, slice, metric: KpiMetric::Alerts("".into()) })
    }

    /// Whether nothing behind this key can meet the filter.
    fn is_past(&self, key: &KpiKey) -> bool {
        let Some(span) = self.span else { return false };
        let is_past_slice = key.span == span
            && self.slice.is_some_and(|kind| {
                let is_past_id = |id: &Arc<str>| key.slice.kind == kind && key.slice.id > *id;
                key.slice.kind > kind || self.slice_id.as_ref().is_some_and(is_past_id)
            });
        key.span > span || is_past_slice
    }
}

/// The values of one figure.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
enum Series {
    /// By `start`.
    Calendar(Vec<KpiPoint>),
    Rolling {
        now: Option<KpiPoint>,
        past: VecDeque<KpiPoint>,
    },
}

/// All figures.
pub(crate) struct Kpis {
    zone: TimeZone,
    series: BTreeMap<KpiKey, Series>,
    /// Rows that stand.
    len: usize,
}

impl State for Kpis {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        let Kpis { zone, series, len } = self;
        to.put(&(zone.iana_name(), len))?;
        to.put_map(series)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        let (zone, len): (Option<String>, usize) = from.take()?;
        if zone.as_deref() != self.zone.iana_name() {
            return Err(StateError::Unfit("days were those of another zone".to_owned()));
        }
        self.len = len;
        self.series = from.take_map()?;
        Ok(())
    }
}

impl Kpis {
    /// Whose days and weeks there are.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Days and weeks are those of the zone.
    pub fn new(zone: TimeZone) -> Kpis {
        Kpis { zone, series: BTreeMap::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes the changes of a tick in. `before` is the instant of the last one.
    pub fn apply(&mut self, changes: &[Change], before: TimeMs, instant: TimeMs) {
        let mut of_kpis = changes.iter().filter_map(|change| match &change.row {
            Row::Kpi(row) => Some((row, change)),
            _ => None,
        });
        // In a tick, a key's -1 comes directly before its +1.
        let mut went: Option<(&KpiRow, KpiPoint)> = None;
        for (row, change) in &mut of_kpis {
            if change.diff < 0 {
                self.drop_if_empty(went.take());
                went = self.remove(row).map(|point| (row, point));
                continue;
            }
            let replaced = went.take_if(|(old, _)| is_same(old, row)).map(|(_, point)| point);
            self.drop_if_empty(went.take());
            let correction =
                replaced.and_then(|old| self.corrected(row, old, before, (instant, change.why.cause)));
            let point = KpiPoint {
                start: row.start,
                shown_at: instant,
                value: row.value,
                is_final: row.is_final,
                correction,
            };
            self.insert(row, point);
        }
        self.drop_if_empty(went);
    }

    /// What was corrected of a window that was over, and shown so, before this tick.
    fn corrected(
        &self,
        row: &KpiRow,
        old: KpiPoint,
        before: TimeMs,
        (at, cause): (TimeMs, Cause),
    ) -> Option<Correction> {
        let window = self.window(row.span, row.start?)?;
        if old.value == row.value {
            return old.correction;
        }
        let was_over = old.is_final || row.span.mark(row.slice.kind, before) >= window.end;
        let was = old.correction.map_or(old.value, |correction| correction.was);
        (was_over && was != row.value).then_some(Correction { was, at, cause })
    }

    /// The day or week that holds a time.
    fn window(&self, span: KpiSpan, time: TimeMs) -> Option<Window> {
        match span {
            KpiSpan::Day => day_of(time, &self.zone),
            KpiSpan::Week => week_of(time, &self.zone),
            _ => None,
        }
    }

    fn insert(&mut self, row: &KpiRow, point: KpiPoint) {
        self.len += 1;
        let empty = || match row.span.is_calendar() {
            true => Series::Calendar(Vec::new()),
            false => Series::Rolling { now: None, past: VecDeque::new() },
        };
        match self.series.entry(key_of(row)).or_insert_with(empty) {
            Series::Calendar(points) => match points.binary_search_by_key(&point.start, |p| p.start) {
                Ok(at) => points[at] = point,
                Err(at) => points.insert(at, point),
            },
            Series::Rolling { now, past } => {
                *now = Some(point);
                // The last value of each sample is its value.
                let sample = |p: &KpiPoint| p.shown_at.0.div_euclid(sample_ms(row.span));
                if past.back().is_some_and(|last| sample(last) == sample(&point)) {
                    past.pop_back();
                }
                if past.len() == MAX_PAST {
                    past.pop_front();
                }
                past.push_back(point);
            }
        }
    }

    fn remove(&mut self, row: &KpiRow) -> Option<KpiPoint> {
        let removed = match self.series.get_mut(&key_of(row))? {
            Series::Calendar(points) => {
                let at = points.binary_search_by_key(&row.start, |point| point.start).ok()?;
                points.remove(at)
            }
            Series::Rolling { now, .. } => now.take()?,
        };
        self.len -= 1;
        Some(removed)
    }

    /// A figure that nothing came in the place of. The past of a rolling one goes with it: nothing would bound what
    /// is held of places and clients that are no more.
    fn drop_if_empty(&mut self, went: Option<(&KpiRow, KpiPoint)>) {
        let Some((row, _)) = went else { return };
        let key = key_of(row);
        let is_empty = match self.series.get(&key) {
            Some(Series::Calendar(points)) => points.is_empty(),
            Some(Series::Rolling { now, .. }) => now.is_none(),
            None => false,
        };
        if is_empty {
            self.series.remove(&key);
        }
    }

    /// Up to `limit` figures of now that meet the filter, after a key: of days and weeks those of today.
    pub fn page(
        &self,
        filter: &KpiFilter,
        as_of: TimeMs,
        after: Option<&KpiKey>,
        limit: usize,
    ) -> Page<KpiView, KpiKey> {
        let mut rows = Vec::new();
        let mut last_seen = None;
        for (step, (key, series)) in self.after(filter, after).enumerate() {
            let view = self.current(key, series, as_of).filter(|_| filter.meets(key));
            if step == MAX_STEPS || (view.is_some() && rows.len() == limit) {
                return Page { rows, next: last_seen };
            }
            rows.extend(view);
            last_seen = Some(key.clone());
        }
        Page { rows, next: None }
    }

    fn after(&self, filter: &KpiFilter, after: Option<&KpiKey>) -> impl Iterator<Item = (&KpiKey, &Series)> {
        let first = filter.first();
        let from = match (after, &first) {
            (Some(after), Some(first)) if after < first => Bound::Included(first),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        // The bounds are borrowed from what ends with this call.
        let from = from.cloned();
        let wanted = filter.clone();
        self.series.range((from, Bound::Unbounded)).take_while(move |(key, _)| !wanted.is_past(key))
    }

    fn current(&self, key: &KpiKey, series: &Series, as_of: TimeMs) -> Option<KpiView> {
        let point = match series {
            Series::Calendar(points) => {
                let window = self.window(key.span, as_of)?;
                *points.last().filter(|last| last.start >= Some(window.start))?
            }
            Series::Rolling { now, .. } => (*now)?,
        };
        Some(KpiView { key: key.clone(), point, week_before: self.week_before(key.span, series, &point) })
    }

    /// One figure of now.
    pub fn get(&self, key: &KpiKey, as_of: TimeMs) -> Option<KpiView> {
        self.current(key, self.series.get(key)?, as_of)
    }

    /// The value of the same day a week before, of the week before, or of the seven days before.
    fn week_before(&self, span: KpiSpan, series: &Series, point: &KpiPoint) -> Option<WeekBefore> {
        let before = match series {
            Series::Calendar(points) => {
                let start = self.start_before(span, point.start?)?;
                points[points.binary_search_by_key(&Some(start), |point| point.start).ok()?]
            }
            Series::Rolling { past, .. } if span == KpiSpan::Last7Days => {
                let wanted = point.shown_at.plus_ms(-WEEK_MS);
                let behind = past.partition_point(|held| held.shown_at <= wanted);
                let before = past.get(behind.checked_sub(1)?)?;
                *Some(before).filter(|before| wanted.0 - before.shown_at.0 < 2 * HOUR_MS)?
            }
            Series::Rolling { .. } => return None,
        };
        Some(WeekBefore::of(point.value, before.value))
    }

    /// When the day began that is a week before the one that begins then, or the week before.
    fn start_before(&self, span: KpiSpan, start: TimeMs) -> Option<TimeMs> {
        let window = self.window(span, start)?;
        // By its middle, which is right where days have other than 24 hours.
        let middle = window.start.plus_ms((window.end.0 - window.start.0) / 2);
        Some(self.window(span, middle.plus_ms(-WEEK_MS))?.start)
    }

    /// Up to `limit` values of the figures that meet the filter, within `[from, to)`, after one of them; in order
    /// of figure and time.
    pub fn history(
        &self,
        filter: &KpiFilter,
        (from, to): (Option<TimeMs>, Option<TimeMs>),
        after: Option<&(KpiKey, TimeMs)>,
        limit: usize,
    ) -> Page<KpiView, (KpiKey, TimeMs)> {
        let mut rows = Vec::new();
        let (mut last_seen, mut steps) = (None, 0);
        let first = after.map(|(key, time)| (key, *time));
        let of_first = first.and_then(|(key, _)| Some((key, self.series.get(key)?)));
        for (key, series) in of_first.into_iter().chain(self.after(filter, first.map(|(key, _)| key))) {
            steps += 1;
            if steps > MAX_STEPS {
                return Page { rows, next: last_seen };
            }
            last_seen = Some((key.clone(), TimeMs(i64::MAX)));
            if !filter.meets(key) {
                continue;
            }
            let last_read = first.filter(|(first, _)| *first == key).map(|(_, time)| time);
            let after_last = last_read.map(|last| last.plus_ms(1));
            for point in series.points_from(after_last.max(from)) {
                if to.is_some_and(|to| point.time() >= to) {
                    break;
                }
                if rows.len() == limit {
                    let next = rows.last().map(|view: &KpiView| (view.key.clone(), view.point.time()));
                    return Page { rows, next };
                }
                let week_before = self.week_before(key.span, series, &point);
                rows.push(KpiView { key: key.clone(), point, week_before });
            }
        }
        Page { rows, next: None }
    }

    /// All figures of a slice by day or week, oldest first: up to `limit` windows that begin within `[from, to)`.
    pub fn table(
        &self,
        span: KpiSpan,
        slice: &KpiSlice,
        wanted: impl Fn(&KpiMetric) -> bool,
        (from, to): (TimeMs, TimeMs),
        limit: usize,
    ) -> Page<(TimeMs, Vec<KpiView>), TimeMs> {
        let filter = KpiFilter {
            span: Some(span),
            slice: Some(slice.kind),
            slice_id: Some(slice.id.clone()),
            metric: None,
        };
        let mut by_start: BTreeMap<TimeMs, Vec<KpiView>> = BTreeMap::new();
        for (key, series) in
            self.after(&filter, None).filter(|(key, _)| filter.meets(key) && wanted(&key.metric))
        {
            let Series::Calendar(points) = series else { continue };
            let first = points.partition_point(|point| point.time() < from);
            let later = points.get(first..).unwrap_or_default().iter();
            // One more than is shown tells whether there are more.
            for point in later.take_while(|point| point.time() < to).take(limit + 1) {
                let week_before = self.week_before(span, series, point);
                let view = KpiView { key: key.clone(), point: *point, week_before };
                by_start.entry(point.time()).or_default().push(view);
            }
        }
        let has_more = by_start.len() > limit;
        let rows: Vec<(TimeMs, Vec<KpiView>)> = by_start.into_iter().take(limit).collect();
        let next = rows.last().map(|(start, _)| *start).filter(|_| has_more);
        Page { rows, next }
    }
}

impl KpiPoint {
    /// What values of one figure are in order of.
    pub fn time(&self) -> TimeMs {
        self.start.unwrap_or(self.shown_at)
    }
}

impl Series {
    /// The values from a time on, oldest first.
    fn points_from(&self, from: Option<TimeMs>) -> impl Iterator<Item = KpiPoint> {
        let is_before = |point: &KpiPoint| from.is_some_and(|from| point.time() < from);
        let (calendar, past) = match self {
            Series::Calendar(points) => (Some(&points[points.partition_point(is_before)..]), None),
            Series::Rolling { past, .. } => (None, Some(past.range(past.partition_point(is_before)..))),
        };
        calendar.into_iter().flatten().chain(past.into_iter().flatten()).copied()
    }
}

fn key_of(row: &KpiRow) -> KpiKey {
    KpiKey { span: row.span, slice: row.slice.clone(), metric: row.metric.clone() }
}

/// Whether two rows have one key.
fn is_same(a: &KpiRow, b: &KpiRow) -> bool {
    let is_same_window = a.start == b.start || !a.span.is_calendar();
    is_same_window && a.span == b.span && a.slice == b.slice && a.metric == b.metric
}

#[cfg(test)]
mod tests;
