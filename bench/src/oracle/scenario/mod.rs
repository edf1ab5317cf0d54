//! Scenarios as text: a few readable lines in, rows as readable lines out.
//!
//! ```text
//! T1 08:00 3.305,6.405              a position
//!     followed by any of: bad (an optional value was unreadable: the speed), bad-heading, bad-ignition,
//!     bad-accuracy, bad-received, speed 40, heading 90, ignition on, accuracy 5, exempt
//! fence yard square 3.30,6.40 3.31,6.41      two opposite corners
//! fence yard ring 3.3,6.4 3.4,6.4 3.4,6.5 hole 3.31,6.41 ... part 3.5,6.4 ...
//! fence yard circle 3.30,6.40 300
//! fence yard line 3.30,6.40 3.31,6.40 width 50
//!     followed by any of: from T, to T, buffer M, dwell S, absence S, crossed, alert, limit KMH,
//!     active "Mo-Fr 06:00-18:00", zone Europe/London (of the active times), name TEXT, json TEXT
//! delete yard at 08:30              without `at`: at the record's instant
//! trip t1 T1 depot shop 08:00       a plan: the vehicle, from where, to where, the scheduled departure
//!     followed by any of: arrives T (the scheduled arrival), along FENCE (the corridor), for CLIENT,
//!     via PLACE (a waypoint)
//! status t1 completed by ada        a status by hand; `inferred` goes back to the inferred one
//! location shop at yard client      a location, its fence and its type, where it has one; or `nowhere` (it has no
//!     fence), or `deleted`
//! rule overspeed fleet limit 50     of a kind and a scope: fleet, company ID, vehicle ID or fence ID
//!     followed by any of: limit N (the threshold), for SECONDS (the duration), severity NAME, off, always (it
//!     corrects history)
//! provider T1 crash                 the provider tells of something
//!     followed by any of: started T, ended T, id ID, severity NAME (else a warning), instant, details JSON
//! vehicle T1 operational            a vehicle; or in `maintenance`, either one `of COMPANY`; or `deleted`
//! set visits.min_dwell_s 60
//! backfill 08:00 09:00              a period is computed anew
//! clock 09:00
//! malformed
//! other                             a record without consequences
//! ```
//!
//! Times are of 2026-01-05, or of the next day with a plus (`+07:30`), or RFC 3339. Any line may end with `@T`,
//! its received time. `#` begins a comment. What has blanks, or would be read as something else, stands in
//! quotes as in JSON. Rows are printed so:
//!
//! ```text
//! T1 yard 08:00..08:34 exit                          a presence; nothing after the dots: still inside
//! visit T1 yard 08:00..08:34 confirmed 08:05 of 1    a visit, and how many presences it joins
//! cross T1 gate 08:40..08:42 at 08:41                a crossing, by the two fixes around it
//! reject 3 T1 08:02 jump                             the third record
//! trip t1 T1 done completed pickup 08:00 departure 08:34 arrival 09:00 offload 09:30 tat 3360 distance 12000
//!     of a trip what is null is left out; `by ada` follows the status where it was set by hand, and
//!     `unobserved` ends the line of one whose departure was not observed
//! trip auto T1 port shop done completed pickup ...   a trip that nobody planned, between its locations
//! ```
//!
//! Alerts are printed apart, by [`print_alerts`], since nearly every scenario has some: a silent vehicle is offline.
//! They are in the order in which they began:
//!
//! ```text
//! overspeed warning T1 08:00..08:02 due 08:00:30 {"limit_kmh":60,"max_speed_kmh":83.4}
//! geofence_entry info T1 08:00.. due 08:00 fence yard trip t1
//!     nothing after the dots: it goes on
//! ```
//!
//! Of KPIs those rows are printed that a line with a question mark is about: its words are the span, the slice's
//! kind or id, or the metric, or the beginning of one, with a star.
//!
//! ```text
//! ? day fleet trips_*
//! kpi day 00:00 fleet trips_started 2                the day that begins at 00:00; `final` may end the line
//! kpi now location shop trucks_at 1
//! ```
//!
//! A file may say what it expects of its end in lines that begin with `>`; as inputs these are comments.

mod alerts;
mod kpis;
mod parse;
mod print;
mod words;

pub use alerts::print_alerts;
pub use kpis::{KpiFilter, kpi_filters, print_kpis};
pub use parse::{ScenarioError, expected, parse};
#[cfg(test)]
pub(super) use print::short;
pub use print::{print_inputs, print_rows};

const DAY: &str = "2026-01-05T";
const NEXT_DAY: &str = "2026-01-06T";

#[cfg(test)]
mod tests;
