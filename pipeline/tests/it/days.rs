//! Days rather than hours: so many fixes a vehicle that histories are of many blocks, which are split by what
//! comes late, listed where edits find them, and forgotten behind the edge.

use bench::oracle::Input;
use proptest::prelude::*;

use crate::generated::{cases, hold};
use crate::steps::{Step, inputs, odd, settings};
use crate::walks::{histories, walk};

const FIXES: std::ops::Range<usize> = 80..260;

/// One or two vehicles with a day each, in about their order, and fences that are made and changed meanwhile.
/// `keep`: whether only some of the past is kept.
fn days(keep: bool) -> impl Strategy<Value = Vec<Input>> {
    let later = prop_oneof![12 => 1..4_i64, 1 => 10..14_i64];
    let far = prop_oneof![4 => -2..=2_i8, 1 => -16..=16_i8];
    let moves = prop::collection::vec((later, far.clone(), far, odd()), FIXES);
    let late = prop_oneof![16 => Just(0_i64), 2 => 1..40_i64, 2 => 40..600_i64];
    let late = prop::collection::vec(late, FIXES.end);
    let day = (0..2_u8, moves, late).prop_map(|(vehicle, moves, late)| {
        let arrives = |(step, late): (Step, i64)| match step {
            Step::Fix { time, .. } => (time + late, step),
            _ => (0, step),
        };
        walk(vehicle, &moves).into_iter().zip(late).map(arrives).collect::<Vec<_>>()
    });
    let other = prop_oneof![8 => histories(), 1 => settings(5).prop_map(|step| vec![step])];
    let others = prop::collection::vec((0..700_i64, 0..60_i64, other), 1..6);
    let tenths = (1..15_u8, 1..15_u8);
    (prop::collection::vec(day, 1..3), others, tenths).prop_map(move |(days, others, tenths)| {
        let mut all: Vec<(i64, Step)> = days.into_iter().flatten().collect();
        for (begin, pause, steps) in others {
            all.extend((0_i64..).zip(steps).map(|(i, step)| (begin + i * pause, step)));
        }
        all.sort_by_key(|(arrival, _)| *arrival);
        let (kept, horizon) = tenths;
        let start = if keep {
            Step::Keep { tenths: Some(kept), horizon_tenths: Some(horizon) }
        } else {
            Step::Keep { tenths: None, horizon_tenths: Some(250) }
        };
        let steps: Vec<Step> = std::iter::once(start).chain(all.into_iter().map(|(_, step)| step)).collect();
        inputs(&steps)
    })
}

#[test]
fn days_are_judged_like_hours() {
    hold(60, cases(days(false), Just(1)));
}

#[test]
fn days_are_forgotten_behind_the_edge() {
    hold(120, cases(days(true), 1_usize..=2));
}
