//! What is kept does not grow with the fixes.

use model::{Coord, GraphSettings, Motion, Why};

use super::board::{At, Board};
use super::parts::{BUCKET_MS, Field, Part, Sample, SliceKey, Sum};
use super::steps::{StepBuckets, StepSums};
use super::trucks::Trucks;
use crate::presence::{Step, StepEnd};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// 2026-01-05T00:00:00Z
const BEGIN: i64 = 1_767_571_200_000;

fn step(vehicle: u32, from: i64, to: i64, diff: i8) -> Step {
    let end = |time: i64| StepEnd { time, at: Coord { lon: 0, lat: 0 }, motion: Motion::default() };
    Step { vehicle, from: Some(end(from)), to: end(to), mm: 500_000, diff, why: Why::first(1) }
}

/// A tick of that instant.
fn at(instant: i64) -> At {
    At { instant, last_seq: 1, is_last: false }
}

#[test]
fn a_truck_keeps_what_came_since_the_mark() {
    let mut trucks = Trucks::new(&GraphSettings::default(), 1, 2);
    let mut rows = 0_i64;
    for minute in 0..10 * 24 * 60 {
        let time = BEGIN + minute * MINUTE_MS;
        for vehicle in [1, 3, 7] {
            trucks.step(&step(vehicle, time, time + MINUTE_MS, 1));
            // Some hours late, as a correction.
            trucks.step(&step(vehicle, time - 300 * MINUTE_MS, time - 299 * MINUTE_MS, -1));
            trucks.step(&step(vehicle, time - 300 * MINUTE_MS, time - 299 * MINUTE_MS, 1));
        }
        trucks.show(at(time), |delta| rows += i64::from(delta.diff));
        assert!(trucks.buckets() <= 3 * 6, "{} after {minute} minutes", trucks.buckets());
    }
    // Days and weeks that stand: distance and four durations each. In Lagos it is an hour later.
    assert_eq!(rows, 3 * 5 * (11 + 2));
}

#[test]
fn buckets_are_forgotten_behind_the_longest_window() {
    let mut board = Board::new(&GraphSettings::default());
    let mut rows = 0_i64;
    let mut most = 0;
    for bucket in 0..9 * 24 * 6 {
        let time = BEGIN + bucket * 10 * MINUTE_MS;
        let sums = StepSums { good_fixes: 1, ..StepSums::default() };
        board.add_steps(time, &sums, Why::first(1));
        board.add_part(&Part::new(
            SliceKey::Location(4),
            time,
            Field::Sample(Sample::Dwell, 60),
            1,
            Why::first(1),
        ));
        board.show(at(time + MINUTE_MS), |delta| rows += i64::from(delta.diff));
        most = most.max(board.buckets());
    }
    // Seven days and the hour in which they do not move, of two slices.
    let a_week = 2 * (7 * 24 * 6 + 6);
    assert!((a_week - 20..=a_week + 2).contains(&most), "{most} and {a_week}");
    assert!(rows > 0);
    for hour in 0..8 * 24 {
        board.show(at(BEGIN + 9 * DAY_MS + hour * 60 * MINUTE_MS), |delta| rows += i64::from(delta.diff));
    }
    assert_eq!(board.buckets(), 0);
}

#[test]
fn a_slice_that_does_not_change_says_nothing() {
    let settings = GraphSettings { horizon_ms: 3 * DAY_MS, ..GraphSettings::default() };
    let mut board = Board::new(&settings);
    let trip = |sum| Part::new(SliceKey::Client(2), BEGIN, Field::Sum(sum), 1, Why::first(1));
    board.add_part(&trip(Sum::Started));
    let mut told = Vec::new();
    let mut show = |board: &mut Board, time: i64| {
        told.clear();
        board.show(at(time), |delta| told.push((delta.row.span, delta.diff)));
        told.len()
    };
    // The marks of 24 hours and of 7 days are still at the beginning.
    assert_eq!(show(&mut board, BEGIN + MINUTE_MS), 4);
    // Within a hop of all of them.
    assert_eq!(show(&mut board, BEGIN + MINUTE_MS + 9_999), 0);
    // The window of 15 minutes moves along, and leaves the trip behind; that of 24 hours takes it in.
    assert_eq!(show(&mut board, BEGIN + MINUTE_MS + BUCKET_MS), 2);
    assert_eq!(show(&mut board, BEGIN + 16 * MINUTE_MS), 1 + 2 + 1);
    assert_eq!(show(&mut board, BEGIN + 16 * MINUTE_MS + BUCKET_MS), 0);
    // Rolling windows are behind it, and the day is final, then the week.
    assert_eq!(show(&mut board, BEGIN + 8 * DAY_MS), 1 + 1 + 2);
    assert_eq!(show(&mut board, BEGIN + 9 * DAY_MS), 0);
    assert_eq!(show(&mut board, BEGIN + 11 * DAY_MS), 2);
    assert_eq!(board.buckets(), 0);
}

#[test]
fn steps_are_in_the_buckets_of_their_ends() {
    let mut buckets: StepBuckets<BUCKET_MS> = StepBuckets::default();
    for (from, to, diff) in [(20_000, 31_000, 1), (1_000, 35_000, 1), (1_000, 35_000, -1), (9_999, 20_000, 1)]
    {
        buckets.add(&step(0, from, to, diff));
    }
    let mut starts = Vec::new();
    buckets.take_before(30_000, |start, sums| starts.push((start, sums.good_fixes, sums.counts, sums.times)));
    let of_moving = |count, times| ([count, 0, 0, 0], [times, 0, 0, 0]);
    let (none, one) = (of_moving(1, 9_999), of_moving(0, 0));
    assert_eq!(starts, [(0, 0, none.0, none.1), (20_000, 1, one.0, one.1)]);
    starts.clear();
    buckets
        .take_before(i64::MAX, |start, sums| starts.push((start, sums.good_fixes, sums.counts, sums.times)));
    let last = of_moving(-1, -31_000);
    assert_eq!(starts, [(30_000, 1, last.0, last.1)]);
    assert_eq!(buckets.len(), 0);
}
