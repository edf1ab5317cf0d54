//! The provider's alerts.

use super::{check, check_course};

fn dtc(span: &str, id: &str) -> String {
    let started = span.split("..").next().unwrap_or_default();
    format!(r#"dtc warning T1 {span} due {started} {{"provider_id":{id},"received":null}}"#)
}

#[test]
fn halves_are_put_together_by_their_id() {
    check_course(
        "dtc",
        "",
        &[
            ("provider T1 dtc started 08:00 id 7", &dtc("08:00..", "\"7\"")),
            ("provider T1 dtc ended 08:30 id 7", &dtc("08:00..08:30", "\"7\"")),
            // Others are others.
            (
                "provider T1 crash ended 08:20 id 7\nprovider T2 x ended 08:20 id 7",
                &dtc("08:00..08:30", "\"7\""),
            ),
        ],
    );
}

#[test]
fn halves_come_in_either_order() {
    check_course(
        "dtc",
        "",
        &[
            // What is known so far is that it was then.
            ("provider T1 dtc ended 08:30 id 7", &dtc("08:30..08:30", "\"7\"")),
            ("provider T1 dtc started 08:00 id 7", &dtc("08:00..08:30", "\"7\"")),
        ],
    );
}

#[test]
fn halves_may_contradict_each_other() {
    // The first beginning and the last end.
    check(
        "dtc",
        "provider T1 dtc started 08:05 ended 08:20 id 7\nprovider T1 dtc started 08:00 ended 08:10 id 7",
        &dtc("08:00..08:20", "\"7\""),
    );
    // Nothing ends before it begins.
    check("dtc", "provider T1 dtc started 08:00 ended 07:00 id 7", &dtc("08:00..08:00", "\"7\""));
}

#[test]
fn without_an_id_the_beginning_holds_the_halves_together() {
    check(
        "dtc",
        "provider T1 dtc started 08:00\nprovider T1 dtc started 08:00 ended 08:30\nprovider T1 dtc started 09:00",
        &format!("{}\n{}", dtc("08:00..08:30", "null"), dtc("09:00..", "null")),
    );
    // An end alone belongs to none.
    check(
        "dtc",
        "provider T1 dtc started 08:00\nprovider T1 dtc ended 08:30",
        &format!("{}\n{}", dtc("08:00..", "null"), dtc("08:30..08:30", "null")),
    );
}

#[test]
fn what_says_no_time_is_of_its_instant() {
    check("dtc", "provider T1 dtc id 7 @08:00\nprovider T1 dtc id 7 @08:01", &dtc("08:00..", "\"7\""));
    check("dtc", "provider T1 dtc @08:00", &dtc("08:00..", "null"));
}

#[test]
fn what_happens_at_once_ends_as_it_begins() {
    check(
        "crash",
        "provider T1 crash started 08:00 severity critical instant",
        r#"crash critical T1 08:00..08:00 due 08:00 {"provider_id":null,"received":null}"#,
    );
}

#[test]
fn the_last_details_are_kept() {
    check(
        "dtc",
        r#"provider T1 dtc started 08:00 id 7 details "{\"code\":1}"
           provider T1 dtc id 7 details "{\"code\":2}"
           provider T1 dtc ended 09:00 id 7"#,
        r#"dtc warning T1 08:00..09:00 due 08:00 {"provider_id":"7","received":{"code":2}}"#,
    );
}

#[test]
fn rules_are_for_the_providers_kinds_too() {
    let told = "provider T1 dtc started 08:00 id 7\nprovider T2 dtc started 08:00 id 8";
    check(
        "dtc",
        &format!("rule dtc vehicle T1 severity critical\nrule dtc vehicle T2 off\n{told}"),
        r#"dtc critical T1 08:00.. due 08:00 {"provider_id":"7","received":null}"#,
    );
    // By when it began, not by when it came.
    let changed = |always: &str| {
        format!("provider T1 dtc started 08:00 id 7 @08:00\nclock 09:00\nrule dtc fleet off{always} @09:00")
    };
    check("dtc", &changed(""), &dtc("08:00..", "\"7\""));
    check("dtc", &changed(" always"), "");
}

#[test]
fn where_the_vehicle_is_does_not_matter_to_them() {
    check(
        "dtc",
        "rule dtc fence depot off\nT1 08:00 DEPOT\nprovider T1 dtc started 08:00 id 7",
        &dtc("08:00..", "\"7\""),
    );
}
