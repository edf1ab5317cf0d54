//! The referee: derived rows recomputed from scratch, by full scans, straight from the definitions.
//!
//! ```text
//! records --admission--> fixes --jumps--> good fixes --presence--> presences --stays--> visits
//!                   \--> edits --timeline--> versions --geometry--/     \--crossing--> crossings
//!                    \-> rejects <--jumps
//! visits, good fixes, plans, locations, statuses --trips--> trips
//! trips, good fixes, fences --etas--> ETAs
//! good fixes, presences, stays, trips, rules, the provider's alerts --alerts--> alerts
//! trips, visits, good fixes, vehicles, locations, alerts --kpis--> KPIs, which are apart: they rest on ticks
//! ```
//!
//! Invariants:
//! 1. Shares no logic with the product's operators: only plain values, geodesics and the printing of rows
//!    come from `model`. Where both are wrong in the same way, the definitions were wrong.
//! 2. No increments and no index: each table is a function of the whole input. Only bounding boxes spare
//!    work, and they only ever rule out what is certainly far away.
//! 3. Where not all history is kept (`history.keep_h`), what a correction leaves is final, and so depends on
//!    the order of arrival: at each correction all is recomputed from what the one before has left. See
//!    `reach`.
//! 4. A backfill record changes what was before it: the whole input is walked knowing all of them. See
//!    `backfill`.

use std::sync::Arc;

use model::{
    AlertRow, AlertRule, CrossingRow, EtaRow, Fence, GraphSettings, LocationEdit, Position, PositionRef,
    PresenceRow, ProviderAlert, Record, RecordSink, RejectRow, Row, SettingValue, TimeMs, TripEdit, TripRow,
    VehicleEdit, VisitRow,
};

mod admission;
mod alerts;
mod backfill;
mod crossing;
mod etas;
mod fleet;
mod geometry;
mod jumps;
mod kpis;
mod log;
mod presence;
mod reach;
pub mod scenario;
#[cfg(test)]
mod scenarios;
mod timeline;
mod trips;
#[cfg(test)]
mod vectors;
mod vehicles;

pub use fleet::{Fleet, OfVehicle};
pub use geometry::Geometry;
pub use kpis::{recompute_kpis, recompute_kpis_after, recompute_kpis_after_each};

/// The input in its order of arrival: one item a record, bad ones included.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A vehicle was somewhere.
    Position {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// Whose position.
        vehicle_id: String,
        /// The numbers, not yet judged.
        position: Position,
    },
    /// A fence is created or replaced.
    Fence {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// One version of it.
        fence: Arc<Fence>,
    },
    /// A fence ends.
    FenceDelete {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// Which fence.
        id: String,
        /// From when on; the record's instant where absent.
        at: Option<TimeMs>,
    },
    /// A trip is planned, or its status is set by hand.
    Trip {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// Which trip.
        id: String,
        /// What happens to it.
        edit: TripEdit,
    },
    /// A location is created, replaced or deleted.
    Location {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// Which location.
        id: String,
        /// What happens to it.
        edit: LocationEdit,
    },
    /// When alerts of a kind are raised changes.
    Rule {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// The rule.
        rule: Arc<AlertRule>,
    },
    /// The tracking provider tells of something.
    ProviderAlert {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// What it tells.
        alert: Arc<ProviderAlert>,
    },
    /// A vehicle is created, replaced or deleted.
    Vehicle {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// Which vehicle.
        id: String,
        /// What happens to it.
        edit: VehicleEdit,
    },
    /// Settings change.
    Settings {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// Names and values; one that cannot be applied refuses the record.
        values: Vec<(String, SettingValue)>,
    },
    /// A period is computed anew, with what came too late for it.
    Backfill {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
        /// First millisecond.
        from: TimeMs,
        /// First millisecond that is not part of it any more.
        to: TimeMs,
    },
    /// Time has passed.
    Clock {
        /// Until when.
        received: Option<TimeMs>,
    },
    /// What could not be read.
    Malformed {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
    },
    /// A record without consequences here.
    Other {
        /// What the record says of its arrival.
        received: Option<TimeMs>,
    },
}

impl Input {
    /// What the record itself says of its arrival.
    #[must_use]
    pub fn received(&self) -> Option<TimeMs> {
        match self {
            Input::Position { received, .. }
            | Input::Fence { received, .. }
            | Input::FenceDelete { received, .. }
            | Input::Trip { received, .. }
            | Input::Location { received, .. }
            | Input::Rule { received, .. }
            | Input::ProviderAlert { received, .. }
            | Input::Vehicle { received, .. }
            | Input::Settings { received, .. }
            | Input::Backfill { received, .. }
            | Input::Clock { received }
            | Input::Malformed { received }
            | Input::Other { received } => *received,
        }
    }
}

/// Gathers what any decoder of sources finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collector(pub Vec<Input>);

impl RecordSink for Collector {
    fn position(&mut self, received: Option<TimeMs>, position: PositionRef<'_>) {
        let vehicle_id = position.vehicle_id.to_owned();
        self.0.push(Input::Position { received, vehicle_id, position: position.position });
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        self.0.push(match record {
            Record::FenceUpsert(fence) => Input::Fence { received, fence },
            Record::FenceDelete { id, at } => Input::FenceDelete { received, id: id.to_string(), at },
            Record::Trip { id, edit, .. } => Input::Trip { received, id: id.to_string(), edit },
            Record::Location { id, edit, .. } => Input::Location { received, id: id.to_string(), edit },
            Record::Rule { rule, .. } => Input::Rule { received, rule },
            Record::ProviderAlert { alert, .. } => Input::ProviderAlert { received, alert },
            Record::Vehicle { id, edit, .. } => Input::Vehicle { received, id: id.to_string(), edit },
            Record::Settings(values) => Input::Settings { received, values },
            Record::Backfill { from, to } => Input::Backfill { received, from, to },
            Record::Clock => Input::Clock { received },
            Record::AlertMark { .. } | Record::Other { .. } => Input::Other { received },
            Record::Undecodable { .. } => Input::Malformed { received },
        });
    }
}

/// The tables as rows, each in the order of its key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// What is worth telling.
    pub alerts: Vec<AlertRow>,
    /// Who went through without being seen there.
    pub crossings: Vec<CrossingRow>,
    /// When trips that are in transit arrive.
    pub etas: Vec<EtaRow>,
    /// Who was where.
    pub presences: Vec<PresenceRow>,
    /// Stays that were long enough.
    pub visits: Vec<VisitRow>,
    /// Records not used, or not in full.
    pub rejects: Vec<RejectRow>,
    /// Where trips are.
    pub trips: Vec<TripRow>,
}

/// The tables as the bytes of the product's files: one compact JSON object a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `alerts.ndjson`.
    pub alerts: Vec<u8>,
    /// `crossings.ndjson`.
    pub crossings: Vec<u8>,
    /// `etas.ndjson`.
    pub etas: Vec<u8>,
    /// `presences.ndjson`.
    pub presences: Vec<u8>,
    /// `visits.ndjson`.
    pub visits: Vec<u8>,
    /// `rejects.ndjson`.
    pub rejects: Vec<u8>,
    /// `trips.ndjson`.
    pub trips: Vec<u8>,
}

/// Recomputes everything from scratch as of the end of `input`: the instant is that of its last record.
#[must_use]
pub fn recompute(input: &[Input], defaults: &GraphSettings) -> Tables {
    let rows = recompute_rows(input, defaults);
    Tables {
        alerts: sorted_lines(rows.alerts.into_iter().map(Row::Alert)),
        crossings: sorted_lines(rows.crossings.into_iter().map(Row::Crossing)),
        etas: sorted_lines(rows.etas.into_iter().map(Row::Eta)),
        presences: sorted_lines(rows.presences.into_iter().map(Row::Presence)),
        visits: sorted_lines(rows.visits.into_iter().map(Row::Visit)),
        rejects: sorted_lines(rows.rejects.into_iter().map(Row::Reject)),
        trips: sorted_lines(rows.trips.into_iter().map(Row::Trip)),
    }
}

/// [`recompute`] as of the first `count` records: what must show when a tick closes there.
#[must_use]
pub fn recompute_prefix(input: &[Input], count: usize, defaults: &GraphSettings) -> Tables {
    recompute(&input[..count.min(input.len())], defaults)
}

/// [`recompute`] without the printing.
#[must_use]
pub fn recompute_rows(input: &[Input], defaults: &GraphSettings) -> Rows {
    let mut log = log::Log::new(defaults, backfill::backfills(input));
    for record in input {
        log.take(record);
    }
    log.rows()
}

fn sorted_lines(rows: impl Iterator<Item = Row>) -> Vec<u8> {
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by(Row::cmp_key);
    let mut out = Vec::new();
    for row in rows {
        row.write_json(&mut out);
        out.push(b'\n');
    }
    out
}
