//! The derived tables: their columns are the fields of the rows' JSON, in that order.

use model::Table;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `text`
    Text,
    /// `timestamptz`
    Time,
    /// `bigint`
    Integer,
    /// `boolean`
    Bool,
    /// A JSON object as the very text that the row has: `text`, with a `jsonb` made of it beside it.
    Json,
}

impl Kind {
    /// What an array of it is cast to.
    pub fn array_type(self) -> &'static str {
        match self {
            Kind::Text | Kind::Json => "text[]",
            Kind::Time => "timestamptz[]",
            Kind::Integer => "bigint[]",
            Kind::Bool => "boolean[]",
        }
    }
}

/// A column, and the field of the same name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The field's name.
    pub field: &'static str,
    pub kind: Kind,
    pub is_key: bool,
    /// The field is left out of the JSON where the column is null.
    pub is_optional: bool,
}

impl Column {
    /// The name in the database.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Json => format!("{}_text", self.field),
            _ => self.field.to_owned(),
        }
    }
}

const fn column(field: &'static str, kind: Kind) -> Column {
    Column { field, kind, is_key: false, is_optional: false }
}

const fn key(field: &'static str, kind: Kind) -> Column {
    Column { is_key: true, ..column(field, kind) }
}

const fn optional(field: &'static str, kind: Kind) -> Column {
    Column { is_optional: true, ..column(field, kind) }
}

use Kind::{Bool, Integer, Json, Text, Time};

const ALERTS: &[Column] = &[
    key("alert_id", Text),
    column("kind", Text),
    column("severity", Text),
    column("vehicle_id", Text),
    column("fence_id", Text),
    column("trip_id", Text),
    column("started", Time),
    column("due_at", Time),
    column("ended", Time),
    column("details", Json),
];

const CROSSINGS: &[Column] = &[
    key("vehicle_id", Text),
    key("fence_id", Text),
    key("from_time", Time),
    column("to_time", Time),
    column("at", Time),
];

const ETAS: &[Column] =
    &[key("trip_id", Text), column("eta", Time), column("eta_low", Time), column("eta_high", Time)];

/// `start` is part of the key of days and weeks: the table has `start_key`, which is made of it.
const KPIS: &[Column] = &[
    key("span", Text),
    column("start", Time),
    key("slice", Text),
    key("slice_id", Text),
    key("metric", Text),
    column("value", Integer),
    column("final", Bool),
];

const PRESENCES: &[Column] = &[
    key("vehicle_id", Text),
    key("fence_id", Text),
    key("entered", Time),
    column("exited", Time),
    column("end_reason", Text),
];

const REJECTS: &[Column] = &[
    key("seq", Integer),
    column("vehicle_id", Text),
    column("event_time", Time),
    column("reason", Text),
    column("used", Bool),
];

const TRIPS: &[Column] = &[
    key("trip_id", Text),
    column("vehicle_id", Text),
    column("phase", Text),
    column("status", Text),
    column("status_by", Text),
    column("pickup_arrival", Time),
    column("actual_departure", Time),
    column("arrival", Time),
    column("offload", Time),
    column("tat_s", Integer),
    column("distance_m", Integer),
    column("departure_unobserved", Bool),
    optional("source", Text),
    optional("pickup", Text),
    optional("delivery", Text),
];

const VISITS: &[Column] = &[
    key("vehicle_id", Text),
    key("fence_id", Text),
    key("arrived", Time),
    column("departed", Time),
    column("confirmed_at", Time),
    column("presences", Integer),
];

/// The columns of a table, in the order of its fields.
pub(crate) fn columns(table: Table) -> &'static [Column] {
    match table {
        Table::Alerts => ALERTS,
        Table::Crossings => CROSSINGS,
        Table::Etas => ETAS,
        Table::Kpis => KPIS,
        Table::Presences => PRESENCES,
        Table::Rejects => REJECTS,
        Table::Trips => TRIPS,
        Table::Visits => VISITS,
    }
}
