//! Who would be told of the alerts that the graph gives: nobody twice of one episode, whatever the order of records,
//! the ticks and the restarts.

use std::collections::{BTreeMap, BTreeSet};

use bench::oracle::Input;
use model::{AlertId, AlertRow, ClosedTick, GraphSettings, Row, Table, TimeMs};
use pipeline::Driver;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use sinks::telling::{Act, LATE_MS, Telling, is_of_an_edit};

use crate::alerts::alerts;
use crate::generated::{Case, cases, count};
use crate::harness::{feed, ticks};
use crate::kept;

/// A row as it was shown, and the time that it says it takes.
struct Version {
    alert: AlertId,
    from: TimeMs,
    /// The end of time as long as it goes on; where it was corrected while it did, the last tick that showed it so.
    to: TimeMs,
    chain: usize,
}

/// Knows by rows alone which of them are of one episode: those of one kind and subject whose times meet, and those
/// that meet these.
#[derive(Default)]
struct Referee {
    instant: TimeMs,
    of_subject: BTreeMap<Vec<u8>, Vec<Version>>,
    /// The subjects of rows that stand.
    shown: BTreeMap<AlertId, Vec<u8>>,
    /// Whether people were told of a chain, by its number.
    told: Vec<bool>,
    tells: usize,
}

/// Takes at least a moment.
fn until(row: &AlertRow, open_until: TimeMs) -> TimeMs {
    row.ended.unwrap_or(open_until).max(row.started.plus_ms(1))
}

impl Referee {
    fn went(&mut self, row: &AlertRow) {
        let Some(subject) = self.shown.remove(&row.alert_id) else { return };
        let versions = self.of_subject.entry(subject).or_default();
        if let Some(last) = versions.iter_mut().rfind(|version| version.alert == row.alert_id) {
            last.to = until(row, self.instant);
        }
    }

    fn came(&mut self, row: &AlertRow) {
        let subject = row.subject_bytes();
        let (from, to) = (row.started, until(row, TimeMs(i64::MAX)));
        let versions = self.of_subject.entry(subject.clone()).or_default();
        let met: BTreeSet<usize> = versions
            .iter()
            .filter(|version| version.from < to && from < version.to)
            .map(|version| version.chain)
            .collect();
        let chain = met.first().copied().unwrap_or(self.told.len());
        if met.is_empty() {
            self.told.push(false);
        }
        for version in versions.iter_mut().filter(|version| met.contains(&version.chain)) {
            version.chain = chain;
        }
        self.told[chain] |= met.iter().any(|chain| self.told[*chain]);
        versions.push(Version { alert: row.alert_id, from, to, chain });
        self.shown.insert(row.alert_id, subject);
    }

    /// Whether it is all that its chain has.
    fn is_alone(&self, row: &AlertRow) -> bool {
        let chain = self.chain_of(row);
        let versions = self.of_subject.get(&row.subject_bytes()).into_iter().flatten();
        versions.filter(|version| Some(version.chain) == chain).count() == 1
    }

    fn chain_of(&self, row: &AlertRow) -> Option<usize> {
        let versions = self.of_subject.get(&row.subject_bytes())?;
        Some(versions.iter().rfind(|version| version.alert == row.alert_id)?.chain)
    }

    /// Judges what was done at a tick; in words what is wrong of it.
    fn judge(&mut self, closed: &ClosedTick, acts: &[Act]) -> Result<(), String> {
        let changes = closed.changes.iter().filter_map(|change| match &change.row {
            Row::Alert(row) => Some((change, row)),
            _ => None,
        });
        let (went, came): (Vec<_>, Vec<_>) = changes.partition(|(change, _)| change.diff < 0);
        went.iter().for_each(|(_, row)| self.went(row));
        // New, in time, and not what follows from an edit: people have to be told.
        let mut to_be_told = Vec::new();
        for (change, row) in came {
            self.came(row);
            let is_late = closed.instant.0 - row.due_at.0 > LATE_MS;
            if !is_late && !is_of_an_edit(&row.kind, change.why.cause) {
                to_be_told.push(row);
            }
        }
        // Other versions may be of an episode that nobody is told of.
        to_be_told.retain(|row| self.is_alone(row));
        for act in acts {
            let Act::Tell(message) = act else { continue };
            let row = message.alerts.first().ok_or("a message about nothing")?;
            let chain = self.chain_of(row).ok_or_else(|| format!("nobody has shown {row:?}"))?;
            if std::mem::replace(&mut self.told[chain], true) {
                return Err(format!("tick {} tells again of {row:?}", closed.tick));
            }
            to_be_told.retain(|other| other.alert_id != row.alert_id);
            self.tells += 1;
        }
        self.instant = closed.instant;
        match to_be_told.first() {
            Some(row) => Err(format!("tick {} does not tell of {row:?}", closed.tick)),
            None => Ok(()),
        }
    }
}

/// The closed ticks, as the changelog has them.
fn closed_ticks(case: &Case, workers: usize) -> Vec<ClosedTick> {
    let mut driver = Driver::start(GraphSettings::default(), BTreeSet::new(), false, workers).unwrap();
    let mut all = Vec::new();
    for (tick, records) in (1..).zip(ticks(&case.inputs, &case.sizes)) {
        case.inputs[records].iter().for_each(|input| feed(&mut driver.intake, input));
        let input = driver.intake.finish_tick(None);
        all.extend(driver.submit(tick, input).unwrap());
    }
    all.extend(std::iter::from_fn(|| driver.close_next().unwrap()));
    for closed in &mut all {
        closed.changes.retain(|change| change.row.table() == Table::Alerts);
    }
    all
}

/// Tells of a case, and of the same once more: by other workers, after a restart in the middle, which reads again what
/// was told. Gives how often people were told.
fn wrong_with(case: &Case) -> Result<usize, String> {
    let closed = closed_ticks(case, case.workers);
    let (mut telling, mut referee, mut acts) = (Telling::default(), Referee::default(), Vec::new());
    for closed in &closed {
        let of_tick = telling.apply(closed, &[]);
        referee.judge(closed, &of_tick)?;
        acts.push(of_tick);
    }
    let again = closed_ticks(case, case.workers % 3 + 1);
    let mut restarted = Telling::default();
    let middle = closed.len() / 2;
    closed[..middle].iter().for_each(|closed| drop(restarted.apply(closed, &[])));
    for ((at, closed), again) in closed.iter().enumerate().zip(&again) {
        if again.changes != closed.changes {
            return Err(format!("tick {}: other workers change other alerts", closed.tick));
        }
        if at >= middle && restarted.apply(again, &[]) != acts[at] {
            return Err(format!("tick {}: others are told after a restart", closed.tick));
        }
    }
    Ok(referee.tells)
}

fn in_any_order() -> impl Strategy<Value = Vec<Input>> {
    alerts().prop_flat_map(|inputs| prop_oneof![3 => Just(inputs.clone()), 1 => Just(inputs).prop_shuffle()])
}

#[test]
fn nobody_is_told_twice_of_one_episode() {
    let cases_to_run = count(1000);
    let config = ProptestConfig {
        cases: cases_to_run,
        max_shrink_iters: 4000,
        failure_persistence: None,
        ..Default::default()
    };
    let tells = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&cases(in_any_order(), 1_usize..=3), |case| {
        let of_case = wrong_with(&case).map_err(TestCaseError::fail)?;
        tells.set(tells.get() + of_case);
        Ok(())
    });
    match result {
        Ok(()) => assert!(tells.get() > cases_to_run as usize, "people were told {} times", tells.get()),
        Err(TestError::Abort(reason)) => panic!("too few cases: {reason}"),
        Err(TestError::Fail(reason, Case { inputs, sizes, workers })) => {
            let how = format!("ticks of {sizes:?} records in turn, {workers} workers");
            panic!("{reason}\n\n{}", kept::write_down(&inputs, &how, reason.message()));
        }
    }
}
