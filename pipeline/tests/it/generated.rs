//! Random walks around random fences, in random orders, with edits: incremental equals batch at every tick.

use std::collections::BTreeSet;
use std::sync::Arc;

use bench::oracle::{Input, recompute_rows};
use model::{GraphSettings, PresenceRow, SettingValue};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestError, TestRunner};

use crate::harness::disagreement;
use crate::kept;
use crate::steps::{any_time, colliding_time, inputs, step};
use crate::walks::{at_an_edge, corrected_walks, scheduled_walks, walks};

/// An input, and how the graph takes it.
#[derive(Clone, Debug)]
pub struct Case {
    pub inputs: Vec<Input>,
    /// How many records the ticks have, in turn.
    pub sizes: Vec<usize>,
    pub workers: usize,
}

pub fn cases(
    inputs: impl Strategy<Value = Vec<Input>>,
    workers: impl Strategy<Value = usize>,
) -> impl Strategy<Value = Case> {
    let sizes = prop::collection::vec(1_usize..12, 1..4);
    (inputs, sizes, workers).prop_map(|(inputs, sizes, workers)| Case { inputs, sizes, workers })
}

/// How many cases to run, unless the environment says otherwise.
pub fn count(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

/// Where the graph first differs from the oracle, in words.
type Disagreement = fn(&[Input], &[usize], usize, &GraphSettings) -> Option<String>;

/// Runs a property. Where it fails, the shrunk input is shown, and written down as a scenario.
pub fn hold(usual: u32, cases: impl Strategy<Value = Case>) {
    hold_by(disagreement, usual, cases);
}

/// As [`hold`], with another look at where the two differ.
pub fn hold_by(disagreement: Disagreement, usual: u32, cases: impl Strategy<Value = Case>) {
    let config = ProptestConfig {
        cases: count(usual),
        max_shrink_iters: 4000,
        failure_persistence: None,
        ..Default::default()
    };
    let result = TestRunner::new(config).run(&cases, |case| {
        let settings = GraphSettings::default();
        let wrong = disagreement(&case.inputs, &case.sizes, case.workers, &settings);
        wrong.map_or(Ok(()), |text| Err(TestCaseError::fail(text)))
    });
    match result {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("too few cases: {reason}"),
        Err(TestError::Fail(reason, Case { inputs, sizes, workers })) => {
            let how = format!("ticks of {sizes:?} records in turn, {workers} workers");
            panic!("{reason}\n\n{}", kept::write_down(&inputs, &how, reason.message()));
        }
    }
}

#[test]
fn incremental_equals_batch_after_every_tick() {
    hold(400, cases(walks().prop_map(|steps| inputs(&steps)), Just(1)));
}

#[test]
fn noise_is_judged_like_walks() {
    let steps = prop::collection::vec(step(any_time()), 1..80);
    hold(400, cases(steps.prop_map(|steps| inputs(&steps)), Just(1)));
}

#[test]
fn what_happens_at_one_time_is_judged_alike() {
    let steps = prop::collection::vec(step(colliding_time()), 1..60);
    hold(400, cases(steps.prop_map(|steps| inputs(&steps)), Just(1)));
}

#[test]
fn the_edges_of_the_world_are_like_the_rest() {
    hold(400, cases(at_an_edge(), Just(1)));
}

#[test]
fn corrections_reach_as_far_as_history_is_kept() {
    hold(1000, cases(corrected_walks().prop_map(|steps| inputs(&steps)), Just(1)));
}

#[test]
fn schedules_are_judged_as_corrections_leave_them() {
    hold(1000, cases(scheduled_walks().prop_map(|steps| inputs(&steps)), 1_usize..=2));
}

#[test]
fn several_workers_give_the_same() {
    hold(40, cases(walks().prop_map(|steps| inputs(&steps)), 2_usize..=4));
}

#[test]
fn several_workers_reach_as_far() {
    hold(40, cases(corrected_walks().prop_map(|steps| inputs(&steps)), 2_usize..=4));
}

/// What the properties say is worth as much as what is generated: every reason to refuse, and rows of all
/// ends, come up, also with times that collide.
#[test]
fn everything_comes_up() {
    for times in [any_time(), colliding_time()] {
        let mut runner = TestRunner::deterministic();
        let steps = prop::collection::vec(step(times), 1..80);
        let (mut reasons, mut ends) = (BTreeSet::new(), BTreeSet::new());
        let mut crossings = 0;
        for _ in 0..400 {
            let steps = steps.new_tree(&mut runner).unwrap().current();
            let rows = recompute_rows(&inputs(&steps), &GraphSettings::default());
            reasons.extend(rows.rejects.iter().map(|row| row.reason.as_str()));
            ends.extend(rows.presences.iter().filter_map(|row| Some(row.end?.1.as_str())));
            crossings += rows.crossings.len();
        }
        let all = ["bad_value", "future", "jump", "malformed", "null_island", "out_of_range", "too_late"];
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), all);
        assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["exit", "fence_deleted", "fence_ended"]);
        assert!(crossings > 100, "{crossings} crossings");
    }
}

/// In most of the walks through fences with schedules these make a difference, in many the zone does that is set, and
/// in some what is final by then.
#[test]
fn schedules_and_zones_make_a_difference() {
    let mut runner = TestRunner::deterministic();
    let steps = scheduled_walks();
    let (mut by_schedules, mut by_zones, mut by_order) = (0, 0, 0);
    let rows = |inputs: &[Input]| recompute_rows(inputs, &GraphSettings::default()).presences;
    for _ in 0..200 {
        let inputs = inputs(&steps.new_tree(&mut runner).unwrap().current());
        let presences = rows(&inputs);
        let at_all_times: Vec<Input> = inputs.iter().cloned().map(without_schedule).collect();
        by_schedules += usize::from(presences != rows(&at_all_times));
        let (zones, others): (Vec<Input>, Vec<Input>) = inputs.into_iter().partition(sets_zone);
        by_zones += usize::from(presences != rows(&others));
        by_order += usize::from(presences != rows(&[zones, others].concat()));
    }
    let counts = format!("{by_schedules}, {by_zones} and {by_order} of 200");
    assert!(by_schedules > 60 && by_zones > 10 && by_order > 5, "{counts}");
}

fn without_schedule(mut input: Input) -> Input {
    if let Input::Fence { fence, .. } = &mut input {
        Arc::make_mut(fence).settings.active = None;
    }
    input
}

fn sets_zone(input: &Input) -> bool {
    matches!(input, Input::Settings { values, .. } if values.iter().any(|(name, _)| name == "zone"))
}

/// In many of the corrected walks something is final that would be otherwise with all history, of every table. And
/// whatever corrections leave, presences are not empty and come one after the other.
#[test]
fn corrections_meet_the_edge() {
    let mut runner = TestRunner::deterministic();
    let steps = corrected_walks();
    let (mut crossings, mut presences, mut visits, mut rejects) = (0, 0, 0, 0);
    for _ in 0..200 {
        let inputs = inputs(&steps.new_tree(&mut runner).unwrap().current());
        let kept = recompute_rows(&inputs, &GraphSettings::default());
        assert_in_turn(&kept.presences);
        let unlimited: Vec<Input> = inputs.into_iter().map(without_limit).collect();
        let all = recompute_rows(&unlimited, &GraphSettings::default());
        crossings += usize::from(kept.crossings != all.crossings);
        presences += usize::from(kept.presences != all.presences);
        visits += usize::from(kept.visits != all.visits);
        rejects += usize::from(kept.rejects != all.rejects);
    }
    let counts = format!("{crossings}, {presences}, {visits} and {rejects} of 200");
    assert!(crossings > 20 && presences > 40 && visits > 30 && rejects > 0, "{counts}");
}

fn assert_in_turn(presences: &[PresenceRow]) {
    assert!(presences.iter().all(|row| row.end.is_none_or(|(exited, _)| row.entered < exited)));
    for pair in presences.windows(2) {
        let is_same = (&pair[0].vehicle_id, &pair[0].fence_id) == (&pair[1].vehicle_id, &pair[1].fence_id);
        let is_over = pair[0].end.is_some_and(|(exited, _)| exited <= pair[1].entered);
        assert!(!is_same || is_over, "{pair:?}");
    }
}

/// The same settings, but for how much is kept.
fn without_limit(mut input: Input) -> Input {
    if let Input::Settings { values, .. } = &mut input {
        for (_, value) in values.iter_mut().filter(|(name, _)| name == "history.keep_h") {
            *value = SettingValue::Text("unlimited".to_owned());
        }
    }
    input
}

/// The places at the edges of the world are entered and left.
#[test]
fn the_edges_of_the_world_are_reached() {
    let mut runner = TestRunner::deterministic();
    let inputs = at_an_edge();
    let (mut entered, mut left) = (0, 0);
    for _ in 0..200 {
        let rows =
            recompute_rows(&inputs.new_tree(&mut runner).unwrap().current(), &GraphSettings::default());
        entered += usize::from(!rows.presences.is_empty());
        left += usize::from(rows.presences.iter().any(|row| row.end.is_some()));
    }
    assert!(entered > 100 && left > 50, "of 200 inputs {entered} enter a fence and {left} leave one");
}
