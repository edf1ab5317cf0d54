//! What became of trips, and how well they kept their times.

use super::{DRIVE, check};

/// Several trucks drive as the first one does: each with its own trip from the depot to the shop.
fn trucks(trips: &[(&str, &str)]) -> String {
    let of_truck = |(number, (plan, offload)): (usize, &(&str, &str))| {
        format!(
            "trip t{number} V{number} depot shop {plan}\nV{number} 08:00 DEPOT\nV{number} 08:30 ROAD
                 V{number} 09:00 SHOP\nV{number} {offload} ROAD"
        )
    };
    let lines: Vec<String> = trips.iter().enumerate().map(of_truck).collect();
    // What comes late within the horizon is as good.
    lines.join("\n")
}

#[test]
fn a_trip_counts_at_its_places_for_its_client_and_its_truck() {
    check(
        &format!(
            "? day trips_*\n? day on_time*\n? day tat*
             trip t T1 depot shop 08:00 arrives 10:00 for acme\n{DRIVE}\nclock 09:45"
        ),
        "kpi day 00:00 client acme on_time_arrival_bp 10000
         kpi day 00:00 client acme on_time_departure_bp 10000
         kpi day 00:00 client acme tat_mean_s 3600
         kpi day 00:00 client acme tat_p50_s 3600
         kpi day 00:00 client acme tat_p90_s 3600
         kpi day 00:00 client acme trips_completed 1
         kpi day 00:00 client acme trips_started 1
         kpi day 00:00 fleet on_time_arrival_bp 10000
         kpi day 00:00 fleet on_time_departure_bp 10000
         kpi day 00:00 fleet tat_mean_s 3600
         kpi day 00:00 fleet tat_p50_s 3600
         kpi day 00:00 fleet tat_p90_s 3600
         kpi day 00:00 fleet trips_cancelled 0
         kpi day 00:00 fleet trips_completed 1
         kpi day 00:00 fleet trips_delayed 0
         kpi day 00:00 fleet trips_failed 0
         kpi day 00:00 fleet trips_started 1
         kpi day 00:00 location depot on_time_departure_bp 10000
         kpi day 00:00 location depot trips_started 1
         kpi day 00:00 location shop on_time_arrival_bp 10000
         kpi day 00:00 location shop tat_mean_s 3600
         kpi day 00:00 location shop tat_p50_s 3600
         kpi day 00:00 location shop tat_p90_s 3600
         kpi day 00:00 location shop trips_completed 1
         kpi day 00:00 truck T1 on_time_arrival_bp 10000
         kpi day 00:00 truck T1 on_time_departure_bp 10000
         kpi day 00:00 truck T1 tat_mean_s 3600
         kpi day 00:00 truck T1 tat_p50_s 3600
         kpi day 00:00 truck T1 tat_p90_s 3600
         kpi day 00:00 truck T1 trips_completed 1
         kpi day 00:00 truck T1 trips_started 1",
    );
}

#[test]
fn places_bear_the_names_that_the_plan_gives_them() {
    check(
        &format!("? day location trips_*\nlocation b at shop\ntrip t T1 depot b 08:00\n{DRIVE}\nclock 09:31"),
        "kpi day 00:00 location b trips_completed 1
         kpi day 00:00 location depot trips_started 1",
    );
}

#[test]
fn a_departure_is_on_time_for_half_an_hour() {
    let departs = |departed: &str| {
        format!(
            "? day fleet on_time*\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 {departed} ROAD\nclock 08:40"
        )
    };
    check(&departs("08:30"), "kpi day 00:00 fleet on_time_departure_bp 10000");
    check(&departs("08:30:00.001"), "kpi day 00:00 fleet on_time_departure_bp 0");
}

#[test]
fn an_arrival_is_on_time_until_its_schedule_where_it_has_one() {
    let arrives =
        |plan: &str| format!("? day fleet on_time_arrival_bp\ntrip t T1 depot shop {plan}\n{DRIVE}");
    check(&arrives("08:00 arrives 09:00"), "kpi day 00:00 fleet on_time_arrival_bp 10000");
    check(&arrives("08:00 arrives 08:59:59.999"), "kpi day 00:00 fleet on_time_arrival_bp 0");
    check(&arrives("08:00"), "");
}

#[test]
fn shares_are_rounded_to_basis_points_half_to_even() {
    // Who should have departed at 07:00 is late.
    let on_time = |plans: &[&str]| {
        let trips: Vec<(&str, &str)> = plans.iter().map(|plan| (*plan, "09:30")).collect();
        format!("? day fleet on_time_departure_bp\n{}", trucks(&trips))
    };
    check(&on_time(&["07:00", "07:00", "08:00"]), "kpi day 00:00 fleet on_time_departure_bp 3333");
    check(&on_time(&["08:00", "07:00", "08:00"]), "kpi day 00:00 fleet on_time_departure_bp 6667");
    // 1 of 32 is 312.5, and 3 of 32 are 937.5.
    let of_32 = |on_time_count: usize| {
        let mut plans = ["07:00"; 32];
        plans[..on_time_count].fill("08:00");
        on_time(&plans)
    };
    check(&of_32(1), "kpi day 00:00 fleet on_time_departure_bp 312");
    check(&of_32(3), "kpi day 00:00 fleet on_time_departure_bp 938");
}

#[test]
fn quantiles_are_the_nearest_rank() {
    // 3600, 3660, 3720 and 5400 s: the second and the fourth of four; the mean is 4095.
    check(
        &format!(
            "? day fleet tat*\n{}\nclock 10:01",
            trucks(&[("08:00", "09:31"), ("08:00", "10:00"), ("08:00", "09:30"), ("08:00", "09:32")])
        ),
        "kpi day 00:00 fleet tat_mean_s 4095
         kpi day 00:00 fleet tat_p50_s 3660
         kpi day 00:00 fleet tat_p90_s 5400",
    );
}

#[test]
fn means_are_rounded_half_to_even() {
    let mean = |offloads: [&str; 2]| {
        let trips = offloads.map(|offload| ("08:00", offload));
        format!("? day fleet tat_mean_s\n{}\nclock 09:31", trucks(&trips))
    };
    check(&mean(["09:30", "09:30:01"]), "kpi day 00:00 fleet tat_mean_s 3600");
    check(&mean(["09:30:01", "09:30:02"]), "kpi day 00:00 fleet tat_mean_s 3602");
}

#[test]
fn what_nobody_saw_is_not_counted() {
    // There was no departure, and so there is no turnaround.
    check(
        "? day location\ntrip t T1 depot shop 08:00\nT1 09:00 SHOP\nT1 09:30 ROAD\nclock 09:31",
        "kpi day 00:00 location shop alerts:geofence_entry 1
         kpi day 00:00 location shop dwell_mean_s 1800
         kpi day 00:00 location shop dwell_p90_s 1800
         kpi day 00:00 location shop trips_completed 1
         kpi day 00:00 location shop visits 1",
    );
}

#[test]
fn a_trip_becomes_delayed_once() {
    // It is so from 10:00 until it departs, and again from 12:00 on.
    let at = |clock: &str| {
        format!(
            "? 1h fleet trips_delayed\n? day fleet trips_delayed\ntrip t T1 depot shop 08:00 arrives 12:00
             T1 09:50 DEPOT\nT1 10:30 ROAD\nclock {clock}"
        )
    };
    check(
        &at("10:31"),
        "kpi 1h 09:31 fleet trips_delayed 1
         kpi day 00:00 fleet trips_delayed 1",
    );
    check(&at("12:30"), "kpi day 00:00 fleet trips_delayed 1");
}

#[test]
fn it_is_delayed_in_hindsight() {
    let departs = |departed: &str| {
        format!(
            "? day fleet trips_delayed\ntrip t T1 depot shop 08:00\nT1 09:50 DEPOT\nT1 {departed} ROAD\nclock 10:05"
        )
    };
    check(&departs("10:00"), "kpi day 00:00 fleet trips_delayed 0");
    check(&departs("10:00:00.001"), "kpi day 00:00 fleet trips_delayed 1");
    let arrives = |scheduled: &str| {
        format!("? day fleet trips_delayed\ntrip t T1 depot shop 08:00 arrives {scheduled}\n{DRIVE}")
    };
    check(&arrives("09:00"), "kpi day 00:00 fleet trips_delayed 0");
    check(&arrives("08:59:59.999"), "kpi day 00:00 fleet trips_delayed 1");
    // It became so at its schedule.
    let at = |clock: &str| format!("{}\nclock {clock}", arrives("08:30").replace("? day", "? 1h"));
    check(&at("09:30"), "kpi 1h 08:30 fleet trips_delayed 1");
    check(&at("09:31"), "");
    // An arrival counts as departed.
    check(
        "? day fleet trips_delayed\ntrip t T1 depot shop 08:00\nT1 09:00 SHOP\nclock 11:00",
        "kpi day 00:00 fleet trips_delayed 0",
    );
}

#[test]
fn delays_are_what_people_were_shown() {
    let delayed = |statuses: &str| {
        format!("? 1h fleet trips_delayed\n? day fleet trips_delayed\ntrip t T1 depot shop 08:00\n{statuses}")
    };
    check(
        &delayed("status t delayed by ada @07:10\nclock 07:11"),
        "kpi 1h 06:11 fleet trips_delayed 1
         kpi day 00:00 fleet trips_delayed 1",
    );
    // From 10:00 on it would be, but somebody said something else, and took it back at 11:00.
    let ongoing = "status t ongoing by ada @09:00\nclock 11:00";
    check(&delayed(ongoing), "");
    check(
        &delayed(&format!("{ongoing}\nstatus t inferred by ada @11:00\nclock 11:30")),
        "kpi 1h 10:30 fleet trips_delayed 1
         kpi day 00:00 fleet trips_delayed 1",
    );
}

#[test]
fn who_is_cancelled_in_time_was_never_delayed() {
    let cancelled = |at: &str| {
        format!(
            "? day fleet trips_*\ntrip t T1 depot shop 08:00\nclock {at}\nstatus t cancelled by ada @{at}\nclock 12:00"
        )
    };
    let counts = |delayed: u8| {
        format!(
            "kpi day 00:00 fleet trips_cancelled 1
             kpi day 00:00 fleet trips_completed 0
             kpi day 00:00 fleet trips_delayed {delayed}
             kpi day 00:00 fleet trips_failed 0
             kpi day 00:00 fleet trips_started 0"
        )
    };
    check(&cancelled("10:00"), &counts(0));
    check(&cancelled("10:00:00.001"), &counts(1));
}

#[test]
fn a_trip_fails_at_the_limit() {
    let at = |clock: &str| {
        format!("? 1h fleet trips_failed\nset trips.no_show_h 3\ntrip t T1 depot shop 08:00\nclock {clock}")
    };
    check(&at("11:00:59"), "");
    check(&at("11:01"), "kpi 1h 10:01 fleet trips_failed 1");
    check(&at("12:00"), "kpi 1h 11:00 fleet trips_failed 1");
    check(&at("12:01"), "");
    // Who fails before the two hours are over is not delayed.
    check(
        "? day fleet trips_delayed\n? day fleet trips_failed\nset trips.no_show_h 1\ntrip t T1 depot shop 08:00
         clock 12:00",
        "kpi day 00:00 fleet trips_delayed 0
         kpi day 00:00 fleet trips_failed 1",
    );
}

#[test]
fn who_does_not_arrive_fails_then() {
    check(
        "? 1h fleet trips_*\nset trips.no_arrival_h 1\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT
         T1 08:30 ROAD\nclock 09:31",
        "kpi 1h 08:31 fleet trips_failed 1",
    );
}

#[test]
fn ends_by_hand_count_when_they_are_set() {
    let ended = |status: &str| {
        format!(
            "? 1h fleet trips_*\ntrip t T1 depot shop 08:00\nclock 07:30\nstatus t {status} by ada\nclock 07:31"
        )
    };
    for status in ["completed", "failed", "cancelled"] {
        check(&ended(status), &format!("kpi 1h 06:31 fleet trips_{status} 1"));
    }
    // Undone, it never was.
    check(&format!("{}\nstatus t inferred by ada\nclock 07:32", ended("failed")), "");
    // What failed before has failed, whatever somebody says later.
    check(
        "? day fleet trips_c*\n? day fleet trips_failed\nset trips.no_show_h 1\ntrip t T1 depot shop 08:00
         clock 09:30\nstatus t completed by ada\nclock 09:40",
        "kpi day 00:00 fleet trips_cancelled 0
         kpi day 00:00 fleet trips_completed 0
         kpi day 00:00 fleet trips_failed 1",
    );
}

#[test]
fn completed_by_hand_before_the_offload_has_no_turnaround() {
    let before = "? 1h location shop tat*\n? 1h location shop trips_*\ntrip t T1 depot shop 08:00
                  T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nstatus t completed by ada @09:10";
    check(&format!("{before}\nT1 09:30 ROAD\nclock 09:40"), "kpi 1h 08:40 location shop trips_completed 1");
    // It counts at 09:10, not at 09:30.
    check(&format!("{before}\nT1 09:30 ROAD\nclock 10:11"), "");
}

#[test]
fn who_is_cancelled_after_the_offload_did_both() {
    check(
        &format!(
            "? day fleet trips_c*\n? day fleet tat_p50_s\ntrip t T1 depot shop 08:00\n{DRIVE}
             status t cancelled by ada @10:00\nclock 10:01"
        ),
        "kpi day 00:00 fleet tat_p50_s 3600
         kpi day 00:00 fleet trips_cancelled 1
         kpi day 00:00 fleet trips_completed 1",
    );
}

#[test]
fn a_trip_that_nobody_planned_counts_but_for_what_takes_a_schedule_or_a_client() {
    // On the trip for one hour of 105 minutes.
    check(
        &format!(
            "? day trips_*\n? day on_time*\n? day tat*\n? day fleet utilization_bp\nset trips.auto true
             location port at depot terminal\nlocation acme at shop client\n{DRIVE}\nclock 09:45"
        ),
        "kpi day 00:00 fleet tat_mean_s 3600
         kpi day 00:00 fleet tat_p50_s 3600
         kpi day 00:00 fleet tat_p90_s 3600
         kpi day 00:00 fleet trips_cancelled 0
         kpi day 00:00 fleet trips_completed 1
         kpi day 00:00 fleet trips_delayed 0
         kpi day 00:00 fleet trips_failed 0
         kpi day 00:00 fleet trips_started 1
         kpi day 00:00 fleet utilization_bp 5714
         kpi day 00:00 location acme tat_mean_s 3600
         kpi day 00:00 location acme tat_p50_s 3600
         kpi day 00:00 location acme tat_p90_s 3600
         kpi day 00:00 location acme trips_completed 1
         kpi day 00:00 location port trips_started 1
         kpi day 00:00 truck T1 tat_mean_s 3600
         kpi day 00:00 truck T1 tat_p50_s 3600
         kpi day 00:00 truck T1 tat_p90_s 3600
         kpi day 00:00 truck T1 trips_completed 1
         kpi day 00:00 truck T1 trips_started 1",
    );
}
