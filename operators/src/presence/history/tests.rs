//! A history against a plain sorted list, under any order of arrival.

use std::collections::BTreeMap;

use model::Coord;
use proptest::prelude::*;

use super::*;

/// Times that crowd, times weeks apart, and times beyond what offsets hold.
fn time() -> impl Strategy<Value = i64> {
    let start = 1_767_600_000_000_i64;
    prop_oneof![
        8 => (0..400_i64).prop_map(move |n| start + n * 7),
        2 => (0..400_i64).prop_map(move |n| start + n * 30_000),
        1 => (0..20_i64).prop_map(move |n| start + n * 3_000_000_000),
    ]
}

/// Places beside each other, and anywhere.
fn place() -> impl Strategy<Value = Coord> {
    const HALF_TURN: i32 = 1_800_000_000;
    let near = (-50..50_i32, -50..50_i32);
    let anywhere = (-HALF_TURN..=HALF_TURN, -HALF_TURN / 2..=HALF_TURN / 2);
    prop_oneof![4 => near, 1 => anywhere].prop_map(|(lon, lat)| Coord { lon, lat })
}

fn seq_step() -> impl Strategy<Value = u64> {
    prop_oneof![20 => Just(1_u64), 1 => Just(1 << 29), 1 => Just(1 << 34)]
}

fn all(history: &History) -> Vec<Fix> {
    let mut fixes = Vec::new();
    let mut at = history.first();
    while let Some(place) = at {
        fixes.push(history.get(place));
        at = history.next(place);
    }
    fixes
}

/// The invariants of the module, and that every base finds its block.
fn check_blocks(history: &History) {
    let mut last = i64::MIN;
    for (n, block) in (0..=history.sealed.len()).map(|n| (n, history.block(n))) {
        let is_tail = n == history.sealed.len();
        assert!(is_tail || block.len() > 0, "no sealed block is empty");
        assert!(block.len() <= if is_tail { BLOCK_LEN } else { MOST_FIXES });
        if block.len() == 0 {
            continue;
        }
        assert!(block.base_time() > last && block.base_time() <= block.fix(0).time);
        last = block.fix(block.len() - 1).time;
        if !is_tail {
            let base_s = base_seconds(block.base_time());
            let of_base = |n: &usize| base_seconds(history.block(*n).base_time()) == base_s;
            let expected: Vec<usize> = (0..history.sealed.len()).filter(of_base).collect();
            assert_eq!(history.blocks_at(base_s).collect::<Vec<_>>(), expected, "a base finds its block");
            let is_known = |base_s| {
                (0..history.sealed.len()).any(|n| base_seconds(history.block(n).base_time()) == base_s)
            };
            for other in [base_s - 1, base_s + 1] {
                assert_eq!(history.blocks_at(other).is_empty(), !is_known(other), "no base finds nothing");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn is_a_sorted_list(
        arrivals in prop::collection::vec((time(), seq_step(), place(), any::<bool>()), 1..400),
        in_order in any::<bool>(), moves in any::<bool>(), asked in prop::collection::vec(time(), 1..10),
        dropped in any::<prop::sample::Index>(),
    ) {
        let mut arrivals = arrivals;
        if in_order {
            arrivals.sort_unstable_by_key(|&(time, ..)| time);
        }
        let mut history = History::default();
        let mut plain: BTreeMap<i64, Fix> = BTreeMap::new();
        let mut seq = 0;
        for (n, &(time, step, at, has_bad_value)) in (0..).zip(&arrivals) {
            seq += step;
            let motion = if moves && n % 3 != 0 { Motion::of_code(n * 7919 % 9000) } else { Motion::default() };
            let fix = Fix { time, seq, at, motion, is_jump: false, has_bad_value };
            let is_newest = history.last().is_none_or(|last| history.get(last).time < time);
            let place = if is_newest {
                history.push(&fix).0
            } else {
                let found = history.find(time);
                prop_assert_eq!(found.is_ok(), plain.contains_key(&time));
                history.insert(found, &fix).0
            };
            plain.insert(time, fix);
            prop_assert_eq!(history.get(place), fix);
            if n % 3 == 0 {
                history.set_jump(place, true);
                plain.get_mut(&time).unwrap().is_jump = true;
            }
            check_blocks(&history);
            prop_assert_eq!(history.newest(), plain.values().next_back().copied());
        }
        prop_assert_eq!(all(&history), plain.values().copied().collect::<Vec<_>>());
        prop_assert_eq!(history.len(), plain.len());
        for time in asked {
            let got = history.at_or_after(time).map(|place| history.get(place));
            prop_assert_eq!(got, plain.range(time..).next().map(|(_, fix)| *fix));
            if let Some(place) = history.at_or_after(time) {
                let before: Vec<&Fix> = plain.range(..time).map(|(_, fix)| fix).collect();
                prop_assert_eq!(history.prev(place).map(|at| history.get(at)), before.last().map(|f| **f));
                let good = before.iter().rfind(|fix| !fix.is_jump).map(|f| **f);
                prop_assert_eq!(history.good_before(place).map(|at| history.get(at)), good);
            }
        }
        let times: Vec<i64> = plain.keys().copied().collect();
        let kept_from = history.find(times[dropped.index(times.len())]).unwrap();
        let first_kept = history.get(kept_from).time;
        history.drop_blocks_before(kept_from, |_| {});
        check_blocks(&history);
        let kept: Vec<Fix> = plain.range(first_kept..).map(|(_, fix)| *fix).collect();
        prop_assert!(all(&history).ends_with(&kept));
        prop_assert!(history.len() < kept.len() + MOST_FIXES);
    }
}
