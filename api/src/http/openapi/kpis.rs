//! The shapes of answers about KPIs.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A figure as it is in the files.
#[derive(ToSchema)]
#[schema(as = KpiRow)]
pub(in crate::http) struct KpiRowDoc {
    /// `now`, `15m`, `1h`, `24h`, `7d`, `day` or `week`.
    span: String,
    /// When the window begins; null for the present state.
    #[schema(format = DateTime)]
    start: Option<String>,
    /// `fleet`, `client`, `location` or `truck`.
    slice: String,
    /// Of which of them; `all` for the fleet.
    slice_id: String,
    /// Its name ends with its unit: `_s` seconds, `_m` metres, `_bp` hundredths of a percent, else a count.
    metric: String,
    value: i64,
    /// The window ended longer ago than fixes may be late.
    r#final: bool,
}

/// A figure of the past that became another one, after its window was over and shown so.
#[derive(ToSchema)]
#[schema(as = KpiCorrection)]
pub(in crate::http) struct KpiCorrectionDoc {
    /// What was shown at first.
    was: i64,
    /// When it was corrected last.
    #[schema(format = DateTime)]
    at: String,
    /// `first`, `late_fix`, `superseded`, `cleaning`, `fence_edit`, `fence_end`, `backfill` or `settings`.
    cause: String,
}

/// The same figure a week before.
#[derive(ToSchema)]
#[schema(as = WeekBefore)]
pub(in crate::http) struct WeekBeforeDoc {
    value: i64,
    /// By how much it is more since.
    change: i64,
    /// The same, in hundredths of a percent of the value a week before; null where that is 0.
    change_bp: Option<i64>,
}

/// A figure.
#[derive(ToSchema)]
#[schema(as = Kpi)]
pub(in crate::http) struct KpiDoc {
    #[serde(flatten)]
    row: KpiRowDoc,
    corrected: Option<KpiCorrectionDoc>,
    /// Of days, weeks and the last 7 days.
    week_before: Option<WeekBeforeDoc>,
}

/// A value of a figure.
#[derive(ToSchema)]
#[schema(as = KpiValue)]
pub(in crate::http) struct KpiValueDoc {
    #[serde(flatten)]
    kpi: KpiDoc,
    /// The instant of the tick that brought it.
    #[schema(format = DateTime)]
    shown_at: String,
}

page_doc!(KpiPageDoc, "figures of now", KpiDoc);
page_doc!(KpiHistoryPageDoc, "what figures were", KpiValueDoc);

/// A figure in a table.
#[derive(ToSchema)]
#[schema(as = AnalyticsFigure)]
pub(in crate::http) struct AnalyticsFigureDoc {
    value: i64,
    corrected: Option<KpiCorrectionDoc>,
    week_before: Option<WeekBeforeDoc>,
}

/// A day or week.
#[derive(ToSchema)]
#[schema(as = AnalyticsRow)]
pub(in crate::http) struct AnalyticsRowDoc {
    #[schema(format = DateTime)]
    start: String,
    /// All of its figures are.
    r#final: bool,
    /// By their names; what there was nothing to count of is not there.
    metrics: BTreeMap<String, AnalyticsFigureDoc>,
}

/// A page of a table.
#[derive(ToSchema)]
#[schema(as = AnalyticsPage)]
pub(in crate::http) struct AnalyticsPageDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    /// `day` or `week`.
    span: String,
    slice: String,
    slice_id: String,
    items: Vec<AnalyticsRowDoc>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}
