//! The days, or the weeks, of one slice.
//!
//! ```text
//!   final           not final yet                       mark
//!   | a day | ... | a day | a day with a late fix | the day of the mark ...
//!                           changed from here on: its figures anew, and those behind it
//! ```
//!
//! What goes on over the end of a window is in the next one too, though nothing happens there: so the rates at the
//! beginning of a window are those inside of all before it, and figures are made anew from the first change on.

use std::collections::BTreeMap;

use model::{KpiSpan, TimeMs, TimeZone, day_of, week_of};

use super::parts::{Piece, Rate};
use super::shown::{Moved, Shown};
use super::tally::{Rates, Tally};

/// A day or a week.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Fixed {
    end: i64,
    inside: Rates,
    tally: Tally,
    shown: Shown,
}

/// How a slice shows its windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub zone: &'a TimeZone,
    /// So long after its end a window is final.
    pub horizon_ms: i64,
    /// Whether counts of trips are shown that are zero.
    pub shows_zeros: bool,
}

/// Days, or weeks.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Calendar {
    span: KpiSpan,
    /// By start.
    windows: BTreeMap<i64, Fixed>,
    /// The rates of all windows before the newest.
    before_newest: Rates,
    /// The first window to which something was added since rows were shown last.
    changed_from: Option<i64>,
    /// The first window that is not final yet.
    not_final_from: Option<i64>,
    /// Whether windows are final by another horizon than when rows were shown last.
    has_other_ends: bool,
    /// The mark up to which rows were shown last.
    shown_until: i64,
    /// Whether figures move with the mark alone.
    goes_on: bool,
}

impl Calendar {
    pub fn new(span: KpiSpan) -> Calendar {
        Calendar {
            span,
            windows: BTreeMap::new(),
            before_newest: Rates::default(),
            changed_from: None,
            not_final_from: None,
            has_other_ends: false,
            shown_until: i64::MIN,
            goes_on: false,
        }
    }

    /// Adds a piece that is before the next mark.
    pub fn add(&mut self, piece: Piece<'_>, zone: &TimeZone) {
        let Some(start) = self.window_at(piece.bucket(), zone) else { return };
        let is_newest = self.windows.last_key_value().is_none_or(|(&newest, _)| newest == start);
        if let Some(window) = self.windows.get_mut(&start) {
            window.inside.add(piece);
            window.tally.add(piece, 1);
            if !is_newest {
                self.before_newest.add(piece);
            }
        }
        self.changed_from = Some(self.changed_from.map_or(start, |from| from.min(start)));
        self.not_final_from = Some(self.not_final_from.map_or(start, |from| from.min(start)));
    }

    /// All windows are judged anew as to whether they are final.
    pub fn judge_ends_anew(&mut self) {
        self.not_final_from = self.windows.first_key_value().map(|(&start, _)| start);
        self.has_other_ends = true;
    }

    /// The start of the window that holds a time; it is made where there is none.
    fn window_at(&mut self, time: i64, zone: &TimeZone) -> Option<i64> {
        if let Some((&start, window)) = self.windows.range(..=time).next_back()
            && time < window.end
        {
            return Some(start);
        }
        let of = if self.span == KpiSpan::Day { day_of } else { week_of };
        let window = of(TimeMs(time), zone)?;
        let (start, end) = (window.start.0, window.end.0);
        if let Some((_, newest)) = self.windows.last_key_value().filter(|(newest, _)| **newest < start) {
            self.before_newest.add_all(&newest.inside, 1);
        }
        self.windows.insert(start, Fixed { end, ..Fixed::default() });
        Some(start)
    }

    /// Whether rows move at each mark, though nothing is added.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// The first time behind which a window becomes final.
    pub fn next_final(&self, horizon_ms: i64) -> Option<i64> {
        let window = self.windows.get(&self.not_final_from?)?;
        Some(window.end.saturating_add(horizon_ms))
    }

    /// Shows what there is before a mark; all that was added is. `spare` is room for figures.
    pub fn show(&mut self, mark: i64, rules: &Rules<'_>, spare: &mut Shown, moved: &mut impl FnMut(Moved)) {
        let is_final_due = self.next_final(rules.horizon_ms).is_some_and(|time| time < mark);
        let judges_ends = is_final_due || std::mem::take(&mut self.has_other_ends);
        if self.changed_from.is_none() && !self.goes_on && !judges_ends {
            return;
        }
        let Some(anew_from) = self.anew_from(mark) else { return };
        self.fill(anew_from, mark, rules.zone);
        let from = self.not_final_from.unwrap_or(anew_from).min(anew_from);
        let mut not_final_from = None;
        for (&start, window) in self.windows.range_mut(from..anew_from) {
            let is_final = window.end.saturating_add(rules.horizon_ms) < mark;
            if is_final != window.shown.is_final {
                window.shown.show_as(is_final, self.span, moved);
            }
            if !is_final && not_final_from.is_none() {
                not_final_from = Some(start);
            }
        }
        let mut rates = self.rates_before(anew_from);
        self.goes_on = false;
        for (&start, window) in self.windows.range_mut(anew_from..) {
            let at_start = rates;
            rates.add_all(&window.inside, 1);
            let ms = Rates::between((start, &at_start), (window.end.min(mark), &rates));
            spare.figures.clear();
            window.tally.figures(&ms, rules.shows_zeros, &mut spare.figures);
            spare.figures.sort_unstable();
            let is_final = window.end.saturating_add(rules.horizon_ms) < mark;
            if !is_final && not_final_from.is_none() {
                not_final_from = Some(start);
            }
            (spare.start, spare.is_final) = (start, is_final);
            window.shown.show(self.span, spare, moved);
            // A share of the operational time falls as that grows.
            self.goes_on = rates.is_any_at_work() || (ms[Rate::OnTrip as usize] > 0 && mark < window.end);
        }
        (self.changed_from, self.not_final_from, self.shown_until) = (None, not_final_from, mark);
    }

    /// The first window whose figures may have to move: where something was added, or, if something goes on, where
    /// the last mark was.
    fn anew_from(&self, mark: i64) -> Option<i64> {
        let (&newest, _) = self.windows.last_key_value()?;
        let at_last_mark = || self.windows.range(..=self.shown_until).next_back().map(|(&start, _)| start);
        let going_on = self.goes_on.then(|| at_last_mark().unwrap_or(newest));
        let anew_from = [self.changed_from, going_on].into_iter().flatten().min();
        // Else some windows become final, and no figures move.
        Some(anew_from.unwrap_or(mark))
    }

    /// The rates at the beginning of a window.
    fn rates_before(&self, start: i64) -> Rates {
        let mut rates = self.before_newest;
        let Some((&newest, window)) = self.windows.last_key_value() else { return rates };
        if newest < start {
            rates.add_all(&window.inside, 1);
            return rates;
        }
        for window in self.windows.range(start..newest).map(|(_, window)| window) {
            rates.add_all(&window.inside, -1);
        }
        rates
    }

    /// Makes the windows over which something goes on, from one up to a mark.
    fn fill(&mut self, from: i64, mark: i64, zone: &TimeZone) {
        let mut rates = self.rates_before(from);
        let mut next = self.windows.range(from..).next().map(|(&start, _)| start);
        while let Some(window) = next.filter(|&start| start < mark).and_then(|start| self.windows.get(&start))
        {
            let end = window.end;
            rates.add_all(&window.inside, 1);
            next = if rates.is_any_at_work() && end < mark {
                self.window_at(end, zone)
            } else {
                self.windows.range(end..).next().map(|(&start, _)| start)
            };
        }
    }
}
