//! The windows of the slices that all workers add to, and the rows that they show.
//!
//! A hop looks only at slices that may move then: those to which something was added, those with figures of a window
//! that moves along, and those of which a day becomes final.

use std::collections::{BTreeMap, BTreeSet};

use model::{GraphSettings, KpiSliceKind, KpiSpan, TimeMs, TimeZone, Why};
use rustc_hash::FxHashMap;

use super::calendar::Rules;
use super::parts::{Part, SliceKey};
use super::present::Present;
use super::shown::{Moved, Shown};
use super::steps::StepSums;
use super::tally::MetricKey;
use super::windows::Windows;
use crate::rows::{Delta, Keyed};
use model::state::{Loader, Saver, State, StateError};

/// A row of KPIs inside the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct KpiFacts {
    /// Over what time.
    pub span: KpiSpan,
    /// Of whom.
    pub slice: SliceKey,
    /// When the window begins, ms; key where it is one of a calendar. `None` for the present state.
    pub start: Option<i64>,
    /// Which figure.
    pub metric: MetricKey,
    /// In the unit of the metric.
    pub value: i64,
    /// The window ended longer ago than fixes may be late.
    pub is_final: bool,
}

impl Keyed for KpiFacts {
    type Key = (KpiSpan, SliceKey, Option<i64>, MetricKey);

    fn key(&self) -> Self::Key {
        (self.span, self.slice, self.start.filter(|_| self.span.is_calendar()), self.metric)
    }
}

impl KpiFacts {
    pub(super) fn moved(slice: SliceKey, moved: Moved, why: Why) -> Delta<KpiFacts> {
        let Moved { span, start, metric, value, is_final, diff } = moved;
        Delta { row: KpiFacts { span, slice, start, metric, value, is_final }, diff, why }
    }
}

/// The tick at which rows may move.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub instant: i64,
    pub last_seq: u64,
    /// See [`TripControl::Tick`](crate::trips::TripControl::Tick).
    pub is_last: bool,
}

impl At {
    /// Whether rows move that did last at a mark. The last tick brings them up to date at it once more.
    pub fn moves(self, last: Option<i64>, mark: i64) -> bool {
        last.is_none_or(|last| last < mark || (self.is_last && last == mark))
    }
}

/// The kinds of slices that all workers add to. They have the same spans and hops.
const KINDS: [KpiSliceKind; 3] = [KpiSliceKind::Fleet, KpiSliceKind::Client, KpiSliceKind::Location];

/// A slice's place on the board.
type Place = u32;

/// A slice, and at the next mark of which spans it is looked at.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Slice {
    key: SliceKey,
    windows: Windows,
    is_due: [bool; KpiSpan::ALL.len()],
}

/// What one span has.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct OfSpan {
    /// The last mark that was shown.
    mark: Option<i64>,
    /// The slices that are looked at at the next one, each once.
    due: Vec<Place>,
    /// Slices by the time behind which one of their windows becomes final; some have others by then.
    finals: BTreeMap<i64, BTreeSet<Place>>,
}

/// See the module.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Board {
    #[serde(skip)]
    slices: Vec<Slice>,
    places: FxHashMap<SliceKey, Place>,
    spans: [OfSpan; KpiSpan::ALL.len()],
    #[serde(with = "model::zone_by_name")]
    zone: TimeZone,
    horizon_ms: i64,
    present: Vec<(MetricKey, i64)>,
    /// Room for figures.
    #[serde(skip)]
    spare: Shown,
}

impl Slice {
    fn note(&mut self, place: Place, span: KpiSpan, of_span: &mut OfSpan) {
        if !std::mem::replace(&mut self.is_due[span as usize], true) {
            of_span.due.push(place);
        }
    }
}

impl State for Board {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        to.put(self)?;
        to.put_all(&self.slices)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        *self = from.take()?;
        self.slices = from.take_all()?;
        Ok(())
    }
}

impl Board {
    pub fn new(settings: &GraphSettings) -> Board {
        Board {
            slices: Vec::new(),
            places: FxHashMap::default(),
            spans: Default::default(),
            zone: settings.zone.clone(),
            horizon_ms: settings.horizon_ms,
            present: Vec::new(),
            spare: Shown::default(),
        }
    }

    /// Days and weeks are those of the zone that holds when the first record comes that is counted. `is_first`: none
    /// has.
    pub fn change_settings(&mut self, settings: &GraphSettings, is_first: bool, why: Why) {
        if is_first {
            self.zone = settings.zone.clone();
        }
        if self.horizon_ms != settings.horizon_ms {
            self.horizon_ms = settings.horizon_ms;
            for (place, slice) in (0..).zip(&mut self.slices) {
                slice.windows.judge_ends_anew(why);
                for span in [KpiSpan::Day, KpiSpan::Week] {
                    slice.note(place, span, &mut self.spans[span as usize]);
                }
            }
        }
    }

    /// The windows of a slice to which something is about to be added.
    fn about_to_add(&mut self, key: SliceKey) -> (&mut Windows, &TimeZone) {
        debug_assert!(KINDS.contains(&key.kind()));
        let Board { slices, places, .. } = self;
        let place = *places.entry(key).or_insert_with(|| {
            slices.push(Slice { key, windows: Windows::new(key.kind()), is_due: Default::default() });
            slices.len() as Place - 1
        });
        let slice = &mut slices[place as usize];
        for (span, of_span) in KpiSpan::ALL.into_iter().zip(&mut self.spans) {
            slice.note(place, span, of_span);
        }
        (&mut slice.windows, &self.zone)
    }

    /// Takes in a part.
    pub fn add_part(&mut self, part: &Part) {
        let (windows, zone) = self.about_to_add(part.slice);
        windows.add_part(part, zone);
    }

    /// Takes in what steps of the fleet add up to in a bucket.
    pub fn add_steps(&mut self, bucket: i64, steps: &StepSums, why: Why) {
        let (windows, zone) = self.about_to_add(SliceKey::Fleet);
        windows.add_steps(bucket, steps, why, zone);
    }

    /// What the fleet does at the mark.
    pub fn set_present(&mut self, present: &Present) {
        let figures = present.figures();
        if figures != self.present {
            self.present = figures;
            self.about_to_add(SliceKey::Fleet);
        }
    }

    /// Brings up to date what a tick's instant lets move.
    pub fn show(&mut self, at: At, mut emit: impl FnMut(Delta<KpiFacts>)) {
        let At { instant, last_seq, .. } = at;
        for span in KpiSpan::ALL {
            let mark = span.mark(KpiSliceKind::Fleet, TimeMs(instant)).0;
            let of_span = &mut self.spans[span as usize];
            if !at.moves(of_span.mark, mark) {
                continue;
            }
            of_span.mark = Some(mark);
            while let Some(first) = of_span.finals.first_entry().filter(|first| *first.key() < mark) {
                for place in first.remove() {
                    let is_due = &mut self.slices[place as usize].is_due[span as usize];
                    if !std::mem::replace(is_due, true) {
                        of_span.due.push(place);
                    }
                }
            }
            for place in std::mem::take(&mut of_span.due) {
                let slice = &mut self.slices[place as usize];
                let key = slice.key;
                let shows_zeros = key == SliceKey::Fleet;
                let rules = Rules { zone: &self.zone, horizon_ms: self.horizon_ms, shows_zeros };
                let is_of_present = shows_zeros && span == KpiSpan::Now;
                let now: &[(MetricKey, i64)] = if is_of_present { &self.present } else { &[] };
                let windows = &mut slice.windows;
                let why = windows.take_why(span).unwrap_or(Why::first(last_seq));
                let is_due = windows.show(span, mark, &rules, now, &mut self.spare, &mut |moved| {
                    emit(KpiFacts::moved(key, moved, why));
                });
                slice.is_due[span as usize] = is_due;
                if is_due {
                    of_span.due.push(place);
                } else if let Some(time) = windows.next_final(span, self.horizon_ms) {
                    of_span.finals.entry(time).or_default().insert(place);
                }
            }
        }
    }

    /// How many buckets are kept.
    #[cfg(test)]
    pub fn buckets(&self) -> usize {
        self.slices.iter().map(|slice| slice.windows.buckets()).sum()
    }
}
