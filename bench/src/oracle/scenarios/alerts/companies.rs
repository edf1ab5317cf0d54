//! Rules for companies: whose a vehicle is.

use super::{check, check_course};

fn too_fast(span: &str, due: &str, limit_kmh: &str) -> String {
    format!(r#"overspeed warning T1 {span} due {due} {{"limit_kmh":{limit_kmh},"max_speed_kmh":65}}"#)
}

/// At 65 km/h for ten minutes, then at rest.
const AT_65: &str = "T1 08:00 OUT speed 65 @08:00\nT1 08:05 OUT speed 65 @08:05\nT1 08:10 OUT speed 0 @08:10";

#[test]
fn a_companys_rule_is_between_vehicle_and_fleet() {
    let of_vpc =
        |rules: &str| format!("vehicle T1 operational of VPC\n{rules}\nT1 08:00 OUT speed 65\nclock 08:01");
    let at_08 = |limit_kmh: &str| too_fast("08:00..", "08:00:30", limit_kmh);
    check("overspeed", &of_vpc("rule overspeed company VPC limit 70"), "");
    check("overspeed", &of_vpc("rule overspeed company FM limit 70"), &at_08("60"));
    check(
        "overspeed",
        &of_vpc("rule overspeed company VPC limit 50\nrule overspeed fleet off"),
        &at_08("50"),
    );
    check(
        "overspeed",
        &of_vpc("rule overspeed vehicle T1 limit 40\nrule overspeed company VPC off"),
        &at_08("40"),
    );
    // What the vehicle's leaves open, the company's says before the fleet's.
    check(
        "overspeed",
        &of_vpc(
            "rule overspeed vehicle T1 limit 40\nrule overspeed company VPC severity critical\nrule overspeed fleet for 60 severity info",
        ),
        r#"overspeed critical T1 08:00.. due 08:01 {"limit_kmh":40,"max_speed_kmh":65}"#,
    );
    // A fence's wins over it.
    check(
        "overspeed",
        "vehicle T1 maintenance of VPC\nrule overspeed company VPC off\nT1 08:00 SLOW speed 65\nclock 08:01",
        r#"overspeed warning T1 08:00.. due 08:00:30 fence slow {"limit_kmh":30,"max_speed_kmh":65}"#,
    );
}

#[test]
fn a_vehicle_has_always_been_whose_its_last_record_says() {
    check_course(
        "overspeed",
        &format!("rule overspeed company VPC limit 70\nrule overspeed company FM limit 50\n{AT_65}"),
        &[
            ("clock 09:00", &too_fast("08:00..08:10", "08:00:30", "60")),
            ("vehicle T1 operational of VPC", ""),
            ("vehicle T1 operational of FM", &too_fast("08:00..08:10", "08:00:30", "50")),
            ("vehicle T2 operational of VPC", &too_fast("08:00..08:10", "08:00:30", "50")),
            ("vehicle T1 maintenance", &too_fast("08:00..08:10", "08:00:30", "60")),
            ("vehicle T1 operational of VPC", ""),
            ("vehicle T1 deleted", &too_fast("08:00..08:10", "08:00:30", "60")),
        ],
    );
}

#[test]
fn a_rule_for_a_company_is_dated_though_whose_a_vehicle_is_is_not() {
    // The first rule ends what goes on at the next fix, however late it is known whose the truck is.
    check(
        "overspeed",
        &format!(
            "T1 07:55 OUT speed 65 @07:55\nrule overspeed company VPC limit 70 @08:00\n{AT_65}\nvehicle T1 operational of VPC @09:00"
        ),
        &too_fast("07:55..08:00", "07:55:30", "60"),
    );
}

#[test]
fn whose_a_vehicle_is_corrects_no_more_history_than_is_kept() {
    let told = |at: &str| {
        format!(
            "set history.keep_h 24\nrule overspeed company VPC off\nT1 08:00 OUT speed 65 @08:00\nT1 08:10 OUT speed 65 @08:10
             T1 08:20 OUT speed 0 @08:20\nvehicle T1 operational of VPC @{at}"
        )
    };
    check("overspeed", &told("+08:00"), "");
    // The fix of 08:00 is older than the edge; at the next one there is no rule for it any more.
    check("overspeed", &told("+08:05"), &too_fast("08:00..08:10", "08:00:30", "60"));
    check("overspeed", &told("+08:30"), &too_fast("08:00..08:20", "08:00:30", "60"));
}

#[test]
fn rules_for_companies_are_for_all_that_happens_to_vehicles() {
    // Silence, idling, a trip that is late, an entry, and what the provider tells.
    let of_vpc = |kind: &str, scenario: &str, expected: &str| {
        let rule = format!("rule {kind} company VPC severity critical");
        check(kind, &format!("{rule}\nvehicle T1 operational of VPC\n{scenario}"), expected);
    };
    of_vpc("device_offline", "T1 08:00 OUT\nclock 10:00", "device_offline critical T1 08:00.. due 10:00");
    of_vpc("idle", "T1 08:00 OUT speed 0 ignition on\nclock 08:20", "idle critical T1 08:00.. due 08:20");
    of_vpc(
        "trip_delay",
        "trip t1 T1 depot shop 08:00\nclock 10:00",
        r#"trip_delay critical T1 08:00.. due 10:00 trip t1 {"of":"departure"}"#,
    );
    of_vpc(
        "geofence_entry",
        "fence gate square 3.595,-0.005 3.605,0.005 alert\nT1 08:00 OUT",
        "geofence_entry critical T1 08:00.. due 08:00 fence gate",
    );
    of_vpc(
        "dtc",
        "provider T1 dtc started 08:00 id 7",
        r#"dtc critical T1 08:00.. due 08:00 {"provider_id":"7","received":null}"#,
    );
}
