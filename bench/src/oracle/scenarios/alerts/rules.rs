//! Rules: whom they are for, and from when on.

use super::{check, check_course};

fn too_fast(span: &str, due: &str, limit_kmh: &str) -> String {
    format!(r#"overspeed warning T1 {span} due {due} {{"limit_kmh":{limit_kmh},"max_speed_kmh":65}}"#)
}

/// At 65 km/h for ten minutes, then at rest.
const AT_65: &str = "T1 08:00 OUT speed 65\nT1 08:05 OUT speed 65\nT1 08:10 OUT speed 0";

#[test]
fn the_narrowest_scope_has_its_say() {
    let at_65 = |rules: &str| format!("{rules}\n{AT_65}");
    check("overspeed", &at_65(""), &too_fast("08:00..08:10", "08:00:30", "60"));
    check("overspeed", &at_65("rule overspeed fleet limit 70"), "");
    check(
        "overspeed",
        &at_65("rule overspeed fleet limit 70\nrule overspeed vehicle T1 limit 50"),
        &too_fast("08:00..08:10", "08:00:30", "50"),
    );
    check("overspeed", &at_65("rule overspeed vehicle T1 limit 70\nrule overspeed fleet limit 50"), "");
    check(
        "overspeed",
        &at_65("rule overspeed vehicle T2 limit 70"),
        &too_fast("08:00..08:10", "08:00:30", "60"),
    );
}

#[test]
fn a_fence_wins_over_a_vehicle() {
    let there = |rules: &str| {
        format!("rule overspeed vehicle T1 limit 70\n{rules}\nT1 08:00 SHOP speed 65\nclock 08:01")
    };
    check("overspeed", &there(""), "");
    check(
        "overspeed",
        &there("rule overspeed fence shop limit 40"),
        r#"overspeed warning T1 08:00.. due 08:00:30 fence shop {"limit_kmh":40,"max_speed_kmh":65}"#,
    );
    // Its rule wins over its property, higher or lower.
    check(
        "overspeed",
        "rule overspeed fence slow limit 40\nT1 08:00 SLOW speed 35\nT1 08:10 SLOW speed 45\nclock 08:20",
        r#"overspeed warning T1 08:10.. due 08:10:30 fence slow {"limit_kmh":40,"max_speed_kmh":45}"#,
    );
}

#[test]
fn of_several_fences_the_strictest_speaks() {
    // One that is off is heard only if there is no other.
    let at_25 = |rules: &str| format!("{rules}\nT1 08:00 SHARP speed 25\nclock 08:01");
    check("overspeed", &at_25("rule overspeed fence sharp off"), "");
    check(
        "overspeed",
        &at_25("rule overspeed fence sharp off\nrule overspeed fence slow limit 10"),
        r#"overspeed warning T1 08:00.. due 08:00:30 fence slow {"limit_kmh":10,"max_speed_kmh":25}"#,
    );
    check("overspeed", &at_25("rule overspeed fence sharp off\nrule overspeed fence slow off"), "");
}

#[test]
fn what_a_rule_leaves_open_a_wider_one_says() {
    check(
        "overspeed",
        &format!(
            "rule overspeed fleet limit 50 for 600 severity critical\nrule overspeed vehicle T1 limit 64 for 300
             rule overspeed vehicle T1\nrule overspeed vehicle T1 limit 64\n{AT_65}"
        ),
        r#"overspeed critical T1 08:00..08:10 due 08:10 {"limit_kmh":64,"max_speed_kmh":65}"#,
    );
    // One that says nothing but that it holds is as none.
    check(
        "overspeed",
        &format!(
            "rule overspeed fleet limit 50\nrule overspeed vehicle T1 off\nrule overspeed vehicle T1\n{AT_65}"
        ),
        &too_fast("08:00..08:10", "08:00:30", "50"),
    );
}

#[test]
fn a_rule_that_is_off_raises_nothing() {
    check("overspeed", &format!("rule overspeed fleet off\n{AT_65}"), "");
    check("overspeed", &format!("rule overspeed vehicle T1 off\n{AT_65}"), "");
    // A narrower one is on by itself.
    check(
        "overspeed",
        &format!("rule overspeed fleet off\nrule overspeed vehicle T1 limit 60\n{AT_65}"),
        &too_fast("08:00..08:10", "08:00:30", "60"),
    );
}

#[test]
fn a_rule_holds_for_fixes_from_its_instant_on() {
    // It ends what goes on at the next fix, as it is judged by the new limit.
    let changed = |rule: &str| {
        format!(
            "T1 08:00 OUT speed 65 @08:00\n{rule} @08:05\nT1 08:05 OUT speed 65 @08:05\nT1 08:10 OUT speed 0 @08:10"
        )
    };
    check(
        "overspeed",
        &changed("rule overspeed fleet limit 70"),
        &too_fast("08:00..08:05", "08:00:30", "60"),
    );
    check("overspeed", &changed("rule overspeed fleet off"), &too_fast("08:00..08:05", "08:00:30", "60"));
    // Or begins something.
    check(
        "overspeed",
        "rule overspeed fleet limit 70\nT1 08:00 OUT speed 65 @08:00\nrule overspeed fleet limit 60 @08:05
         T1 08:05 OUT speed 65 @08:05\nT1 08:10 OUT speed 0 @08:10",
        &too_fast("08:05..08:10", "08:05:30", "60"),
    );
}

#[test]
fn duration_and_severity_are_those_of_the_beginning() {
    check(
        "overspeed",
        "T1 08:00 OUT speed 65 @08:00\nrule overspeed fleet for 3600 severity critical @08:00:01
         T1 08:05 OUT speed 65 @08:05\nT1 08:10 OUT speed 0 @08:10",
        &too_fast("08:00..08:10", "08:00:30", "60"),
    );
}

#[test]
fn what_began_before_a_rule_and_comes_late_is_judged_by_the_one_before() {
    check(
        "overspeed",
        "T2 08:30 OUT @08:30\nrule overspeed fleet limit 70 @08:30\nT1 08:00 OUT speed 65 @08:31\nT1 08:10 OUT speed 0 @08:31",
        &too_fast("08:00..08:10", "08:00:30", "60"),
    );
}

#[test]
fn a_rule_that_corrects_history_has_always_held() {
    let corrected =
        |rule: &str| format!("T1 08:00 OUT speed 65 @08:00\nT1 08:10 OUT speed 0 @08:10\n{rule} @09:00");
    check(
        "overspeed",
        &corrected("rule overspeed fleet limit 70"),
        &too_fast("08:00..08:10", "08:00:30", "60"),
    );
    check("overspeed", &corrected("rule overspeed fleet limit 70 always"), "");
    // It replaces dated ones, and is replaced by later ones from their instants on.
    check(
        "overspeed",
        "rule overspeed fleet off @07:00\nT1 08:00 OUT speed 65 @08:00\nT1 08:10 OUT speed 0 @08:10
         rule overspeed fleet limit 60 always @09:00\nrule overspeed fleet off @09:00
         T1 09:10 OUT speed 65 @09:10\nT1 09:20 OUT speed 0 @09:20",
        &too_fast("08:00..08:10", "08:00:30", "60"),
    );
}

#[test]
fn a_rule_corrects_no_more_history_than_is_kept() {
    let until = |corrected_at: &str| {
        format!(
            "set history.keep_h 24\nT1 08:00 OUT speed 65 @08:00\nT1 08:10 OUT speed 65 @08:10\nT1 08:20 OUT speed 0 @08:20
             rule overspeed fleet off always @{corrected_at}"
        )
    };
    check("overspeed", &until("+08:00"), "");
    // The fix of 08:00 is older than the edge, the next one is not any more too fast.
    check("overspeed", &until("+08:05"), &too_fast("08:00..08:10", "08:00:30", "60"));
    check("overspeed", &until("+08:30"), &too_fast("08:00..08:20", "08:00:30", "60"));
}

#[test]
fn the_last_rule_of_an_instant_counts() {
    check_course(
        "idle",
        "T1 08:00 OUT speed 0 ignition on @08:00\nclock 08:10",
        &[
            ("rule idle fleet for 60 always", "idle warning T1 08:00.. due 08:01"),
            ("rule idle fleet for 1200 always", ""),
            ("rule idle fleet for 600 severity info always", "idle info T1 08:00.. due 08:10"),
        ],
    );
}

#[test]
fn the_threshold_of_idling_is_a_speed() {
    check(
        "idle",
        "rule idle fence depot limit 10 for 600\nT1 08:00 DEPOT speed 9.9 ignition on\nT1 08:15 DEPOT speed 10 ignition on",
        "idle warning T1 08:00..08:15 due 08:10",
    );
}
