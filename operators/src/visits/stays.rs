//! The presences of one vehicle in one fence, and the stays that they make.

use crate::fences::{ALWAYS, NEVER};
use crate::rows::Visit;

/// A presence, and what is known of the stay that starts with it, if one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Piece {
    entered: i64,
    /// [`NEVER`] while it is open.
    exited: i64,
    starts_stay: bool,
    /// `confirmed_at` of the visit that starts here and is out, if one is.
    told: Option<i64>,
    /// The instant that a timer of the stay that starts here waits for, if one does.
    waits_for: Option<i64>,
}

/// What judges a stay: (`min_dwell_ms`, `max_absence_ms`) by its start.
pub(crate) trait Rules {
    fn for_start(&self, start: i64) -> (i64, i64);
}

/// All presences of one key.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stays {
    pieces: Vec<Piece>,
    settled: Settled,
}

/// Of the stay that covers the edge of the last correction: the presences up to one are joined for good, since
/// a stay that was split there would leave a row that ended before the edge.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Settled {
    arrived: i64,
    last_entered: i64,
}

impl Default for Stays {
    fn default() -> Self {
        Stays { pieces: Vec::new(), settled: Settled { arrived: ALWAYS, last_entered: ALWAYS } }
    }
}

impl Settled {
    fn joins(&self, start: &Piece, piece: &Piece) -> bool {
        self.arrived == start.entered && piece.entered <= self.last_entered
    }
}

/// What came or went by a change of presences.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judged {
    Visit(Visit),
    /// `departed` is [`NEVER`] while it is open.
    Stay {
        arrived: i64,
        departed: i64,
    },
}

/// A change of a presence: `exited` is [`NEVER`] while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PieceChange {
    pub(crate) entered: i64,
    pub(crate) diff: i8,
    pub(crate) exited: i64,
}

impl Stays {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Forgets the stays that ended before a time: whether they are visits is settled for good, and nothing
    /// joins them any more.
    pub(crate) fn forget_before(&mut self, time: i64) {
        let mut end = 0;
        while end < self.pieces.len() {
            let next = self.stay_end(end);
            if self.pieces[next - 1].exited >= time {
                break;
            }
            end = next;
        }
        if end > 0 {
            self.pieces.drain(..end);
            self.pieces.shrink_to(self.pieces.len() * 2);
        }
    }

    /// A correction with this edge comes: what ended before it is final, what covers it is settled so far.
    pub(crate) fn settle(&mut self, edge: i64) {
        self.forget_before(edge);
        if let Some(first) = self.pieces.first().filter(|first| first.entered < edge) {
            let stay = &self.pieces[..self.stay_end(0)];
            let last = stay.iter().rev().find(|piece| piece.entered < edge).unwrap_or(first);
            self.settled = Settled { arrived: first.entered, last_entered: last.entered };
        }
    }

    /// Applies a tick's changes, sorted by `entered` and -1 before +1, and tells the stays and visits that went
    /// and came; `wait` is told the start of an open stay, and when it will be long enough.
    pub(crate) fn apply(
        &mut self,
        changes: &[PieceChange],
        instant: i64,
        rules: &impl Rules,
        emit: impl FnMut(Judged, i8),
        wait: impl FnMut(i64, i64),
    ) {
        let Some(first_change) = changes.first() else { return };
        // Pieces before the first change keep their boundaries; the stay that it may join starts here.
        let changed_from = self.pieces.partition_point(|p| p.entered < first_change.entered);
        let from = self.pieces[..changed_from].iter().rposition(|p| p.starts_stay).unwrap_or(0);
        let last_change = changes[changes.len() - 1].entered;
        let changed_until = self.pieces.partition_point(|p| p.entered <= last_change);
        let mut old: Vec<Piece> = self.pieces[from..changed_until].to_vec();
        for change in changes {
            let at = self.pieces.partition_point(|p| p.entered < change.entered);
            if change.diff < 0 {
                debug_assert!(self.pieces.get(at).is_some_and(|p| p.entered == change.entered));
                if at < self.pieces.len() {
                    self.pieces.remove(at);
                }
            } else {
                let piece = Piece {
                    entered: change.entered,
                    exited: change.exited,
                    starts_stay: false,
                    told: None,
                    waits_for: None,
                };
                if self.pieces.len() == self.pieces.capacity() {
                    // Most keys have one presence; doubling begins with room for four.
                    self.pieces.reserve_exact(1 + self.pieces.len() / 2);
                }
                self.pieces.insert(at, piece);
            }
        }
        self.rejudge(from, &mut old, last_change, instant, rules, emit, wait);
    }

    /// Judges all stays anew, after rules changed.
    pub(crate) fn reconsider(
        &mut self,
        instant: i64,
        rules: &impl Rules,
        emit: impl FnMut(Judged, i8),
        wait: impl FnMut(i64, i64),
    ) {
        let mut old = self.pieces.clone();
        self.rejudge(0, &mut old, NEVER, instant, rules, emit, wait);
    }

    /// A timer of the stay that started at `arrived` fired.
    pub(crate) fn ripen(
        &mut self,
        arrived: i64,
        instant: i64,
        rules: &impl Rules,
        mut emit: impl FnMut(Judged, i8),
    ) {
        let Ok(at) = self.pieces.binary_search_by_key(&arrived, |p| p.entered) else { return };
        self.pieces[at].waits_for = None;
        if !self.pieces[at].starts_stay || self.pieces[at].told.is_some() {
            return;
        }
        let end = self.stay_end(at);
        let (min_dwell_ms, _) = rules.for_start(arrived);
        let (visit, lasts_ms) = visit_of(&self.pieces[at..end], instant, min_dwell_ms);
        if lasts_ms >= min_dwell_ms {
            self.pieces[at].told = Some(visit.confirmed_at);
            emit(Judged::Visit(visit), 1);
        }
    }

    fn stay_end(&self, start: usize) -> usize {
        let rest = &self.pieces[start + 1..];
        start + 1 + rest.iter().position(|p| p.starts_stay).unwrap_or(rest.len())
    }

    /// Judges the stays from the piece `from` on, until a boundary that did not move. `old` holds the pieces
    /// as they were up to the last change; those behind it are added as they are judged, before they change.
    #[allow(clippy::too_many_arguments)]
    fn rejudge(
        &mut self,
        from: usize,
        old: &mut Vec<Piece>,
        last_change: i64,
        instant: i64,
        rules: &impl Rules,
        mut emit: impl FnMut(Judged, i8),
        mut wait: impl FnMut(i64, i64),
    ) {
        let mut start = from;
        let mut went = Vec::new();
        let mut came = Vec::new();
        // Stays as (`arrived`, `departed`), visits or not.
        let (mut stays_went, mut stays_came) = (Vec::new(), Vec::new());
        while start < self.pieces.len() {
            let piece = self.pieces[start];
            if piece.entered > last_change && piece.starts_stay {
                // A boundary that did not move: from here on all is as it was.
                break;
            }
            if piece.entered > last_change {
                old.push(piece);
            }
            let (min_dwell_ms, max_absence_ms) = rules.for_start(piece.entered);
            let mut end = start + 1;
            while end < self.pieces.len() {
                let absence_ms = self.pieces[end].entered - self.pieces[end - 1].exited;
                if absence_ms > max_absence_ms && !self.settled.joins(&piece, &self.pieces[end]) {
                    break;
                }
                let joined = &mut self.pieces[end];
                if joined.entered > last_change {
                    old.push(*joined);
                }
                joined.starts_stay = false;
                joined.told = None;
                end += 1;
            }
            let (visit, lasts_ms) = visit_of(&self.pieces[start..end], instant, min_dwell_ms);
            let is_visit = lasts_ms >= min_dwell_ms;
            stays_came.push((piece.entered, self.pieces[end - 1].exited));
            let first = &mut self.pieces[start];
            first.starts_stay = true;
            first.told = is_visit.then_some(visit.confirmed_at);
            if is_visit {
                came.push(visit);
            } else if visit.departed.is_none() && first.waits_for != Some(visit.confirmed_at) {
                first.waits_for = Some(visit.confirmed_at);
                wait(visit.arrived, visit.confirmed_at);
            }
            start = end;
        }
        let mut at = 0;
        while at < old.len() {
            let rest = &old[at + 1..];
            let end = at + 1 + rest.iter().position(|p| p.starts_stay).unwrap_or(rest.len());
            stays_went.push((old[at].entered, old[end - 1].exited));
            if let Some(confirmed_at) = old[at].told {
                went.push(stay_as_visit(&old[at..end], confirmed_at));
            }
            at = end;
        }
        difference(&went, &came, |visit, diff| emit(Judged::Visit(visit), diff));
        difference(&stays_went, &stays_came, |(arrived, departed), diff| {
            emit(Judged::Stay { arrived, departed }, diff);
        });
    }
}

/// Tells what of two ordered lists is only in the old one, then what is only in the new one.
fn difference<T: Ord + Copy>(old: &[T], new: &[T], mut tell: impl FnMut(T, i8)) {
    old.iter().filter(|item| new.binary_search(item).is_err()).for_each(|item| tell(*item, -1));
    new.iter().filter(|item| old.binary_search(item).is_err()).for_each(|item| tell(*item, 1));
}

/// The visit that pieces would make, and how long they last at the instant.
fn visit_of(pieces: &[Piece], instant: i64, min_dwell_ms: i64) -> (Visit, i64) {
    let arrived = pieces[0].entered;
    let visit = stay_as_visit(pieces, arrived + min_dwell_ms);
    (visit, visit.departed.unwrap_or(instant) - arrived)
}

fn stay_as_visit(pieces: &[Piece], confirmed_at: i64) -> Visit {
    let exited = pieces[pieces.len() - 1].exited;
    Visit {
        arrived: pieces[0].entered,
        departed: (exited != NEVER).then_some(exited),
        confirmed_at,
        presences: pieces.len() as u32,
    }
}
