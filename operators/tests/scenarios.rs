//! Presence and visits, told as stories: each file of `scenarios/` says what arrives and which rows come and
//! go with each tick. See `scenario` for the words.

#![allow(clippy::unwrap_used)]

mod long;
mod scenario;

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                scenario::check(include_str!(concat!("scenarios/", stringify!($name), ".txt")));
            }
        )+

        #[test]
        #[allow(clippy::disallowed_methods, reason = "the list is held against the folder")]
        fn every_file_is_told() {
            let told = [$(stringify!($name)),+];
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(told.contains(&name.trim_end_matches(".txt")), "{name} is not in the list");
            }
        }
    };
}

scenarios!(
    in_five_lines,
    causes,
    absence_longer_than_what_is_kept,
    cause_of_an_end_that_a_fix_passes,
    causes_of_ends_found_late,
    causes_within_one_tick,
    causes_of_jumps_and_ends,
    crossing_between_two_fixes,
    reach_of_corrections,
    buffer_keeps_who_is_near,
    late_fix_between_two_buffers,
    leg_out_of_a_final_presence,
    late_fix_splits_a_presence,
    late_fix_joins_an_absence,
    late_fix_moves_an_arrival,
    superseding_fix,
    duplicates_change_nothing,
    jump_is_let_go,
    jump_with_a_bad_value,
    strays_convince_nobody,
    dwell_timer,
    dwell_timer_is_withdrawn,
    fence_edit_around_a_parked_truck,
    fence_change_from_a_time_on,
    fence_deleted_in_the_past,
    fence_deleted_in_the_future,
    fence_ends_by_its_own_validity,
    end_before_a_correction_in_its_tick,
    fence_comes_after_the_fixes,
    final_row_of_a_fence_that_moved,
    fence_made_anew_between_two_fixes,
    settings_change,
    settings_of_one_fence_win,
    two_fences_two_vehicles,
    future_delete_is_withdrawn,
    delete_between_two_fixes_inside,
);
