//! What time it is when a record arrives.

use super::check_yard;

#[test]
fn before_any_is_known_it_is_1970() {
    check_yard("T1 08:00 IN\ndelete yard at 1970-01-01T00:00:00Z", "");
    // The undated delete is of 1970, and so the fence is gone before anything happened.
    check_yard("delete yard\nT1 08:00 IN", "");
}

#[test]
fn refused_positions_say_nothing_about_time_but_their_received_time_does() {
    let undated = "delete yard\nclock 12:00";
    check_yard(
        &format!("T1 07:58 IN\nT1 08:00 IN\nT2 09:00 0,0\nT2 09:00 3.3,91\n{undated}"),
        "T1 yard 07:58..08:00 fence_deleted
         reject 4 T2 09:00 null_island
         reject 5 T2 09:00 out_of_range",
    );
    check_yard(
        &format!("T1 08:00 IN\nT2 09:00 0,0 @08:01\nmalformed @08:02\n{undated}"),
        "T1 yard 08:00..08:02 fence_deleted
         reject 3 T2 09:00 null_island
         reject 4 malformed",
    );
    // A position of the future is not accepted, so its time was not seen.
    check_yard(
        &format!("T1 08:00 IN @08:00\nT2 08:06 IN @08:00:30\n{undated}"),
        "T1 yard 08:00..08:00:30 fence_deleted
         reject 3 T2 08:06 future",
    );
    // One that is too late moves nothing either, since time was ahead of it.
    check_yard(
        &format!("T1 08:00 IN\nT2 2026-01-03T08:00:00Z IN\nother @08:03\n{undated}"),
        "T1 yard 08:00..08:03 fence_deleted
         reject 3 T2 2026-01-03T08:00:00Z too_late",
    );
}

#[test]
fn an_instant_never_goes_back() {
    check_yard("T1 08:00 IN\nclock 08:03\ndelete yard @08:01", "T1 yard 08:00..08:03 fence_deleted");
    check_yard(
        "T1 08:00 IN\nclock 08:06\nclock 08:01",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
    // The largest time seen may be ahead of the instant: it counts where no received time is given only.
    check_yard(
        "T1 08:00 IN @08:00\nT1 08:04 IN @08:00\nother\ndelete yard @08:01",
        "T1 yard 08:00..08:04 fence_deleted",
    );
    check_yard(
        "T1 08:00 IN @08:00\nT1 08:04 IN @08:00\ndelete yard @08:01",
        "T1 yard 08:00..08:01 fence_deleted",
    );
}
