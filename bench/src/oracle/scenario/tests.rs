//! What is printed is read again as the same.

use model::{GraphSettings, SettingValue};
use proptest::prelude::*;

use super::{expected, parse, print_inputs, print_rows};
use crate::oracle::{Input, recompute_rows};

#[track_caller]
fn check_round_trip(inputs: &[Input]) {
    let text = print_inputs(inputs);
    let again = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    // By what is shown, since a NaN is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{inputs:?}"), "{text}");
    assert_eq!(print_inputs(&again), text);
}

/// Each line is the way in which it is printed.
const ALL_SORTS: &str = r#"T1 08:00 3.305,6.405
T1 08:00:00.500 3.305,6.405 bad bad-ignition speed 12.5 heading 0.1 ignition off accuracy 5 exempt @+07:30
"T 1#" 1999-12-31T23:59:59.999Z NaN,-0 bad-heading bad-accuracy bad-received ignition on
fence yard square 3.3,6.4 3.31,6.41
fence set ring 3.3,6.4 3.4,6.4 3.4,6.5 hole 3.39,6.41 3.39,6.42 3.38,6.41 part 4,6 5,6 5,7 hole 4.5,6.1 4.6,6.1 4.6,6.2
fence across ring 179.99,-17 -179.99,-17 -179.99,-16.9 180,-16.8 179.99,-16.9 from 08:00 to 09:00:30
fence all-of-it circle -180,89.9999999 10.25 buffer 0 dwell 0.001 absence 90 limit 30 crossed alert name "The \"yard\"" json "{\"a\":1}"
fence nights circle 3.3,6.4 300 active 22:00-05:00
fence hours circle 3.3,6.4 300 active "Mo-Fr 6:00-18:00;  sa off" zone Europe/London name Hours @08:00
fence road line -179.9,0 179.9,0.1 179.9,0.2 width 50 @08:00
delete yard
delete at at 08:30 @08:31
"fence" 08:00 3,6
trip t1 T1 depot shop 08:00
trip 01/Apr/2025-T1 T1 "the depot" "" 08:00 arrives +06:30 along road for "A & Co" via a via "b c" @07:00
"trip" 08:00 3,6
status t1 completed by ada
status "t 2" inferred by "Ada L." @09:00
location shop at yard
location shop at yard service_area
location shop nowhere @08:00
location shop nowhere client
location at deleted
rule overspeed fleet
rule overspeed fence "the yard" limit 60.05 for 30.5 severity critical off always @08:00
rule harsh_braking vehicle T1 limit -8
rule x company "" for 0
provider T1 crash
provider "T 1" "No Such" started 08:00 ended 08:01 id "7 8" severity critical instant details "{\"a\":1}" @09:00
"provider" 08:00 3,6
vehicle T1 operational
vehicle "T 1" maintenance of "V P C" @08:00
vehicle of deleted
"vehicle" 08:00 3,6
set visits.min_dwell_s 60 zone Africa/Lagos history.keep_h unlimited x "60" y true z "true" empty "" n NaN
set
backfill 08:00 +09:00
backfill 08:00 09:00 @09:30
clock
clock 09:00
malformed @2027-01-01T00:00:00Z
other
"#;

#[test]
fn all_sorts_of_lines_are_printed_as_they_were_read() {
    let inputs = parse(ALL_SORTS).unwrap();
    assert_eq!(inputs.len(), ALL_SORTS.lines().count());
    assert_eq!(print_inputs(&inputs), ALL_SORTS);
    check_round_trip(&inputs);
    let is_settings = |input: &&Input| matches!(input, Input::Settings { .. });
    let Some(Input::Settings { values, .. }) = inputs.iter().find(is_settings) else { panic!("{inputs:?}") };
    assert_eq!(values[3].1, SettingValue::Text("60".to_owned()));
    assert_eq!(values[4].1, SettingValue::Bool(true));
    assert_eq!(values[5].1, SettingValue::Text("true".to_owned()));
}

#[test]
fn what_is_no_scenario_is_refused_by_line() {
    for (line, what) in [
        ("T1 8 3,6", r#""8": "#),
        ("T1 08:00", "missing after a time"),
        ("T1 08:00 3;6", "is not lon,lat"),
        ("T1 08:00 3,6 slow", r#""slow" is nothing that a position has"#),
        ("\"T1 08:00 3,6", "not closed"),
        ("fence y disc 3,6 5", "is no shape"),
        ("fence y circle 3,6 -5", "radius_m must be a positive number"),
        ("fence y square 3,6 3,7", "fewer than 3"),
        ("fence y circle 3,6 5 wide", "nothing that a fence has"),
        ("fence y circle 3,6 5 active 8-9", "stands where a time"),
        ("fence y circle 3,6 5 active 24/7 zone Mars/Base", "not an IANA time zone"),
        ("fence y circle 3,6 5 zone Africa/Lagos", "means nothing"),
        ("fence y line 3,6 3,7", "needs a width"),
        ("delete y at 08:00 08:01", "one word too many"),
        ("set visits.min_dwell_s", "has no value"),
        ("trip t1 T1 a b", "missing after a delivery"),
        ("trip t1 T1 a b 08:00 due 09:00", "nothing that a trip has"),
        ("status t1 lost by ada", "is no status"),
        ("status t1 failed of ada", "set by somebody"),
        ("vehicle T1 sold", "operational, in maintenance or deleted"),
        ("vehicle T1 maintenance of", "missing after of"),
        ("location l gone", "at a fence, nowhere or deleted"),
        ("location l at yard port", "no type of a location"),
        ("rule idle", "missing after a kind"),
        ("rule idle planet", "missing after a scope"),
        ("rule idle planet x", "is no scope"),
        ("rule idle fleet above 5", "nothing that a rule has"),
        ("rule idle fleet severity bad", "is no severity"),
        ("provider T1", "missing after a vehicle"),
        ("provider T1 crash loud", "nothing that an alert of the provider has"),
        ("@08:00", "nothing but a time of arrival"),
    ] {
        let error = parse(&format!("clock 08:00\n\n{line}")).unwrap_err();
        assert_eq!(error.line, 3);
        assert!(error.to_string().contains(what), "{line}: {error}");
    }
}

#[test]
fn comments_and_what_is_expected_are_no_inputs() {
    let text = "# nothing\n\nT1 08:00 3.3,6.4 # there\n> T1 yard 08:00..\n  > reject 2 malformed\n";
    assert_eq!(parse(text).unwrap().len(), 1);
    assert_eq!(expected(text), ["T1 yard 08:00..", "reject 2 malformed"]);
}

#[test]
fn rows_of_all_tables_are_printed() {
    let text = "fence gate square 3.30,6.40 3.31,6.41 crossed
                T1 08:00 3.305,6.405
                T1 08:05 3.295,6.405
                T1 08:06 3.315,6.405
                malformed
                trip \"t 1\" T1 gate gate 08:00
                status \"t 1\" failed by \"Ada L.\"";
    let rows = recompute_rows(&parse(text).unwrap(), &GraphSettings::default());
    assert_eq!(
        print_rows(&rows),
        "T1 gate 08:00..08:05 exit
visit T1 gate 08:00..08:05 confirmed 08:05 of 1
cross T1 gate 08:05..08:06 at 08:05:30
reject 5 malformed
trip \"t 1\" T1 failed failed by \"Ada L.\" arrival 08:00 offload 08:05 unobserved
"
    );
}

proptest! {
    #[test]
    fn any_text_is_one_word(vehicle_id in ".*", name in ".*", value in ".*", time in 0..4_102_444_800_000_i64) {
        let mut inputs = parse("T1 08:00 3,6\nset x y").unwrap();
        if let [Input::Position { vehicle_id: id, position, .. }, Input::Settings { values, .. }] =
            inputs.as_mut_slice()
        {
            *id = vehicle_id;
            position.event_time = model::TimeMs(time);
            values[0] = (name, SettingValue::Text(value));
        }
        check_round_trip(&inputs);
    }

    #[test]
    fn any_ring_is_read_again(
        start in (-180.0..=180.0_f64, -90.0..=90.0_f64), steps in prop::collection::vec((-170.0..170.0_f64, -5.0..5.0_f64), 3..6)
    ) {
        let mut points = vec![start];
        for (east, north) in steps {
            let (lon, lat): (f64, f64) = points[points.len() - 1];
            points.push(((lon + east + 180.0_f64).rem_euclid(360.0) - 180.0, (lat + north).clamp(-90.0, 90.0)));
        }
        let mut inputs = parse("fence y line 3,6 3,7 width 5").unwrap();
        let (Input::Fence { fence, .. }, Ok(line)) = (&mut inputs[0], model::ring_from_degrees(&points, false)) else {
            return Ok(());
        };
        std::sync::Arc::make_mut(fence).shape = model::Shape::Corridor { line, width_m: 5.0 };
        check_round_trip(&inputs);
    }
}
