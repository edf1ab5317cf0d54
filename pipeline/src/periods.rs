//! What backfill records open, for the records before them.

use model::TimeMs;

/// A period that a backfill record opens: positions of it are not too late, and corrections reach back to its
/// beginning, up to and with that record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Period {
    /// First millisecond.
    pub from: TimeMs,
    /// First millisecond that is not part of it any more.
    pub to: TimeMs,
}

/// The periods of an input's backfill records in their order: how many there are tells which of them are
/// still open, since each is open from the beginning of the input up to its record.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Periods {
    all: Vec<Period>,
    /// How many backfill records came.
    met: usize,
    /// The beginning of the earliest period that is open, ms.
    open_from: i64,
    /// The last record that came without being told beforehand.
    unopened: Option<u64>,
}

impl Default for Periods {
    fn default() -> Periods {
        Periods::known(Vec::new())
    }
}

impl Periods {
    /// Those of the first backfill records.
    pub fn known(all: Vec<Period>) -> Periods {
        let mut periods = Periods { all, met: 0, open_from: i64::MAX, unopened: None };
        periods.find_open_from();
        periods
    }

    pub fn all(&self) -> &[Period] {
        &self.all
    }

    pub fn unopened(&self) -> Option<u64> {
        self.unopened
    }

    /// Whether a time is in a period that is open.
    pub fn open(&self, time: TimeMs) -> bool {
        self.all[self.met..].iter().any(|period| (period.from..period.to).contains(&time))
    }

    /// What is left of an edge of Reach, ms.
    pub fn reach(&self, edge: i64) -> i64 {
        edge.min(self.open_from)
    }

    /// A backfill record comes, the `seq`th record: its period closes. One that was told otherwise was not
    /// told, and what came after it neither.
    pub fn meet(&mut self, period: Period, seq: u64) {
        if self.all.get(self.met) != Some(&period) {
            self.all.truncate(self.met);
            self.all.push(period);
            self.unopened = Some(seq);
        }
        self.met += 1;
        self.find_open_from();
    }

    fn find_open_from(&mut self) {
        let open = &self.all[self.met..];
        self.open_from = open.iter().map(|period| period.from.0).min().unwrap_or(i64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(from: i64, to: i64) -> Period {
        Period { from: TimeMs(from), to: TimeMs(to) }
    }

    #[test]
    fn a_period_is_open_up_to_its_record() {
        let mut periods = Periods::known(vec![period(50, 60), period(10, 20)]);
        assert_eq!((periods.reach(100), periods.reach(5)), (10, 5));
        let open = |periods: &Periods| [10, 19, 20, 49, 50].map(|time| periods.open(TimeMs(time)));
        assert_eq!(open(&periods), [true, true, false, false, true]);
        periods.meet(period(50, 60), 7);
        assert_eq!((periods.reach(100), open(&periods)), (10, [true, true, false, false, false]));
        periods.meet(period(10, 20), 8);
        assert_eq!((periods.reach(100), open(&periods)), (100, [false; 5]));
        assert_eq!(periods.unopened(), None);
    }

    #[test]
    fn what_was_not_told_or_told_otherwise_is_kept_in_mind() {
        let mut periods = Periods::known(vec![period(10, 20), period(30, 40)]);
        periods.meet(period(10, 21), 3);
        assert_eq!((periods.unopened(), periods.all()), (Some(3), &[period(10, 21)][..]));
        assert_eq!(periods.reach(100), 100);
        periods.meet(period(30, 40), 5);
        assert_eq!((periods.unopened(), periods.all().len()), (Some(5), 2));
    }
}
