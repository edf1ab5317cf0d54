//! One figure as it changes, as server-sent events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::http::header::HeaderMap;
use journal::{Cursor, StoredChange};
use model::{KpiSpan, Row, Table, TimeMs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{read_metric, read_slice, spans, write_kpi_members};
use crate::http::openapi::ProblemDoc;
use crate::http::params::{self, Params};
use crate::http::{Shared, changes, write_stamp};
use crate::problem::Problem;
use crate::views::{KpiKey, KpiPoint};

/// Which figure, and from where on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct KpiStreamParams {
    /// Over which time: `now`, `15m`, `1h`, `24h`, `7d`, `day` or `week`.
    #[param(value_type = String)]
    span: Option<String>,
    /// Of what: `fleet`, which is meant where it is not given, `client`, `location` or `truck`.
    slice: Option<String>,
    /// Of which of them.
    slice_id: Option<String>,
    /// Which figure, such as `visits` or `alerts:overspeed`.
    #[param(value_type = String)]
    metric: Option<String>,
    /// After this cursor, the `id` of an event. Without it, and without the header `Last-Event-ID`, which wins over
    /// it, the stream begins with the figure of now.
    cursor: Option<String>,
}

/// One figure, and every change of it: first an event `kpi` with the figure of now, where there is one, then events
/// as those of `/changes`, of this figure only.
#[utoipa::path(get, path = "/api/v1/kpis/stream", tag = "KPIs", params(KpiStreamParams,
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event received.")
), responses(
    (status = 200, description = "A stream without an end.", body = String,
        content_type = "text/event-stream"),
    (status = 410, description = "Changes after the cursor are no longer kept.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(in crate::http) async fn follow_kpi(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<KpiStreamParams>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let span = params::named("span", params.span.as_deref(), &spans(), KpiSpan::from_name)?;
    let metric = read_metric(params.metric.as_deref())?;
    let (Some(span), Some(metric)) = (span, metric) else {
        return Err(Problem::bad_request("span and metric must be given: one figure is followed"));
    };
    let slice = read_slice(params.slice.as_deref(), params.slice_id.as_deref())?;
    let key = KpiKey { span, slice, metric };
    let mut first = Vec::new();
    let asked = changes::asked_cursor(&shared, params::given(params.cursor.as_deref()), &headers)?;
    let cursor = asked.unwrap_or_else(|| write_now(&mut first, &shared, &key));
    let rows = RowsOf::new(&key);
    changes::follow(&shared, cursor, Arc::new(move |change| rows.has(change)), &first).await
}

/// Writes the figure of now as an event, and gives the cursor from which on nothing of it is missed.
fn write_now(out: &mut Vec<u8>, shared: &Shared, key: &KpiKey) -> Cursor {
    let (stamp, view) = {
        let state = shared.api.views.read();
        (state.stamp, state.kpis.get(key, state.stamp.instant))
    };
    let cursor = Cursor { tick: stamp.tick, index: u32::MAX };
    if let Some(view) = view {
        out.extend_from_slice(format!("id: {cursor}\nevent: kpi\ndata: {{").as_bytes());
        write_stamp(out, stamp);
        out.push(b',');
        write_kpi_members(out, &view);
        out.extend_from_slice(b"}\n\n");
    }
    cursor
}

/// The rows of one figure, by their keys: of days and weeks, whenever they begin.
struct RowsOf {
    before_start: Vec<u8>,
    after_start: Vec<u8>,
    len: usize,
}

impl RowsOf {
    fn new(key: &KpiKey) -> RowsOf {
        let bytes = |start: i64| {
            let point = KpiPoint {
                start: Some(TimeMs(start)),
                shown_at: TimeMs(0),
                value: 0,
                is_final: false,
                correction: None,
            };
            Row::Kpi(point.row(key)).key_bytes()
        };
        // Two times that differ in each of their bytes show where in a key the time is.
        let (a, b) = (bytes(0), bytes(-1));
        let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let same_behind = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let behind = if same == a.len() { a.len() } else { a.len() - same_behind };
        let [before_start, after_start] = [&a[..same], &a[behind..]].map(<[u8]>::to_vec);
        RowsOf { before_start, after_start, len: a.len() }
    }

    fn has(&self, stored: &StoredChange) -> bool {
        let key = &stored.change.key;
        stored.change.table == Table::Kpis.code()
            && key.len() == self.len
            && key.starts_with(&self.before_start)
            && key.ends_with(&self.after_start)
    }
}
