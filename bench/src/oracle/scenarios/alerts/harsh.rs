//! Harsh braking and acceleration, from speeds. 28.8 km/h a second are 8 m/s².

use super::check;

#[test]
fn the_change_of_speed_decides() {
    check(
        "harsh",
        "T1 08:00 OUT speed 57.6\nT1 08:00:02 OUT speed 0",
        r#"harsh_braking warning T1 08:00:02..08:00:02 due 08:00:02 {"from_kmh":57.6,"to_kmh":0}"#,
    );
    check("harsh", "T1 08:00 OUT speed 57.5\nT1 08:00:02 OUT speed 0", "");
    check("harsh", "T1 08:00 OUT speed 57.6\nT1 08:00:02.001 OUT speed 0", "");
    // 25.2 km/h a second are 7 m/s².
    check(
        "harsh",
        "T1 08:00 OUT speed 0\nT1 08:00:02 OUT speed 50.4",
        r#"harsh_acceleration warning T1 08:00:02..08:00:02 due 08:00:02 {"from_kmh":0,"to_kmh":50.4}"#,
    );
    check("harsh", "T1 08:00 OUT speed 0\nT1 08:00:02 OUT speed 50.3", "");
}

#[test]
fn fixes_may_be_five_seconds_apart() {
    check(
        "harsh",
        "T1 08:00 OUT speed 144\nT1 08:00:05 OUT speed 0",
        r#"harsh_braking warning T1 08:00:05..08:00:05 due 08:00:05 {"from_kmh":144,"to_kmh":0}"#,
    );
    check("harsh", "T1 08:00 OUT speed 290\nT1 08:00:05.001 OUT speed 0", "");
}

#[test]
fn both_speeds_must_be_known() {
    check("harsh", "T1 08:00 OUT speed 100\nT1 08:00:01 OUT\nT1 08:00:02 OUT speed 0", "");
}

#[test]
fn legs_that_follow_one_another_are_one_episode() {
    check(
        "harsh",
        "T1 08:00 OUT speed 100\nT1 08:00:01 OUT speed 70\nT1 08:00:02 OUT speed 40\nT1 08:00:03 OUT speed 39
         T1 08:00:04 OUT speed 0",
        r#"harsh_braking warning T1 08:00:01..08:00:02 due 08:00:01 {"from_kmh":100,"to_kmh":40}
           harsh_braking warning T1 08:00:04..08:00:04 due 08:00:04 {"from_kmh":39,"to_kmh":0}"#,
    );
}

#[test]
fn a_late_fix_between_two_shares_the_change_out() {
    let braking = "T1 08:00 OUT speed 60 @08:01\nT1 08:00:02 OUT speed 0 @08:01";
    check(
        "harsh",
        braking,
        r#"harsh_braking warning T1 08:00:02..08:00:02 due 08:00:02 {"from_kmh":60,"to_kmh":0}"#,
    );
    check(
        "harsh",
        &format!("{braking}\nT1 08:00:01 OUT speed 20 @08:01"),
        r#"harsh_braking warning T1 08:00:01..08:00:01 due 08:00:01 {"from_kmh":60,"to_kmh":20}"#,
    );
}

#[test]
fn a_rule_may_be_stricter() {
    // 4 m/s², whichever sign is written.
    for limit in ["4", "-4"] {
        check(
            "harsh",
            &format!(
                "rule harsh_braking vehicle T1 limit {limit}\nT1 08:00 OUT speed 28.8\nT1 08:00:02 OUT speed 0"
            ),
            r#"harsh_braking warning T1 08:00:02..08:00:02 due 08:00:02 {"from_kmh":28.8,"to_kmh":0}"#,
        );
    }
}

#[test]
fn what_the_provider_tells_of_the_same_is_the_same() {
    let own = "T1 08:00 OUT speed 57.6\nT1 08:00:02 OUT speed 0";
    let own_row = r#"harsh_braking warning T1 08:00:02..08:00:02 due 08:00:02 {"from_kmh":57.6,"to_kmh":0}"#;
    let told = |vehicle: &str, kind: &str, at: &str| {
        format!("{own}\nprovider {vehicle} {kind} started {at} id 7 instant")
    };
    check("harsh", &told("T1", "harsh_braking", "08:00:07"), own_row);
    check("harsh", &told("T1", "harsh_braking", "07:59:57"), own_row);
    let of_provider = |vehicle: &str, kind: &str, at: &str| {
        format!(r#"{kind} warning {vehicle} {at}..{at} due {at} {{"provider_id":"7","received":null}}"#)
    };
    for (vehicle, kind, at) in [
        ("T1", "harsh_braking", "08:00:07.001"),
        ("T1", "harsh_acceleration", "08:00:03"),
        ("T2", "harsh_braking", "08:00:03"),
    ] {
        let expected = format!("{own_row}\n{}", of_provider(vehicle, kind, at));
        check("harsh", &told(vehicle, kind, at), &expected);
    }
}
