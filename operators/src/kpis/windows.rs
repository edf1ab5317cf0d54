//! The windows of one slice, and which of their rows move when.
//!
//! ```text
//!   rolling    gone |---------- start ======================= mark |  ahead
//!                     taken out at the mark     counted
//!   calendar   | a day | a day | the day of the mark               |
//! ```
//!
//! What comes between two marks and happened before the last one is taken in at once; what happened later waits in
//! its bucket. At a mark a window takes in what has waited, drops what it has left behind, and shows what there is.

use std::collections::BTreeMap;

use model::{KpiSliceKind, KpiSpan, TimeZone, Why};

use super::calendar::{Calendar, Rules};
use super::parts::{Part, Piece, Rate};
use super::shown::{Moved, Shown};
use super::steps::StepSums;
use super::tally::{MetricKey, Rates, Tally};

/// A window that moves with the mark.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Rolling {
    span: KpiSpan,
    length_ms: i64,
    start: i64,
    /// The mark at which rows were shown last.
    until: i64,
    at_start: Rates,
    at_until: Rates,
    tally: Tally,
    shown: Shown,
    /// No bucket that is in the window begins earlier.
    first_inside: i64,
    /// Whether there may be other figures than those that are shown.
    is_changed: bool,
}

/// What is counted in 10 seconds.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Bucket {
    steps: StepSums,
    parts: Vec<Part>,
}

/// By the beginning of the bucket.
type Buckets = BTreeMap<i64, Bucket>;

/// See the module.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Windows {
    /// What is in a rolling window, or ahead of any.
    buckets: Buckets,
    /// When the newest of them began that there ever was.
    newest: i64,
    rolling: Vec<Rolling>,
    calendars: [Calendar; 2],
    /// Up to when the calendars have taken in what there is.
    calendars_until: [i64; 2],
    /// By span, why its rows may move.
    why: [Option<Why>; KpiSpan::ALL.len()],
}

impl Bucket {
    fn pieces(&self, start: i64) -> impl Iterator<Item = Piece<'_>> {
        let steps = (self.steps != StepSums::default()).then_some(Piece::Steps(start, &self.steps));
        steps.into_iter().chain(self.parts.iter().map(Piece::Part))
    }
}

/// What is in buckets from one time to another.
fn pieces(buckets: &Buckets, from: i64, until: i64) -> impl Iterator<Item = Piece<'_>> {
    let range = buckets.range(from..until.max(from));
    range.flat_map(|(&start, bucket)| bucket.pieces(start))
}

impl Rolling {
    fn add(&mut self, piece: Piece<'_>) {
        if piece.bucket() >= self.until {
            return;
        }
        self.is_changed = true;
        self.at_until.add(piece);
        if piece.bucket() < self.start {
            self.at_start.add(piece);
        } else {
            self.first_inside = self.first_inside.min(piece.bucket());
            self.tally.add(piece, 1);
        }
    }

    /// Takes in what is there up to a mark, and drops what is behind the window then. No bucket begins after `newest`.
    fn advance(&mut self, mark: i64, buckets: &Buckets, newest: i64) {
        if self.until <= newest {
            for piece in pieces(buckets, self.until, mark) {
                self.is_changed = true;
                self.first_inside = self.first_inside.min(piece.bucket());
                self.at_until.add(piece);
                self.tally.add(piece, 1);
            }
        }
        self.until = mark.max(self.until);
        let start = mark - self.length_ms;
        if self.first_inside < start {
            for piece in pieces(buckets, self.start, start) {
                self.is_changed = true;
                self.at_start.add(piece);
                self.tally.add(piece, -1);
            }
            self.first_inside = buckets.range(start..).next().map_or(i64::MAX, |(&first, _)| first);
        }
        self.start = start.max(self.start);
    }

    /// Brings the rows up to date at a mark; whether they will move at the next one though nothing is added. Where
    /// nothing is shown, nothing will be of what is left.
    fn show(
        &mut self,
        mark: i64,
        (buckets, newest): (&Buckets, i64),
        now: &[(MetricKey, i64)],
        spare: &mut Shown,
        moved: &mut impl FnMut(Moved),
    ) -> bool {
        self.advance(mark, buckets, newest);
        let goes_on = self.at_until.is_any_going_on() || self.at_start.is_any_going_on();
        let figures = &mut spare.figures;
        figures.clear();
        figures.extend_from_slice(now);
        if self.span == KpiSpan::Now {
            let present = self.at_until.count(Rate::Present);
            figures.extend((present > 0).then_some((MetricKey::TrucksAt, present)));
        } else if std::mem::take(&mut self.is_changed) || goes_on {
            let ms = Rates::between((self.start, &self.at_start), (mark, &self.at_until));
            self.tally.figures(&ms, false, figures);
        } else {
            figures.extend_from_slice(&self.shown.figures);
        }
        figures.sort_unstable();
        (spare.start, spare.is_final) = (self.start, false);
        self.shown.show(self.span, spare, moved);
        let moves_along = self.span != KpiSpan::Now && !self.shown.figures.is_empty();
        moves_along || newest >= self.until
    }
}

impl Windows {
    /// The windows of a slice of that kind. All that is added waits for the first mark.
    pub fn new(slices: KpiSliceKind) -> Windows {
        let rolling = KpiSpan::ALL.into_iter().filter(|span| span.has(slices)).filter_map(|span| {
            let length_ms = if span == KpiSpan::Now { Some(0) } else { span.rolling_ms() };
            Some(Rolling {
                span,
                length_ms: length_ms?,
                start: i64::MIN,
                until: i64::MIN,
                at_start: Rates::default(),
                at_until: Rates::default(),
                tally: Tally::default(),
                shown: Shown::default(),
                first_inside: i64::MAX,
                is_changed: true,
            })
        });
        Windows {
            buckets: BTreeMap::new(),
            newest: i64::MIN,
            rolling: rolling.collect(),
            calendars: [Calendar::new(KpiSpan::Day), Calendar::new(KpiSpan::Week)],
            calendars_until: [i64::MIN; 2],
            why: [None; KpiSpan::ALL.len()],
        }
    }

    /// Takes in a part.
    pub fn add_part(&mut self, part: &Part, zone: &TimeZone) {
        self.add(Piece::Part(part), part.why, zone);
        if self.is_needed(part.bucket) {
            self.newest = self.newest.max(part.bucket);
            self.buckets.entry(part.bucket).or_default().parts.push(*part);
        }
    }

    /// Takes in what steps add up to in a bucket.
    pub fn add_steps(&mut self, bucket: i64, steps: &StepSums, why: Why, zone: &TimeZone) {
        self.add(Piece::Steps(bucket, steps), why, zone);
        if self.is_needed(bucket) {
            self.newest = self.newest.max(bucket);
            self.buckets.entry(bucket).or_default().steps.add(steps);
        }
    }

    fn add(&mut self, piece: Piece<'_>, why: Why, zone: &TimeZone) {
        for known in &mut self.why {
            *known = Some(known.map_or(why, |known| known.stronger(why)));
        }
        self.rolling.iter_mut().for_each(|rolling| rolling.add(piece));
        for (calendar, until) in self.calendars.iter_mut().zip(self.calendars_until) {
            if piece.bucket() < until {
                calendar.add(piece, zone);
            }
        }
    }

    /// All days and weeks are judged anew as to whether they are final.
    pub fn judge_ends_anew(&mut self, why: Why) {
        self.calendars.iter_mut().for_each(Calendar::judge_ends_anew);
        for span in [KpiSpan::Day, KpiSpan::Week] {
            let known = &mut self.why[span as usize];
            *known = Some(known.map_or(why, |known| known.stronger(why)));
        }
    }

    /// Why rows of a span move: what came since they did last. `None`: only time has passed.
    pub fn take_why(&mut self, span: KpiSpan) -> Option<Why> {
        self.why[span as usize].take()
    }

    /// Brings the rows of a span up to date at a mark. `now` are figures of the present besides those that follow
    /// from parts with a time; `spare` is room for figures. Tells whether the next mark has to be looked at, though
    /// nothing is added until then.
    pub fn show(
        &mut self,
        span: KpiSpan,
        mark: i64,
        rules: &Rules<'_>,
        now: &[(MetricKey, i64)],
        spare: &mut Shown,
        moved: &mut impl FnMut(Moved),
    ) -> bool {
        let Windows { buckets, newest, rolling, calendars, calendars_until, .. } = self;
        let newest = *newest;
        match span {
            KpiSpan::Day | KpiSpan::Week => {
                let place = usize::from(span == KpiSpan::Week);
                let (calendar, until) = (&mut calendars[place], &mut calendars_until[place]);
                if *until <= newest {
                    pieces(buckets, *until, mark).for_each(|piece| calendar.add(piece, rules.zone));
                }
                *until = mark.max(*until);
                calendar.show(mark, rules, spare, moved);
                calendar.goes_on() || newest >= *until
            }
            _ => {
                let Some(place) = rolling.iter().position(|rolling| rolling.span == span) else {
                    return false;
                };
                let (shorter, rolling) = rolling.split_at_mut(place);
                let moves = rolling[0].show(mark, (buckets, newest), now, spare, moved);
                // Those that nobody looked at, as they show nothing, need what they have left behind no longer. Their
                // hops are shorter: no mark of theirs is skipped.
                shorter.iter_mut().for_each(|shorter| shorter.advance(mark, buckets, newest));
                // The longest is looked at until there is nothing to forget.
                let is_longest = rolling.len() == 1;
                if is_longest {
                    self.forget();
                }
                moves || (is_longest && !self.buckets.is_empty())
            }
        }
    }

    /// The first time behind which a window of a span becomes final.
    pub fn next_final(&self, span: KpiSpan, horizon_ms: i64) -> Option<i64> {
        let calendar = match span {
            KpiSpan::Day => &self.calendars[0],
            KpiSpan::Week => &self.calendars[1],
            _ => return None,
        };
        calendar.next_final(horizon_ms)
    }

    /// How many buckets are kept.
    #[cfg(test)]
    pub fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Whether a window will take in or drop what happens then.
    fn is_needed(&self, bucket: i64) -> bool {
        self.rolling.iter().any(|rolling| bucket >= rolling.start)
            || self.calendars_until.iter().any(|&until| bucket >= until)
    }

    /// Forgets buckets that no window needs again.
    fn forget(&mut self) {
        while let Some(first) = self.buckets.first_key_value().map(|(&first, _)| first)
            && !self.is_needed(first)
        {
            self.buckets.remove(&first);
        }
    }
}
