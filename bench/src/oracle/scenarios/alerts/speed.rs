//! Speed and idling: episodes over fixes.

use super::{check, check_course};

#[test]
fn an_episode_is_raised_once_it_is_due_and_ends_where_a_fix_denies_it() {
    check_course(
        "overspeed",
        "",
        &[
            ("T1 08:00 OUT speed 83.4", ""),
            ("clock 08:00:29.999", ""),
            (
                "clock 08:00:30",
                r#"overspeed warning T1 08:00.. due 08:00:30 {"limit_kmh":60,"max_speed_kmh":83.4}"#,
            ),
            (
                "T1 08:01 OUT speed 90",
                r#"overspeed warning T1 08:00.. due 08:00:30 {"limit_kmh":60,"max_speed_kmh":90}"#,
            ),
            (
                "T1 08:02 OUT speed 60",
                r#"overspeed warning T1 08:00..08:02 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":90}"#,
            ),
            // Another one.
            (
                "T1 08:03 OUT speed 61\nclock 08:04",
                r#"overspeed warning T1 08:00..08:02 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":90}
                   overspeed warning T1 08:03.. due 08:03:30 {"limit_kmh":60,"max_speed_kmh":61}"#,
            ),
        ],
    );
}

#[test]
fn a_condition_that_held_exactly_so_long_is_an_episode() {
    let until = |ended: &str| format!("T1 08:00 OUT speed 61\nT1 {ended} OUT speed 50\nclock 09:00");
    check(
        "overspeed",
        &until("08:00:30"),
        r#"overspeed warning T1 08:00..08:00:30 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":61}"#,
    );
    check("overspeed", &until("08:00:29.999"), "");
}

#[test]
fn a_fix_ahead_of_the_instant_proves_the_duration() {
    check(
        "overspeed",
        "T1 08:00 OUT speed 61 @08:00\nT1 08:00:40 OUT speed 50 @08:00:10",
        r#"overspeed warning T1 08:00..08:00:40 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":61}"#,
    );
    // That it goes on so long is known only once time has come to it.
    check("overspeed", "T1 08:00 OUT speed 61 @08:00\nT1 08:00:40 OUT speed 62 @08:00:10", "");
}

#[test]
fn the_rounded_speed_is_compared() {
    let at = |speed: &str| format!("T1 08:00 OUT speed {speed}\nclock 08:01");
    check("overspeed", &at("60.049"), "");
    check(
        "overspeed",
        &at("60.05"),
        r#"overspeed warning T1 08:00.. due 08:00:30 {"limit_kmh":60,"max_speed_kmh":60.1}"#,
    );
}

#[test]
fn an_unknown_speed_neither_begins_nor_ends_anything() {
    check(
        "overspeed",
        "T1 08:00 OUT\nT1 08:01 OUT speed 70\nT1 08:02 OUT\nT1 08:03 OUT speed 70\nT1 08:04 OUT speed 60\nT1 08:05 OUT",
        r#"overspeed warning T1 08:01..08:04 due 08:01:30 {"limit_kmh":60,"max_speed_kmh":70}"#,
    );
}

#[test]
fn silence_ends_nothing() {
    // Nor does it begin anything: it is one episode over the gap.
    check(
        "overspeed",
        "T1 08:00 OUT speed 70\nT1 11:00 OUT speed 75\nT1 11:01 OUT speed 0",
        r#"overspeed warning T1 08:00..11:01 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":75}"#,
    );
}

#[test]
fn fixes_that_are_jumps_say_nothing() {
    // 0.9 degrees within a minute, and back.
    check(
        "overspeed",
        "T1 08:00 OUT speed 70\nT1 08:01 4.5,0 speed 10\nT1 08:02 OUT speed 70\nT1 08:03 OUT speed 50",
        r#"overspeed warning T1 08:00..08:03 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":70}"#,
    );
    check("overspeed", "T1 08:00 OUT speed 50\nT1 08:01 4.5,0 speed 180\nT1 08:02 OUT speed 50", "");
}

#[test]
fn of_two_fixes_at_one_time_the_speed_of_the_one_that_counts_counts() {
    // Another place: the last arrival. A repeat of the same place changes nothing, its speed neither.
    check(
        "overspeed",
        "T1 08:00 OUT speed 50\nT1 08:00 3.6001,0 speed 70\nclock 08:01",
        r#"overspeed warning T1 08:00.. due 08:00:30 {"limit_kmh":60,"max_speed_kmh":70}"#,
    );
    check("overspeed", "T1 08:00 OUT speed 50\nT1 08:00 OUT speed 70\nclock 08:01", "");
}

#[test]
fn a_fence_has_a_limit_of_its_own() {
    check(
        "overspeed",
        "T1 08:00 OUT speed 50\nT1 08:10 SLOW speed 50\nT1 08:20 OUT speed 50",
        r#"overspeed warning T1 08:10..08:20 due 08:10:30 fence slow {"limit_kmh":30,"max_speed_kmh":50}"#,
    );
    // Of several the lowest.
    check(
        "overspeed",
        "T1 08:10 SHARP speed 25\nT1 08:20 SLOW speed 25",
        r#"overspeed warning T1 08:10..08:20 due 08:10:30 fence sharp {"limit_kmh":20,"max_speed_kmh":25}"#,
    );
}

#[test]
fn a_fence_may_allow_more_than_the_fleet() {
    check(
        "overspeed",
        "fence motorway square 3.59,-0.1 3.61,0.1 limit 90\nT1 08:00 OUT speed 80\nclock 09:00",
        "",
    );
}

#[test]
fn an_episode_goes_on_from_one_limit_to_another() {
    // Too fast for the fence, and then for the fleet.
    check(
        "overspeed",
        "T1 08:00 SLOW speed 50\nT1 08:05 OUT speed 70\nT1 08:10 OUT speed 50",
        r#"overspeed warning T1 08:00..08:10 due 08:00:30 fence slow {"limit_kmh":30,"max_speed_kmh":70}"#,
    );
}

#[test]
fn a_limit_holds_as_long_as_the_presence() {
    // 22 m beside the fence, which the buffer of 30 m keeps; then at 221 m.
    check(
        "overspeed",
        "T1 08:00 3.514,0 speed 20\nT1 08:05 3.5152,0 speed 40\nT1 08:10 3.517,0 speed 40",
        r#"overspeed warning T1 08:05..08:10 due 08:05:30 fence sharp {"limit_kmh":20,"max_speed_kmh":40}"#,
    );
}

#[test]
fn idling_is_a_running_engine_and_no_way() {
    check_course(
        "idle",
        "",
        &[
            ("T1 08:00 OUT speed 4.9 ignition on", ""),
            ("clock 08:19:59.999", ""),
            ("clock 08:20", "idle warning T1 08:00.. due 08:20"),
            ("T1 08:30 OUT speed 0 ignition on", "idle warning T1 08:00.. due 08:20"),
            ("T1 08:31 OUT speed 5 ignition on", "idle warning T1 08:00..08:31 due 08:20"),
        ],
    );
    check(
        "idle",
        "T1 08:00 OUT speed 0 ignition on\nT1 08:20 OUT ignition off\nclock 09:00",
        "idle warning T1 08:00..08:20 due 08:20",
    );
    check("idle", "T1 08:00 OUT speed 0 ignition on\nT1 08:19:59 OUT ignition off\nclock 09:00", "");
    check("idle", "T1 08:00 OUT speed 0 ignition off\nclock 09:00", "");
}

#[test]
fn idling_is_not_guessed_from_half_of_what_it_takes() {
    check("idle", "T1 08:00 OUT speed 0\nT1 08:10 OUT ignition on\nclock 09:00", "");
    // Once it is known, a fix that leaves something open does not deny it. One that moves does.
    check(
        "idle",
        "T1 08:00 OUT speed 0 ignition on\nT1 08:10 OUT speed 0\nT1 08:20 OUT ignition on\nT1 08:30 OUT speed 30",
        "idle warning T1 08:00..08:30 due 08:20",
    );
}
