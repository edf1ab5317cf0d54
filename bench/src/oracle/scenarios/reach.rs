//! Reach: what corrections leave as it is. Received times move the edge: one hour is kept, and the horizon is one
//! hour too.

use super::{check, with_places};

/// Where everything is kept for an hour; `yard` as in the other scenarios.
#[track_caller]
pub(super) fn check_kept_1h(scenario: &str, expected: &str) {
    let settings = "set history.keep_h 1 cleaning.horizon_h 1 @06:00\n";
    check(
        &with_places(&format!("{settings}fence yard square 3.30,6.40 3.31,6.41 @06:00\n{scenario}")),
        expected,
    );
}

/// `yard` where nobody of these scenarios is.
pub(super) const AWAY: &str = "fence yard square 5.30,6.40 5.31,6.41";
/// `yard` as it was.
pub(super) const BACK: &str = "fence yard square 3.30,6.40 3.31,6.41";
/// `yard` with `OUT` in it, and `IN` far from it.
const EAST: &str = "fence yard square 3.3115,6.40 3.3125,6.41";

#[test]
fn without_a_limit_a_correction_reaches_all() {
    check(&with_places(&format!("{BACK}\nT1 08:00 IN\nT1 08:10 OUT\nT1 23:00 OUT\n{AWAY}")), "");
}

#[test]
fn what_ended_before_the_edge_is_final() {
    check_kept_1h(
        &format!("T1 08:00 IN\nT1 08:10 OUT\nT1 09:10:00.001 OUT\n{AWAY}\nclock 10:00"),
        "T1 yard 08:00..08:10 exit
         visit T1 yard 08:00..08:10 confirmed 08:05 of 1",
    );
    // Just at the edge is not before it: at 09:10 the edge is 08:10. The fix before the edge is that of 08:00.
    check_kept_1h(&format!("T1 08:00 IN\nT1 08:10 OUT\nT1 09:10 OUT\n{AWAY}"), "");
}

#[test]
fn a_correction_creates_nothing_before_the_edge() {
    check_kept_1h(&format!("T1 08:00 OUT\nT1 08:20 3.4,6.4\nT1 09:30 3.4,6.4\n{EAST}"), "");
    // Also not by the good fix before the edge, where the new version ended before the edge too.
    check_kept_1h(&format!("T1 08:00 OUT\nT1 09:30 3.4,6.4\n{EAST} to 08:20"), "");
    check_kept_1h(
        &format!("T1 08:00 OUT\nT1 09:30 3.4,6.4\n{EAST} to 08:30"),
        "T1 yard 08:00..08:30 fence_ended
         visit T1 yard 08:00..08:30 confirmed 08:05 of 1",
    );
}

#[test]
fn the_larger_of_what_is_kept_and_the_horizon_counts() {
    let scenario = |settings: &str| {
        with_places(&format!(
            "set {settings} @06:00\n{BACK} @06:00\nT1 08:00 IN\nT1 08:10 OUT\n{AWAY} @10:00"
        ))
    };
    let kept = "T1 yard 08:00..08:10 exit\nvisit T1 yard 08:00..08:10 confirmed 08:05 of 1";
    check(&scenario("history.keep_h 1 cleaning.horizon_h 1"), kept);
    check(&scenario("history.keep_h 1 cleaning.horizon_h 3"), "");
    check(&scenario("history.keep_h 3 cleaning.horizon_h 1"), "");
    check(&scenario("history.keep_h unlimited cleaning.horizon_h 1"), "");
}

#[test]
fn the_edge_never_goes_back() {
    let kept = "T1 yard 08:00..08:10 exit\nvisit T1 yard 08:00..08:10 confirmed 08:05 of 1";
    for longer in ["history.keep_h 24", "history.keep_h unlimited", "cleaning.horizon_h 24"] {
        check_kept_1h(&format!("T1 08:00 IN\nT1 08:10 OUT\nclock 10:00\nset {longer}\n{AWAY}"), kept);
    }
    // Once less is kept, that is so from that record on, itself included.
    check(
        &with_places(&format!(
            "set cleaning.horizon_h 1\n{BACK}\nT1 08:00 IN\nT1 08:10 OUT\nset history.keep_h 1 @10:00\n{AWAY}"
        )),
        kept,
    );
}

#[test]
fn a_longer_horizon_lets_nothing_in_from_before_the_edge() {
    check_kept_1h(
        "T1 09:30 OUT\nset cleaning.horizon_h 24\nT1 08:29:59.999 IN\nT1 08:30 IN",
        "T1 yard 08:30..09:30 exit
         visit T1 yard 08:30..09:30 confirmed 08:35 of 1
         reject 5 T1 08:29:59.999 too_late",
    );
}

#[test]
fn settings_reach_no_further_than_edits() {
    // The short stay before the edge stays none, the one after it is a visit.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:02 OUT\nT1 09:10 IN\nT1 09:12 OUT\nset visits.min_dwell_s 60",
        "T1 yard 08:00..08:02 exit
         T1 yard 09:10..09:12 exit
         visit T1 yard 09:10..09:12 confirmed 09:11 of 1",
    );
    // One that changes nothing, or is refused, is no correction: the stay is joined by a late fix, see below.
    for (nothing, rejects) in [
        ("visits.min_dwell_s 300", ""),
        ("visits.min_dwell_s -1 visits.max_absence_s 0", "reject 6 malformed"),
    ] {
        check_kept_1h(
            &format!("T1 08:00 IN\nT1 08:29 OUT\nT1 09:30 OUT\nset {nothing}\nT1 08:30 IN\nT1 08:40 OUT"),
            &format!(
                "T1 yard 08:00..08:29 exit
                 T1 yard 08:30..08:40 exit
                 visit T1 yard 08:00..08:40 confirmed 08:05 of 2
                 {rejects}"
            ),
        );
    }
}

#[test]
fn a_presence_that_covers_the_edge_stays_where_the_shape_agrees() {
    // Grown by 5.5 km to the west: who was inside stays so since then, not since he came near.
    check_kept_1h(
        "T1 07:50 3.28,6.405
         T1 08:00 IN
         T1 09:30 IN
         fence yard square 3.25,6.40 3.31,6.41",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
    // Within the buffer of the new version agrees too: 22 m.
    check_kept_1h(
        "T1 08:00 IN\nT1 09:30 IN\nfence yard square 3.3052,6.40 3.31,6.41",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
}

#[test]
fn a_presence_that_covers_the_edge_ends_at_the_fix_before_it_where_the_shape_does_not_agree() {
    check_kept_1h(
        &format!("T1 08:00 IN\nT1 08:20 IN\nT1 09:30 IN\n{AWAY}"),
        "T1 yard 08:00..08:20 exit
         visit T1 yard 08:00..08:20 confirmed 08:05 of 1",
    );
    // If that is the fix with which it began, nothing was.
    check_kept_1h(&format!("T1 08:00 IN\nT1 09:30 IN\n{AWAY}"), "");
}

#[test]
fn where_the_fence_is_gone_the_presence_ends_at_the_fix_before_the_edge_with_its_reason() {
    check_kept_1h(
        "T1 08:00 IN\nT1 08:20 IN\nT1 09:30 IN\ndelete yard at 08:10",
        "T1 yard 08:00..08:20 fence_deleted
         visit T1 yard 08:00..08:20 confirmed 08:05 of 1",
    );
    check_kept_1h(
        &format!("T1 08:00 IN\nT1 08:20 IN\nT1 09:30 IN\n{BACK} to 08:20"),
        "T1 yard 08:00..08:20 fence_ended
         visit T1 yard 08:00..08:20 confirmed 08:05 of 1",
    );
    // After that fix, and be it before the edge, it ends when it is gone.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:20 IN\nT1 09:30 IN\ndelete yard at 08:25",
        "T1 yard 08:00..08:25 fence_deleted
         visit T1 yard 08:00..08:25 confirmed 08:05 of 1",
    );
    // A version that begins after that fix changes nothing of this.
    check_kept_1h(
        &format!("T1 08:00 IN\nT1 08:20 IN\nT1 09:30 OUT\n{BACK} from 09:00\ndelete yard at 07:00"),
        "T1 yard 08:00..08:20 fence_deleted
         visit T1 yard 08:00..08:20 confirmed 08:05 of 1",
    );
}

#[test]
fn who_is_out_enters_at_the_fix_before_the_edge() {
    check_kept_1h(
        &format!("T1 08:00 3.4,6.4\nT1 08:10 OUT\nT1 08:20 OUT\nT1 09:30 OUT\n{EAST}"),
        "T1 yard 08:20..
         visit T1 yard 08:20.. confirmed 08:25 of 1",
    );
    // It is the last good one that counts, and from there on all is as usual.
    check_kept_1h(
        &format!("T1 08:20 OUT\nT1 08:21 5,6\nT1 09:00 3.4,6.4\nT1 09:30 OUT\n{EAST}"),
        "T1 yard 08:20..09:00 exit
         T1 yard 09:30..
         visit T1 yard 08:20..09:00 confirmed 08:25 of 1
         reject 4 T1 08:21 jump",
    );
}

#[test]
fn who_is_out_does_not_enter_before_a_final_row_has_ended() {
    // Deleted at 08:15, after the fix of 08:10 and before the edge of 08:30; then it was always there.
    check_kept_1h(
        &format!("T1 08:10 IN\ndelete yard at 08:15\nclock 09:30\n{BACK}"),
        "T1 yard 08:10..08:15 fence_deleted
         T1 yard 08:15..
         visit T1 yard 08:10..08:15 confirmed 08:15 of 1
         visit T1 yard 08:15.. confirmed 08:20 of 1",
    );
    // And if it is moved away again from before then, there was nothing after that row.
    check_kept_1h(
        &format!("T1 08:10 IN\ndelete yard at 08:15\nclock 09:30\n{BACK}\nclock 09:40\n{AWAY}"),
        "T1 yard 08:10..08:15 fence_deleted
         visit T1 yard 08:10..08:15 confirmed 08:15 of 1",
    );
}

#[test]
fn moved_and_moved_back_is_not_what_it_was() {
    // The second correction finds a row that ended before the edge: it is final, and so is its stay.
    let moved_and_back = |between: &str| {
        check_kept_1h(
            &format!("T1 08:00 IN\nT1 08:20 IN\nT1 09:30 IN\n{AWAY}{between}\n{BACK}"),
            "T1 yard 08:00..08:20 exit
             T1 yard 08:20..
             visit T1 yard 08:00..08:20 confirmed 08:05 of 1
             visit T1 yard 08:20.. confirmed 08:25 of 1",
        );
    };
    moved_and_back("");
    moved_and_back("\nclock 09:40");
    // Without a presence at the edge nothing is different afterwards.
    check_kept_1h(
        &format!("T1 08:40 IN\nT1 08:50 IN\nT1 09:30 IN\n{AWAY}\n{BACK}"),
        "T1 yard 08:40..
         visit T1 yard 08:40.. confirmed 08:45 of 1",
    );
}

#[test]
fn an_edit_reaches_its_own_fence_only() {
    check_kept_1h(
        "fence shed square 3.30,6.40 3.31,6.41 @06:00
         T1 08:00 IN
         T1 08:10 OUT
         fence shed square 5.30,6.40 5.31,6.41 @10:00
         set cleaning.horizon_h 24",
        "T1 shed 08:00..08:10 exit
         T1 yard 08:00..08:10 exit
         visit T1 shed 08:00..08:10 confirmed 08:05 of 1
         visit T1 yard 08:00..08:10 confirmed 08:05 of 1",
    );
}

#[test]
fn final_stays_are_joined_by_nothing() {
    // The absence is 31 minutes. With an hour of maximum the stays would be one.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:20 OUT\nT1 08:51 IN\nT1 09:30 IN\nset visits.max_absence_s 3600",
        "T1 yard 08:00..08:20 exit
         T1 yard 08:51..
         visit T1 yard 08:00..08:20 confirmed 08:05 of 1
         visit T1 yard 08:51.. confirmed 08:56 of 1",
    );
    // Neither by a late fix, though the maximum would allow it: the end is 08:29, the edge then 08:30.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:29 OUT\nT1 09:30 OUT\nset visits.min_dwell_s 301\nT1 08:30 IN\nT1 08:40 OUT",
        "T1 yard 08:00..08:29 exit
         T1 yard 08:30..08:40 exit
         visit T1 yard 08:00..08:29 confirmed 08:05 of 1
         visit T1 yard 08:30..08:40 confirmed 08:35:01 of 1",
    );
    // Where no correction has come, it is joined.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:29 OUT\nT1 09:30 OUT\nT1 08:30 IN\nT1 08:40 OUT",
        "T1 yard 08:00..08:29 exit
         T1 yard 08:30..08:40 exit
         visit T1 yard 08:00..08:40 confirmed 08:05 of 2",
    );
}

#[test]
fn a_stay_that_covers_the_edge_keeps_its_start_and_what_it_had_joined() {
    // The presence of 08:00 is final, its stay is not: with another dwell it is judged anew, from 08:00.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:20 OUT\nT1 08:21 IN\nT1 09:30 IN\nset visits.min_dwell_s 600",
        "T1 yard 08:00..08:20 exit
         T1 yard 08:21..
         visit T1 yard 08:00.. confirmed 08:10 of 2",
    );
    // With no absence allowed it does not fall apart before the edge, but after it.
    check_kept_1h(
        "T1 08:00 IN\nT1 08:20 OUT\nT1 08:21 IN\nT1 08:40 OUT\nT1 08:41 IN\nT1 09:30 IN\nset visits.max_absence_s 0",
        "T1 yard 08:00..08:20 exit
         T1 yard 08:21..08:40 exit
         T1 yard 08:41..
         visit T1 yard 08:00..08:40 confirmed 08:05 of 2
         visit T1 yard 08:41.. confirmed 08:46 of 1",
    );
    // The edge may be in an absence within the stay: 08:30 here. What came after the edge is taken back.
    check_kept_1h(
        &format!("T1 08:00 IN\nT1 08:29 OUT\nT1 08:31 IN\nT1 08:40 OUT\nT1 09:30 OUT\n{AWAY}"),
        "T1 yard 08:00..08:29 exit
         visit T1 yard 08:00..08:29 confirmed 08:05 of 1",
    );
}

#[test]
fn fixes_have_their_full_effect_after_a_correction() {
    check_kept_1h(
        &format!("T1 08:00 IN\nT1 08:20 IN\nT1 09:30 IN\n{BACK} buffer 0\nT1 08:50 OUT\nT1 08:40 OUT"),
        "T1 yard 08:00..08:40 exit
         T1 yard 09:30..
         visit T1 yard 08:00..08:40 confirmed 08:05 of 1",
    );
    // Another vehicle that is first heard of after the correction.
    check_kept_1h(
        &format!("clock 09:30\n{BACK}\nT2 08:40 IN\nT2 08:50 OUT"),
        "T2 yard 08:40..08:50 exit
         visit T2 yard 08:40..08:50 confirmed 08:45 of 1",
    );
}

#[test]
fn jumps_before_the_edge_keep_their_flags() {
    // 22 km in a minute: too fast, until 2000 km/h are allowed; but the edge is 08:30 then.
    check_kept_1h(
        "T1 08:10 IN
         T1 08:11 3.505,6.405
         T1 08:40 IN
         T1 08:41 3.505,6.405
         set cleaning.max_speed_kmh 2000 @09:30",
        "T1 yard 08:10..08:41 exit
         visit T1 yard 08:10..08:41 confirmed 08:15 of 1
         reject 4 T1 08:11 jump",
    );
    // The other way round: what was good before the edge stays good, and is what later fixes are judged by.
    check_kept_1h(
        "set cleaning.max_speed_kmh 0 @06:00
         T1 08:10 IN
         T1 08:29 5.505,6.405
         T1 08:31 IN
         T1 08:32 5.505,6.405
         set cleaning.max_speed_kmh 200 @09:30",
        "T1 yard 08:10..08:29 exit
         visit T1 yard 08:10..08:29 confirmed 08:15 of 1
         reject 6 T1 08:31 jump",
    );
}

#[test]
fn crossings_before_the_edge_are_final() {
    let gate = |shape: &str| format!("fence gate square {shape} crossed");
    let (here, away) = (gate("3.30,6.40 3.31,6.41"), gate("5.30,6.40 5.31,6.41"));
    // At 09:30 the edge is 08:30; the leg to 08:30 is not before it.
    let legs = "T1 08:24 3.295,6.405
                T1 08:27 3.315,6.405
                T1 08:30 3.295,6.405
                T1 08:33 3.315,6.405";
    let moved = |at: &str| format!("{here}\n{legs}\nclock {at}\n{away}");
    check_kept_1h(&moved("09:30"), "cross T1 gate 08:24..08:27 at 08:25:30");
    check_kept_1h(
        &moved("09:30:00.001"),
        "cross T1 gate 08:24..08:27 at 08:25:30
         cross T1 gate 08:27..08:30 at 08:28:30",
    );
    // A gate that comes to be is crossed from the last good fix before the edge on: the one of 08:27, or of 08:30.
    let built = |at: &str| format!("{legs}\nclock {at}\n{here}");
    check_kept_1h(
        &built("09:30"),
        "cross T1 gate 08:27..08:30 at 08:28:30
         cross T1 gate 08:30..08:33 at 08:31:30",
    );
    check_kept_1h(&built("09:30:00.001"), "cross T1 gate 08:30..08:33 at 08:31:30");
    // What was is final also where the vehicle was inside, as is known now.
    check_kept_1h(
        &format!("{here}\n{legs}\nclock 09:30:00.001\n{}", gate("3.29,6.40 3.31,6.41")),
        "T1 gate 08:30..08:33 exit
         cross T1 gate 08:24..08:27 at 08:25:30
         cross T1 gate 08:27..08:30 at 08:28:30",
    );
}
