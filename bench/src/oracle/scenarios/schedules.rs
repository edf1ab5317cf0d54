//! Fences that are in force at certain times only. In Lagos clocks are one hour ahead of UTC, so that `08:00-09:00`
//! of a schedule is 07:00 to 08:00 of a scenario; 2026-01-05 is a Monday.

use super::{check, with_places};

const YARD: &str = "fence yard square 3.30,6.40 3.31,6.41";

#[track_caller]
fn check_active(schedule: &str, scenario: &str, expected: &str) {
    check(&with_places(&format!("{YARD} active \"{schedule}\"\n{scenario}")), expected);
}

#[test]
fn the_end_of_an_active_stretch_ends_a_presence_once_time_has_reached_it() {
    let until_0804 = "T1 08:00 IN\n";
    check_active("06:00-09:04", &format!("{until_0804} clock 08:03:59.999"), "T1 yard 08:00..");
    check_active("06:00-09:04", &format!("{until_0804} clock 08:04"), "T1 yard 08:00..08:04 fence_ended");
    // Or a good fix of that vehicle, and of no other.
    check_active(
        "06:00-09:04",
        "T1 08:00 IN @08:00\nT2 08:00 IN @08:00\nT1 08:04 IN @08:01",
        "T1 yard 08:00..08:04 fence_ended\nT2 yard 08:00..",
    );
}

#[test]
fn a_fence_that_is_off_is_entered_and_left_by_nobody() {
    check_active("08:00-09:00", "T1 06:59:59.999 IN\nT1 08:00 IN\nT1 08:10 OUT", "");
    // Who was there before enters with the first fix in active time.
    check_active(
        "08:00-09:00",
        "T1 06:50 IN\nT1 07:00 IN\nT1 07:10 OUT",
        "T1 yard 07:00..07:10 exit\nvisit T1 yard 07:00..07:10 confirmed 07:05 of 1",
    );
}

#[test]
fn a_night_off_ends_the_stay_of_who_is_parked() {
    check_active(
        "Mo-Fr 06:00-18:00",
        "T1 08:00 IN\nT1 16:59 IN\nT1 20:00 IN\nT1 +04:59 IN\nT1 +05:10 IN\nT1 +05:20 OUT",
        "T1 yard 08:00..17:00 fence_ended
         T1 yard +05:10..+05:20 exit
         visit T1 yard 08:00..17:00 confirmed 08:05 of 1
         visit T1 yard +05:10..+05:20 confirmed +05:15 of 1",
    );
    // Stays join over inactive time as over any other absence.
    check_active(
        "06:00-09:04,09:05-18:00",
        "T1 08:00 IN\nT1 08:04:30 IN\nT1 08:06 IN\nT1 08:10 OUT",
        "T1 yard 08:00..08:04 fence_ended
         T1 yard 08:06..08:10 exit
         visit T1 yard 08:00..08:10 confirmed 08:05 of 2",
    );
}

#[test]
fn what_runs_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let night = "T1 20:50 IN\nT1 21:30 IN\nT1 +03:00 IN\nT1 +05:00 OUT";
    let seen = "T1 yard 21:30..+04:00 fence_ended\nvisit T1 yard 21:30..+04:00 confirmed 21:35 of 1";
    check_active("22:00-05:00", night, seen);
    check_active("Mo 22:00-05:00", night, seen);
    check_active("Mo 22:00-05:00; Tu off", night, seen);
    check_active("Tu-Su 22:00-05:00", night, "");
}

#[test]
fn nothing_ends_between_spans_that_touch_or_overlap() {
    for schedule in [
        "Mo 07:00-24:00; Tu 00:00-06:00",
        "08:00-09:00,09:00-23:00,22:00-06:00",
        "Mo 08:00-06:00",
        "24/7",
        "00:00-24:00",
        "24/7; We off",
    ] {
        check_active(
            schedule,
            "T1 07:30 IN\nT1 +00:30 IN\nT1 +01:00 OUT",
            "T1 yard 07:30..+01:00 exit\nvisit T1 yard 07:30..+01:00 confirmed 07:35 of 1",
        );
    }
    check_active("24/7; Tu off", "T1 07:30 IN\nT1 +00:30 IN", &visit("07:30", "23:00"));
}

/// A presence from a whole ten minutes on that a fence's end has ended, and its visit.
fn visit(entered: &str, exited: &str) -> String {
    let (ten_minutes, _) = entered.split_at(4);
    let dwell = format!("{ten_minutes}5");
    format!(
        "T1 yard {entered}..{exited} fence_ended\nvisit T1 yard {entered}..{exited} confirmed {dwell} of 1"
    )
}

#[test]
fn a_later_rule_replaces_earlier_ones_on_its_days() {
    check_active(
        "08:00-20:00; Mo 10:00-11:00",
        "T1 08:50 IN\nT1 09:10 IN\nT1 10:30 IN",
        &visit("09:10", "10:00"),
    );
    check_active("08:00-20:00; Mo off", "T1 08:50 IN\nT1 10:30 IN", "");
    check_active("Sa-Mo,We 08:00-20:00; Tu off", "T1 09:10 IN\nT1 20:30 IN", &visit("09:10", "19:00"));
}

#[test]
fn times_are_those_of_the_fences_zone_else_of_the_fleets() {
    let scenario = "T1 07:50 IN\nT1 08:30 IN\nT1 09:40 IN";
    let yard = format!("{YARD} active 09:00-10:00");
    let seen = visit("08:30", "09:00");
    check(&with_places(&format!("{yard}\n{scenario}")), &seen);
    check(&with_places(&format!("{yard} zone Africa/Lagos\nset zone UTC\n{scenario}")), &seen);
    check(&with_places(&format!("{yard} zone Africa/Nairobi\n{scenario}")), "");
    let seen_in_accra = "T1 yard 09:40..\nvisit T1 yard 09:40.. confirmed 09:45 of 1";
    check(&with_places(&format!("{yard} zone Africa/Accra\n{scenario}\nclock 09:50")), seen_in_accra);
}

#[test]
fn a_zone_that_is_set_is_a_correction() {
    let yard = format!("{YARD} active 09:00-10:00");
    let scenario = format!("{yard}\nT1 08:30 IN\nT1 09:40 IN\nT1 10:20 OUT\n");
    check(&with_places(&scenario), &visit("08:30", "09:00"));
    check(&with_places(&format!("{scenario} set zone Africa/Accra")), &visit("09:40", "10:00"));
    check(&with_places(&format!("{scenario} set zone Africa/Nairobi")), "");
    // The last one counts.
    check(
        &with_places(&format!("{scenario} set zone Africa/Nairobi\nset zone Europe/Madrid")),
        &visit("08:30", "09:00"),
    );
}

#[test]
fn summer_time_moves_what_is_active() {
    // In London it is 06:00 at 06:00Z in winter, and at 05:00Z from 2026-03-29 on.
    let yard = format!("{YARD} active 06:00-18:00 zone Europe/London");
    let fixes = "T1 2026-03-28T05:30:00Z IN\nT1 2026-03-28T06:30:00Z IN\nT1 2026-03-29T05:30:00Z IN\n";
    check(
        &with_places(&format!("{yard}\n{fixes}\nclock 2026-03-29T17:00:00Z")),
        "T1 yard 2026-03-28T06:30:00Z..2026-03-28T18:00:00Z fence_ended
         T1 yard 2026-03-29T05:30:00Z..2026-03-29T17:00:00Z fence_ended
         visit T1 yard 2026-03-28T06:30:00Z..2026-03-28T18:00:00Z confirmed 2026-03-28T06:35:00Z of 1
         visit T1 yard 2026-03-29T05:30:00Z..2026-03-29T17:00:00Z confirmed 2026-03-29T05:35:00Z of 1",
    );
}

/// In London, on the Sunday on which clocks are set forward at 01:00Z, or back.
#[track_caller]
fn check_in_london(schedule: &str, day: &str, fixes: &[&str], presences: &[(&str, &str)]) {
    let fixes: String = fixes.iter().map(|time| format!("T1 {day}T{time}:00Z IN\n")).collect();
    let presences: Vec<String> = presences
        .iter()
        .map(|(entered, exited)| format!("T1 yard {day}T{entered}:00Z..{day}T{exited}:00Z fence_ended"))
        .collect();
    let yard = format!("{YARD} dwell 86400 active \"{schedule}\" zone Europe/London");
    check(&with_places(&format!("{yard}\n{fixes}clock {day}T06:00:00Z")), &presences.join("\n"));
}

#[test]
fn where_clocks_are_set_forward_a_skipped_time_is_that_moment() {
    let day = "2026-03-29";
    let fixes = ["00:10", "00:40", "01:00", "01:10", "01:40", "02:10"];
    check_in_london("Su 00:30-02:30", day, &fixes, &[("00:40", "01:30")]);
    check_in_london("Su 00:30-01:30", day, &fixes, &[("00:40", "01:00")]);
    check_in_london("Su 01:30-02:30", day, &fixes, &[("01:00", "01:30")]);
    // It does not take place that day.
    check_in_london("Su 01:10-01:50", day, &fixes, &[]);
    // Two on both sides are one.
    check_in_london("Su 00:30-01:00,02:00-02:30", day, &fixes, &[("00:40", "01:30")]);
    check_in_london("Su 00:30-01:20,01:40-02:30", day, &fixes, &[("00:40", "01:30")]);
    check_in_london("Su 00:30-00:59,02:00-02:30", day, &fixes, &[("00:40", "00:59"), ("01:00", "01:30")]);
}

#[test]
fn where_clocks_are_set_back_the_first_showing_counts() {
    // 00:00Z is 01:00 in London, 00:59Z is 01:59, and 01:00Z is 01:00 again.
    let day = "2026-10-25";
    let fixes = ["00:10", "00:40", "00:50", "01:10", "01:40", "02:10"];
    check_in_london("Su 01:30-01:45", day, &fixes, &[("00:40", "00:45")]);
    check_in_london("Su 01:30-03:00", day, &fixes, &[("00:40", "03:00")]);
    check_in_london("Su 01:00-01:30", day, &fixes, &[("00:10", "00:30")]);
    check_in_london("Su 02:00-03:00", day, &fixes, &[("02:10", "03:00")]);
}

#[test]
fn a_version_with_a_schedule_ends_as_others_do() {
    let check_until = |end: &str, expected: &str| {
        let yard = format!("{YARD} active 06:00-09:10 {end}");
        check(&with_places(&format!("{yard}\nT1 08:00 IN\nclock 10:00")), expected);
    };
    check_until("to 08:05", &visit("08:00", "08:05"));
    check_until("to 08:20", &visit("08:00", "08:10"));
    check_until("from 07:00 to 08:20", &visit("08:00", "08:10"));
    // Of a delete and the end of an active stretch at one time the delete names the reason; a later one is none.
    check_until("\ndelete yard at 08:10", &visit("08:00", "08:10").replace("fence_ended", "fence_deleted"));
    check_until("\ndelete yard at 08:11", &visit("08:00", "08:10"));
}

#[test]
fn where_a_version_begins_nothing_ends_if_both_are_active() {
    let both = |first: &str, second: &str| {
        format!("{YARD} {first}\n{YARD} {second} from 08:10\nT1 08:00 IN\nT1 08:20 IN\nT1 08:40 OUT")
    };
    let one = "T1 yard 08:00..08:40 exit\nvisit T1 yard 08:00..08:40 confirmed 08:05 of 1";
    check(&with_places(&both("", "active 08:00-20:00")), one);
    check(&with_places(&both("active 08:00-20:00", "")), one);
    // Just where one is off the next one is on.
    check(&with_places(&both("active 08:00-09:10", "active 09:10-20:00")), one);
    check(
        &with_places(&both("", "active 09:15-20:00")),
        "T1 yard 08:00..08:10 fence_ended
         T1 yard 08:20..08:40 exit
         visit T1 yard 08:00..08:10 confirmed 08:05 of 1
         visit T1 yard 08:20..08:40 confirmed 08:25 of 1",
    );
    check(&with_places(&both("", "active 20:00-21:00")), &visit("08:00", "08:10"));
}

#[test]
fn settings_of_a_stay_are_those_of_the_version_that_is_valid_at_its_start_active_or_not() {
    // The stay covers the edge at 08:10 and keeps its start, at which the new version is not active.
    check_kept_1h(
        &format!("{YARD} @06:00\nT1 08:00 IN\nT1 08:05 IN\n{YARD} active 09:03-18:00 dwell 3600 @09:10"),
        "T1 yard 08:00..\nvisit T1 yard 08:00.. confirmed 09:00 of 1",
    );
}

#[test]
fn a_crossing_is_within_one_active_stretch() {
    let leg = "T1 08:00 3.295,6.405\nT1 08:04 3.315,6.405";
    let crossing = "cross T1 yard 08:00..08:04 at 08:02";
    // At 08:04 a fence that is active until then is off already.
    for (schedule, expected) in [
        ("06:00-18:00", crossing),
        ("09:00-09:04", ""),
        ("09:00-09:05", crossing),
        ("09:01-18:00", ""),
        ("06:00-09:03", ""),
        ("06:00-09:01,09:03-18:00", ""),
        ("06:00-09:02,09:02-18:00", crossing),
        ("18:00-20:00", ""),
    ] {
        check(&format!("{YARD} crossed active {schedule}\n{leg}"), expected);
    }
}

/// Where everything is kept for an hour.
#[track_caller]
fn check_kept_1h(scenario: &str, expected: &str) {
    let settings = "set history.keep_h 1 cleaning.horizon_h 1 @06:00\n";
    check(&with_places(&format!("{settings}{scenario}")), expected);
}

#[test]
fn a_schedule_reaches_no_further_than_other_edits() {
    let scenario = |edit: &str| {
        format!("{YARD} @06:00\nT1 08:00 IN\nT1 08:10 OUT\nT1 08:20 IN\nT1 09:30 OUT\n{edit}\nclock 10:00")
    };
    // The edge is 08:30; the presence since 08:20 covers it. What is final stays, on or off.
    let kept = "T1 yard 08:00..08:10 exit";
    let kept_visit = "visit T1 yard 08:00..08:10 confirmed 08:05 of 1";
    check_kept_1h(&scenario(&format!("{YARD} active 20:00-21:00")), &format!("{kept}\n{kept_visit}"));
    for (schedule, end) in [("09:15-09:50", "08:50"), ("09:15-09:30", "08:30")] {
        check_kept_1h(
            &scenario(&format!("{YARD} active {schedule}")),
            &format!(
                "{kept}
                 T1 yard 08:20..{end} fence_ended
                 {kept_visit}
                 visit T1 yard 08:20..{end} confirmed 08:25 of 1"
            ),
        );
    }
}

#[test]
fn a_zone_reaches_no_further_than_other_settings() {
    // Off at 08:10Z in Lagos, and in Accra at 09:10Z.
    let yard = format!("{YARD} active 06:00-09:10");
    let fixes = "T1 08:00 IN\nT1 08:05 IN\nT1 08:50 IN\n";
    check_kept_1h(
        &format!("{yard} @06:00\n{fixes} T1 09:05 OUT\nset zone Africa/Accra"),
        "T1 yard 08:00..09:05 exit\nvisit T1 yard 08:00..09:05 confirmed 08:05 of 1",
    );
    // Ended before the edge at 08:30, it is final. Who is inside enters anew where that one ended.
    check_kept_1h(
        &format!("{yard} @06:00\n{fixes} T1 09:30 OUT\nset zone Africa/Accra"),
        "T1 yard 08:00..08:10 fence_ended
         T1 yard 08:10..09:10 fence_ended
         visit T1 yard 08:00..08:10 confirmed 08:05 of 1
         visit T1 yard 08:10..09:10 confirmed 08:15 of 1",
    );
}

#[test]
fn active_time_that_is_over_before_the_edge_leaves_nothing() {
    // Inside and active at the fix before the edge at 08:30, but only until 08:20, or just until the edge.
    let scenario = |until: &str| format!("T1 08:00 IN\nclock 09:30\n{YARD} active 06:00-{until}");
    check_kept_1h(&scenario("09:20"), "");
    check_kept_1h(&scenario("09:30"), &visit("08:00", "08:30"));
}
