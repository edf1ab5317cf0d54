//! Backfills: what is shown at their tick, and after, is what the oracle computes who always knew of them.

mod minting;
pub mod records;
mod replay;
mod service;

use std::fmt::Debug;

use bench::oracle::{Input, recompute_rows};
use model::GraphSettings;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestError, TestRunner};

use crate::generated::{cases, hold};
use crate::kept::write_down;
use crate::steps::{Area, Step, at, inputs, odd};
use crate::walks::{corrected_walks, walk};

/// What comes long after its time: part of a walk, at one place of the input.
#[derive(Clone, Debug)]
struct Late {
    steps: Vec<Step>,
    is_exempt: bool,
    place: usize,
}

fn late() -> impl Strategy<Value = Late> {
    let moves = prop::collection::vec((1..4_i64, -3..=3_i8, -3..=3_i8, odd()), 1..12);
    (0..3_u8, 0..120_i64, moves, any::<bool>(), 500..1000_usize).prop_map(
        |(vehicle, start, moves, is_exempt, place)| {
            let mut steps = walk(vehicle, &moves);
            for step in &mut steps {
                if let Step::Fix { time, .. } = step {
                    *time += start;
                }
            }
            Late { steps, is_exempt, place }
        },
    )
}

/// Corrected walks with parts that are late, and one or two backfills, of which some hold such a part.
pub fn backfilled() -> impl Strategy<Value = Vec<Input>> {
    let length = prop_oneof![1 => 1..10_i64, 4 => 30..240_i64];
    let place = prop_oneof![2 => 900..1001_usize, 1 => 300..1001_usize];
    let backfills = prop::collection::vec((0..100_i64, length, place), 1..3);
    let home = (-3..4_i8, -3..4_i8, 2..9_u8, 0..6_u8).prop_map(|(x, y, size, rules)| {
        let area = Area { kind: 4, x, y, size };
        Step::Fence { id: 0, area, from: None, to: None, rules, crossed: rules == 0, active: None }
    });
    let late = prop::collection::vec(late(), 1..4);
    (corrected_walks(), home, late, backfills).prop_map(|(mut steps, home, late, backfills)| {
        steps.insert(1, home);
        let mut inputs = inputs(&steps);
        for Late { steps, is_exempt, place } in late {
            let mut late = crate::steps::inputs(&steps);
            for input in &mut late {
                if let Input::Position { position, .. } = input {
                    position.exempt = is_exempt;
                }
            }
            // The first record says how much is kept.
            let place = 1 + (inputs.len() - 1) * place / 1000;
            inputs.splice(place..place, late);
        }
        for (from, length, place) in backfills {
            let place = 1 + (inputs.len() - 1) * place / 1000;
            let (from, to) = (at(from), at(from + length));
            inputs.insert(place, Input::Backfill { received: None, from, to });
        }
        inputs
    })
}

/// Holds a property that costs as much as `weight` of the others: files or a store for each case. Where it
/// fails, the shrunk input is shown, and written down as a scenario.
fn hold_slowly<T: Debug>(
    weight: u32,
    cases: impl Strategy<Value = (Vec<Input>, T)>,
    judge: impl Fn(&[Input], &T) -> Result<(), String>,
) {
    let all: u32 = std::env::var("PROPTEST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(500);
    let config = ProptestConfig {
        cases: (all / weight).max(1),
        max_shrink_iters: 4000 / weight,
        failure_persistence: None,
        ..Default::default()
    };
    let judge = |(inputs, how): (Vec<Input>, T)| judge(&inputs, &how).map_err(TestCaseError::fail);
    match TestRunner::new(config).run(&cases, judge) {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("too few cases: {reason}"),
        Err(TestError::Fail(reason, (inputs, how))) => {
            panic!("{reason}\n\n{}", write_down(&inputs, &format!("{how:?}"), reason.message()))
        }
    }
}

#[test]
fn backfills_give_what_was_always_known() {
    hold(500, cases(backfilled(), Just(1)));
}

#[test]
fn several_workers_give_the_same_backfills() {
    hold(40, cases(backfilled(), 2_usize..=4));
}

/// In many of the generated inputs backfills change something, in every table, and let in what was too late.
#[test]
fn backfills_have_something_to_do() {
    let mut runner = TestRunner::deterministic();
    let inputs = backfilled();
    let (mut presences, mut visits, mut rejects, mut fewer_rejects) = (0, 0, 0, 0);
    for _ in 0..200 {
        let inputs = inputs.new_tree(&mut runner).unwrap().current();
        let with = recompute_rows(&inputs, &GraphSettings::default());
        let without: Vec<Input> = inputs.into_iter().map(without_backfill).collect();
        let without = recompute_rows(&without, &GraphSettings::default());
        presences += usize::from(with.presences != without.presences);
        visits += usize::from(with.visits != without.visits);
        rejects += usize::from(with.rejects != without.rejects);
        fewer_rejects += usize::from(with.rejects.len() < without.rejects.len());
    }
    let counts = format!("{presences}, {visits}, {rejects} and {fewer_rejects} of 200");
    assert!(presences > 40 && visits > 25 && rejects > 40 && fewer_rejects > 30, "{counts}");
}

fn without_backfill(input: Input) -> Input {
    match input {
        Input::Backfill { received, .. } => Input::Other { received },
        other => other,
    }
}
