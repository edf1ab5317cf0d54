//! Stories that are too long to be written down, and are made up as they are told.

use std::fmt::Write;

use crate::scenario::check;

/// `seconds` after midnight.
fn time(seconds: usize) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// As scenarios print it.
fn shown(seconds: usize) -> String {
    let time = time(seconds);
    time.strip_suffix(":00").map_or(time.clone(), str::to_owned)
}

/// Fences overlap in a row along which a truck drives, and at each fix it is in other ones. When most of
/// these thousands of sets are out of use they are forgotten, and it still leaves the fences that it is in.
#[test]
fn sets_of_fences_are_forgotten() {
    const FENCES: usize = 4200;
    const SECONDS: usize = 8;
    // 30 m wide, 10 m apart: entered one fix before its middle; with the buffer, left five after it.
    let entered = |fence: usize| shown(SECONDS * (fence - 1));
    let exited = |fence: usize| shown(SECONDS * (fence + 5));
    let mut text = String::new();
    for fence in 1..=FENCES {
        let east = 10 * fence as i64;
        writeln!(text, "fence f{fence} square {},-50 {},50", east - 15, east + 15).unwrap();
    }
    let drive = |text: &mut String, fixes: std::ops::Range<usize>| {
        for n in fixes {
            writeln!(text, "T1 {} {},0", time(SECONDS * n), 10 * n).unwrap();
        }
        text.push_str("tick\n");
    };
    let last = FENCES - 2;
    drive(&mut text, 0..last + 1);
    for fence in 1..=last + 1 {
        let end = if fence + 5 <= last { format!("{} exit", exited(fence)) } else { String::new() };
        writeln!(text, "+ presence T1 f{fence} {}..{end}", entered(fence)).unwrap();
    }
    drive(&mut text, last + 1..last + 2);
    let left = last - 4;
    writeln!(text, "- presence T1 f{left} {}..", entered(left)).unwrap();
    writeln!(text, "+ presence T1 f{left} {}..{} exit", entered(left), exited(left)).unwrap();
    writeln!(text, "+ presence T1 f{FENCES} {}..", entered(FENCES)).unwrap();
    check(&text);
}

/// So many fixes a minute apart that their blocks are full, where a truck stands.
fn stand(text: &mut String, minutes: std::ops::Range<usize>, east_m: usize) {
    for minute in minutes {
        writeln!(text, "T1 {} {east_m},0", time(60 * minute)).unwrap();
    }
}

/// A leg of twelve kilometres, whose fixes are far from everything between, and long ago.
#[test]
fn a_gate_comes_after_the_long_leg_through_it() {
    for other_gate in ["", "fence other square -9000,-50 -8900,50 crossed yes\n"] {
        let mut text = other_gate.to_owned();
        stand(&mut text, 0..100, 0);
        stand(&mut text, 104..204, 12_000);
        text.push_str("tick\nfence gate square 5950,-50 6050,50 crossed yes\ntick\n");
        text.push_str("+ crossing T1 gate 01:39..01:44 at 01:41:30\n");
        check(&text);
    }
}

/// A leg over four thousand kilometres, where whatever is said is believed.
#[test]
fn a_gate_comes_after_a_leg_over_half_a_continent() {
    for other_gate in ["", "fence other square -9000,-50 -8900,50 crossed yes\n"] {
        let mut text = format!("set cleaning.max_speed_kmh 0\n{other_gate}");
        stand(&mut text, 0..100, 0);
        stand(&mut text, 104..204, 4_000_000);
        text.push_str("tick\nfence gate square 1999950,-50 2000050,50 crossed yes\ntick\n");
        text.push_str("+ crossing T1 gate 01:39..01:44 at 01:41:30\n");
        check(&text);
    }
}

/// A late fix among many, the only one within a kilometre. The one before it splits the block that it comes
/// to.
#[test]
fn a_fence_comes_after_the_late_fix_in_it() {
    let mut text = String::new();
    stand(&mut text, 0..100, 0);
    text.push_str("tick\nT1 00:12:20 0,0\nT1 00:10:30 1500,0\ntick\nfence yard circle 1500,0 100\ntick\n");
    text.push_str("+ presence T1 yard 00:10:30..00:11 exit\n");
    check(&text);
}

/// Wherever in its block the fix is that a later fence is about: also the first of the newest ones.
#[test]
fn a_fence_comes_after_the_one_fix_in_it() {
    for away in 1..99 {
        let mut text = String::new();
        stand(&mut text, 0..away, 0);
        stand(&mut text, away..away + 1, 1500);
        stand(&mut text, away + 1..100, 0);
        text.push_str("tick\nfence yard circle 1500,0 100\ntick\n");
        writeln!(text, "+ presence T1 yard {}..{} exit", shown(60 * away), shown(60 * (away + 1))).unwrap();
        check(&text);
    }
}

/// A block that a late fix brought to another part of its cell, when the index was swept after that. The one
/// before it splits the block, so that there is room in it.
#[test]
fn a_late_fix_is_found_after_others_are_forgotten() {
    let mut text = "set cleaning.horizon_h 2\nset history.keep_h 2\n".to_owned();
    stand(&mut text, 0..140, 0);
    text.push_str(
        "tick\nT1 01:12:20 0,0\nT1 01:10:30 700,0\ntick\ntick 03:09\nfence yard circle 700,0 100\ntick\n",
    );
    text.push_str("+ presence T1 yard 01:10:30..01:11 exit\n");
    check(&text);
}

/// A leg that begins with a late fix, off the way that was known before, while no fence asks for crossings: one
/// did before, and one does later.
#[test]
fn a_gate_comes_after_the_leg_from_a_late_fix() {
    let other_gate = "fence other square -9000,-50 -8900,50";
    let mut text = format!("{other_gate} crossed yes\n");
    stand(&mut text, 0..50, 0);
    stand(&mut text, 54..104, 5000);
    writeln!(text, "tick\n{other_gate}\ntick").unwrap();
    // The first splits the block that it comes to, so that there is room for the other.
    text.push_str("T1 00:40:20 0,0\nT1 00:51:30 2500,4000\ntick\n");
    text.push_str("fence gate square 3700,1950 3800,2050 crossed yes\ntick\n");
    text.push_str("+ crossing T1 gate 00:51:30..00:54 at 00:52:45\n");
    check(&text);
}
