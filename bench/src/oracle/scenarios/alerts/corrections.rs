//! What late fixes, edits and plans make of alerts; and that the order of arrival makes nothing of them.

use model::GraphSettings;

use super::{alerts, check, check_course, parse, with_places};
use crate::oracle::{Input, recompute, recompute_rows};

#[test]
fn a_late_fix_splits_an_episode() {
    let episode = "T1 08:00 OUT speed 70 @08:20\nT1 08:10 OUT speed 80 @08:20\nT1 08:20 OUT speed 0 @08:20";
    check(
        "overspeed",
        episode,
        r#"overspeed warning T1 08:00..08:20 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":80}"#,
    );
    check(
        "overspeed",
        &format!("{episode}\nT1 08:05 OUT speed 50 @08:20"),
        r#"overspeed warning T1 08:00..08:05 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":70}
           overspeed warning T1 08:10..08:20 due 08:10:30 {"limit_kmh":60,"max_speed_kmh":80}"#,
    );
    // One part is too short.
    check(
        "overspeed",
        &format!("{episode}\nT1 08:00:20 OUT speed 50 @08:20"),
        r#"overspeed warning T1 08:10..08:20 due 08:10:30 {"limit_kmh":60,"max_speed_kmh":80}"#,
    );
}

#[test]
fn a_late_fix_joins_two_episodes_or_begins_one_earlier() {
    check_course(
        "idle",
        "T1 08:00 OUT speed 0 ignition on @09:00\nT1 08:15 OUT speed 30 @09:00\nT1 08:20 OUT speed 0 ignition on @09:00",
        &[
            ("T1 09:00 OUT ignition off @09:00", "idle warning T1 08:20..09:00 due 08:40"),
            // Another place at the time of the one that had moved.
            ("T1 08:15 3.6001,0 speed 0 @09:00", "idle warning T1 08:00..09:00 due 08:20"),
            ("T1 07:50 OUT speed 0 ignition on @09:00", "idle warning T1 07:50..09:00 due 08:10"),
        ],
    );
}

#[test]
fn a_fix_that_is_flagged_later_is_taken_out_of_its_episode() {
    // 50 km within 31 minutes are possible, but not within one.
    check_course(
        "overspeed",
        "T1 08:00 OUT speed 70 @09:00\nT1 08:31 4.05,0 speed 70 @09:00\nT1 08:50 OUT speed 50 @09:00",
        &[
            ("", r#"overspeed warning T1 08:00..08:50 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":70}"#),
            (
                "T1 08:30 OUT speed 70 @09:00\nT1 08:32 OUT speed 60 @09:00",
                r#"overspeed warning T1 08:00..08:32 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":70}"#,
            ),
        ],
    );
}

#[test]
fn a_fence_that_is_edited_corrects_its_limit() {
    let drive = "T1 08:00 SHOP speed 50\nT1 08:10 ROAD speed 50";
    check_course(
        "overspeed",
        drive,
        &[
            ("clock 09:00", ""),
            (
                "fence shop square 3.195,-0.005 3.205,0.005 limit 40",
                r#"overspeed warning T1 08:00..08:10 due 08:00:30 fence shop {"limit_kmh":40,"max_speed_kmh":50}"#,
            ),
            ("delete shop at 07:00", ""),
        ],
    );
    // A version from then on corrects nothing before it.
    check(
        "overspeed",
        &format!(
            "{drive}\nfence shop square 3.195,-0.005 3.205,0.005 limit 40 from 08:05\nT1 08:20 SHOP speed 45\nclock 08:30"
        ),
        r#"overspeed warning T1 08:20.. due 08:20:30 fence shop {"limit_kmh":40,"max_speed_kmh":45}"#,
    );
}

#[test]
fn an_edit_corrects_no_more_history_than_is_kept() {
    let edited = |at: &str| {
        format!(
            "set history.keep_h 24\nT1 08:00 SHOP speed 50 @08:00\nT1 08:10 SHOP speed 50 @08:10\nT1 08:20 ROAD speed 0 @08:20
             fence shop square 3.195,-0.005 3.205,0.005 limit 40 @{at}"
        )
    };
    let since = |started: &str, due: &str| {
        format!(
            r#"overspeed warning T1 {started}..08:20 due {due} fence shop {{"limit_kmh":40,"max_speed_kmh":50}}"#
        )
    };
    check("overspeed", &edited("+08:00"), &since("08:00", "08:00:30"));
    check("overspeed", &edited("+08:05"), &since("08:10", "08:10:30"));
    check("overspeed", &edited("+08:30"), "");
}

#[test]
fn a_fence_that_is_edited_corrects_entries_and_exits() {
    check_course(
        "geofence",
        "fence gate square 3.595,-0.005 3.605,0.005 alert\nT1 08:00 OUT\nT1 08:10 3.61,0\nT1 08:20 3.63,0",
        &[
            (
                "clock 09:00",
                "geofence_entry info T1 08:00..08:10 due 08:00 fence gate
                 geofence_exit info T1 08:10.. due 08:12 fence gate",
            ),
            (
                "fence gate square 3.595,-0.005 3.615,0.005 alert",
                "geofence_entry info T1 08:00..08:20 due 08:00 fence gate
                 geofence_exit info T1 08:20.. due 08:22 fence gate",
            ),
            ("fence gate square 3.595,-0.005 3.615,0.005", ""),
        ],
    );
}

#[test]
fn a_trip_that_is_planned_anew_takes_its_alerts_along() {
    check_course(
        "trip_delay",
        "trip t T1 depot shop 08:00",
        &[
            ("clock 10:00", r#"trip_delay warning T1 08:00.. due 10:00 trip t {"of":"departure"}"#),
            // Another vehicle: the same alert.
            (
                "trip t T2 depot shop 08:00",
                r#"trip_delay warning T2 08:00.. due 10:00 trip t {"of":"departure"}"#,
            ),
            ("trip t T2 depot shop 09:00", ""),
        ],
    );
    let ids = |scenario: &str| {
        let rows = recompute_rows(&parse(scenario), &GraphSettings::default());
        rows.alerts.iter().map(|row| row.alert_id).collect::<Vec<_>>()
    };
    let plan = "trip t T1 depot shop 08:00\nclock 10:00";
    assert_eq!(ids(plan).len(), 1);
    assert_eq!(ids(plan), ids(&format!("{plan}\ntrip t T2 depot shop 08:00")));
}

#[test]
fn an_id_is_that_of_kind_subject_and_beginning() {
    let ids = |scenario: &str| {
        let rows = recompute_rows(&parse(&with_places(scenario)), &GraphSettings::default());
        let of_speed = rows.alerts.iter().filter(|row| &*row.kind == "overspeed");
        of_speed.map(|row| row.alert_id).collect::<Vec<_>>()
    };
    let open = "T1 08:00 OUT speed 70\nclock 08:01";
    let ended =
        "rule overspeed fleet limit 50 severity critical\nT1 08:00 OUT speed 70\nT1 08:05 OUT speed 0";
    assert_eq!(ids(open), ids(ended));
    let others = ["T2 08:00 OUT speed 70\nclock 08:01", "T1 08:00:01 OUT speed 70\nclock 08:01"];
    others.iter().for_each(|other| assert_ne!(ids(open), ids(other), "{other}"));
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let mut records = parse(&with_places(
        "T1 08:00 DEPOT speed 0 ignition on
         T1 08:25 DEPOT speed 0
         T1 08:30 ROAD speed 70
         T1 08:40 3.15,0.01 speed 75
         T1 09:00 SHOP speed 0
         T1 09:00:02 SHOP speed 60
         T1 09:30 ROAD speed 20
         T2 08:00 SLOW speed 40
         T2 08:10 SHARP speed 25
         T2 08:20 OUT speed 25
         fence way line 3,0 3.2,0 width 200
         trip t T1 depot shop 08:00 along way arrives 08:50
         provider T1 crash started 08:00 id 7
         provider T1 crash ended 08:05 id 7
         T2 08:30 OUT speed 25",
    ));
    let end = parse("clock 12:00");
    let fences = parse(&with_places("rule idle fleet for 600"));
    let of = |records: &[Input]| [&fences, records, &end].concat();
    let expected = recompute(&of(&records), &GraphSettings::default()).alerts;
    let kinds = alerts(&of(&records), "");
    for kind in ["crash", "device_offline", "geofence_e", "harsh_a", "idle", "overspeed", "route_d", "trip_d"]
    {
        assert!(kinds.iter().any(|line| line.starts_with(kind)), "{kind} in {kinds:#?}");
    }
    for step in [1, 2, 4, 7, 8, 11, 13, 14] {
        // 15 records; steps that share no factor with it visit them all.
        if step == 1 {
            records.reverse();
        }
        let shuffled: Vec<Input> = (0..15).map(|i| records[i * step % 15].clone()).collect();
        let got = recompute(&of(&shuffled), &GraphSettings::default()).alerts;
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&expected), "step {step}");
    }
}
