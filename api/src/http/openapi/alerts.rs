//! The shapes of answers about alerts.

use utoipa::ToSchema;

/// An alert as it is in the files.
#[derive(ToSchema)]
#[schema(as = AlertRow)]
pub(in crate::http) struct AlertRowDoc {
    /// A hash of kind, subject and beginning; 16 hexadecimal digits.
    alert_id: String,
    /// Such as `overspeed`; the provider has kinds of its own.
    kind: String,
    /// `info`, `warning` or `critical`.
    severity: String,
    vehicle_id: String,
    /// The fence that it is about, or whose limit was broken.
    fence_id: Option<String>,
    /// The trip that it is about.
    trip_id: Option<String>,
    /// When its condition began.
    #[schema(format = DateTime)]
    started: String,
    /// When somebody who sees everything at once would have raised it.
    #[schema(format = DateTime)]
    due_at: String,
    /// Null while it goes on.
    #[schema(format = DateTime)]
    ended: Option<String>,
    /// What is particular to the kind.
    details: serde_json::Value,
}

/// Who said something, and when.
#[derive(ToSchema)]
#[schema(as = Marked)]
pub(in crate::http) struct MarkedDoc {
    by: String,
    #[schema(format = DateTime)]
    at: String,
}

/// An alert, with what is known beside its row.
#[derive(ToSchema)]
#[schema(as = Alert)]
pub(in crate::http) struct AlertDoc {
    #[serde(flatten)]
    row: AlertRowDoc,
    /// What people said of it: `open`, where they said nothing, `acknowledged` or `resolved`.
    state: String,
    acknowledged: Option<MarkedDoc>,
    resolved: Option<MarkedDoc>,
    /// The instant at which it came first.
    #[schema(format = DateTime)]
    learned_at: String,
    /// It was learned more than 15 min after it was due, and so is told to nobody.
    late: bool,
    /// When its episode became worth telling; null where nobody is told of it.
    #[schema(format = DateTime)]
    told_at: Option<String>,
    /// 1 as it came; then how often its row changed.
    revision: u32,
    /// The id of the first alert of its episode: those of one kind and subject whose times meet.
    episode: String,
    /// Alerts that went, and whose place it has taken.
    supersedes: Vec<String>,
}

/// One alert.
#[derive(ToSchema)]
#[schema(as = LiveAlert)]
pub(in crate::http) struct LiveAlertDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[serde(flatten)]
    alert: AlertDoc,
    /// The id that was asked for, where a correction took that alert back and this one stands in its place.
    successor_of: Option<String>,
}

page_doc!(AlertPageDoc, "alerts", AlertDoc);

/// An alert's row that came, went, or became another.
#[derive(ToSchema)]
#[schema(as = AlertEvent)]
pub(in crate::http) struct AlertEventDoc {
    tick: u64,
    /// The instant of the tick.
    #[schema(format = DateTime)]
    instant: String,
    /// `came`, `went` or `replaced`.
    change: String,
    /// `first`, `late_fix`, `superseded`, `cleaning`, `fence_edit`, `fence_end`, `backfill` or `settings`.
    cause: String,
    /// Place of the record that brought it in the whole input.
    seq: u64,
    /// What it was before; null where it came.
    old: Option<AlertRowDoc>,
    /// What it is since; null where it went.
    new: Option<AlertRowDoc>,
}

/// A page of an alert's story.
#[derive(ToSchema)]
#[schema(as = AlertHistory)]
pub(in crate::http) struct AlertHistoryDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    id: String,
    /// Whether the story goes back to its beginning; changes are not kept for ever.
    complete: bool,
    items: Vec<AlertEventDoc>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Who says it.
#[derive(ToSchema)]
#[schema(as = AlertMark)]
pub(in crate::http) struct AlertMarkDoc {
    by: String,
}
