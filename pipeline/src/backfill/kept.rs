//! Kept rows as rows again.

mod alert;

use std::fmt::Display;

use journal::StoreError;
use model::{
    AutoPlaces, CrossingRow, EndReason, EtaRow, KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan,
    PresenceRow, RejectReason, RejectRow, Row, Table, TimeMs, TripPhase, TripRow, TripStatus, VisitRow,
};
use serde::Deserialize;

/// A row of a table, from its JSON.
pub(crate) fn row(table: Table, json: &[u8]) -> Result<Row, StoreError> {
    let row = match table {
        Table::Alerts => parse(json).and_then(alert::Alert::row),
        Table::Crossings => parse(json).and_then(Crossing::row),
        Table::Presences => parse(json).and_then(Presence::row),
        Table::Visits => parse(json).and_then(Visit::row),
        Table::Rejects => parse(json).and_then(Reject::row),
        Table::Trips => parse(json).and_then(Trip::row),
        Table::Kpis => parse(json).and_then(Kpi::row),
        Table::Etas => parse(json).and_then(Eta::row),
    };
    row.map_err(|error| {
        let text = String::from_utf8_lossy(json);
        let what = format!("a kept row of {} can't be read ({error}): {text}", table.as_str());
        StoreError::Damaged { what }
    })
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn time(text_of_time: &str) -> Result<TimeMs, String> {
    TimeMs::parse_rfc3339(text_of_time).map_err(text)
}

fn time_if_any(text_of_time: Option<String>) -> Result<Option<TimeMs>, String> {
    text_of_time.as_deref().map(time).transpose()
}

#[derive(Deserialize)]
struct Crossing {
    vehicle_id: String,
    fence_id: String,
    from_time: String,
    to_time: String,
    at: String,
}

impl Crossing {
    fn row(self) -> Result<Row, String> {
        Ok(Row::Crossing(CrossingRow {
            vehicle_id: self.vehicle_id.into(),
            fence_id: self.fence_id.into(),
            from_time: time(&self.from_time)?,
            to_time: time(&self.to_time)?,
            at: time(&self.at)?,
        }))
    }
}

#[derive(Deserialize)]
struct Presence {
    vehicle_id: String,
    fence_id: String,
    entered: String,
    exited: Option<String>,
    end_reason: Option<String>,
}

impl Presence {
    fn row(self) -> Result<Row, String> {
        let reasons = [EndReason::Exit, EndReason::FenceDeleted, EndReason::FenceEnded];
        let named = |name: &str| reasons.into_iter().find(|reason| reason.as_str() == name);
        let end = match (time_if_any(self.exited)?, self.end_reason.as_deref()) {
            (None, None) => None,
            (Some(exited), Some(name)) => Some((exited, named(name).ok_or("an unknown end_reason")?)),
            _ => return Err("only one of exited and end_reason".to_owned()),
        };
        let entered = time(&self.entered)?;
        Ok(Row::Presence(PresenceRow {
            vehicle_id: self.vehicle_id.into(),
            fence_id: self.fence_id.into(),
            entered,
            end,
        }))
    }
}

#[derive(Deserialize)]
struct Visit {
    vehicle_id: String,
    fence_id: String,
    arrived: String,
    departed: Option<String>,
    confirmed_at: String,
    presences: u32,
}

impl Visit {
    fn row(self) -> Result<Row, String> {
        Ok(Row::Visit(VisitRow {
            vehicle_id: self.vehicle_id.into(),
            fence_id: self.fence_id.into(),
            arrived: time(&self.arrived)?,
            departed: time_if_any(self.departed)?,
            confirmed_at: time(&self.confirmed_at)?,
            presences: self.presences,
        }))
    }
}

#[derive(Deserialize)]
struct Reject {
    seq: u64,
    vehicle_id: Option<String>,
    event_time: Option<String>,
    reason: String,
}

impl Reject {
    fn row(self) -> Result<Row, String> {
        let fix = self.vehicle_id.map(Into::into).zip(time_if_any(self.event_time)?);
        let reason = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == self.reason);
        Ok(Row::Reject(RejectRow { seq: self.seq, fix, reason: reason.ok_or("an unknown reason")? }))
    }
}

#[derive(Deserialize)]
struct Trip {
    trip_id: String,
    vehicle_id: String,
    phase: String,
    status: String,
    status_by: String,
    pickup_arrival: Option<String>,
    actual_departure: Option<String>,
    arrival: Option<String>,
    offload: Option<String>,
    tat_s: Option<i64>,
    distance_m: Option<i64>,
    departure_unobserved: bool,
    /// Those of a trip that was not planned.
    pickup: Option<String>,
    delivery: Option<String>,
}

impl Trip {
    fn row(self) -> Result<Row, String> {
        Ok(Row::Trip(TripRow {
            trip_id: self.trip_id.into(),
            vehicle_id: self.vehicle_id.into(),
            phase: TripPhase::from_name(&self.phase).ok_or("an unknown phase")?,
            status: TripStatus::from_name(&self.status).ok_or("an unknown status")?,
            status_by: self.status_by.into(),
            pickup_arrival: time_if_any(self.pickup_arrival)?,
            actual_departure: time_if_any(self.actual_departure)?,
            arrival: time_if_any(self.arrival)?,
            offload: time_if_any(self.offload)?,
            tat_s: self.tat_s,
            distance_m: self.distance_m,
            departure_unobserved: self.departure_unobserved,
            auto: self
                .pickup
                .zip(self.delivery)
                .map(|(pickup, delivery)| AutoPlaces { pickup: pickup.into(), delivery: delivery.into() }),
        }))
    }
}

#[derive(Deserialize)]
struct Kpi {
    span: String,
    start: Option<String>,
    slice: String,
    slice_id: String,
    metric: String,
    value: i64,
    r#final: bool,
}

impl Kpi {
    fn row(self) -> Result<Row, String> {
        let kind = KpiSliceKind::from_name(&self.slice).ok_or("an unknown slice")?;
        Ok(Row::Kpi(KpiRow {
            span: KpiSpan::from_name(&self.span).ok_or("an unknown span")?,
            start: time_if_any(self.start)?,
            slice: KpiSlice { kind, id: self.slice_id.into() },
            metric: KpiMetric::from_name(&self.metric).ok_or("an unknown metric")?,
            value: self.value,
            is_final: self.r#final,
        }))
    }
}

#[derive(Deserialize)]
struct Eta {
    trip_id: String,
    eta: String,
    eta_low: String,
    eta_high: String,
}

impl Eta {
    fn row(self) -> Result<Row, String> {
        Ok(Row::Eta(EtaRow {
            trip_id: self.trip_id.into(),
            eta: time(&self.eta)?,
            eta_low: time(&self.eta_low)?,
            eta_high: time(&self.eta_high)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::LiveStatus;

    use super::*;

    #[test]
    fn rows_of_all_tables_come_back() {
        let at = |ms: i64| TimeMs(1_767_600_000_000 + ms);
        let (vehicle_id, fence_id): (Arc<str>, Arc<str>) = ("T \"1\"".into(), "ü/\u{1}".into());
        let presence = |end| {
            let (vehicle_id, fence_id) = (vehicle_id.clone(), fence_id.clone());
            Row::Presence(PresenceRow { vehicle_id, fence_id, entered: at(0), end })
        };
        let visit = |departed| {
            let (vehicle_id, fence_id) = (vehicle_id.clone(), fence_id.clone());
            let (arrived, confirmed_at) = (at(7), at(300_000));
            Row::Visit(VisitRow { vehicle_id, fence_id, arrived, departed, confirmed_at, presences: 3 })
        };
        let reject = |fix, reason| Row::Reject(RejectRow { seq: 12, fix, reason });
        let trip = |phase, status, time: Option<TimeMs>| {
            Row::Trip(TripRow {
                trip_id: fence_id.clone(),
                vehicle_id: vehicle_id.clone(),
                phase,
                status,
                status_by: TripRow::INFERRED.into(),
                pickup_arrival: time,
                actual_departure: time.map(|time| time.plus_ms(1)),
                arrival: time.map(|time| time.plus_ms(2)),
                offload: time.map(|time| time.plus_ms(3)),
                tat_s: time.map(|_| -7),
                distance_m: time.map(|_| 8),
                departure_unobserved: time.is_none(),
                auto: (phase == TripPhase::AtDelivery)
                    .then(|| AutoPlaces { pickup: fence_id.clone(), delivery: vehicle_id.clone() }),
            })
        };
        let kpi = |span: KpiSpan, kind, metric| {
            let start = Some(at(-8)).filter(|_| span != KpiSpan::Now);
            let slice = KpiSlice { kind, id: fence_id.clone() };
            Row::Kpi(KpiRow { span, start, slice, metric, value: -9, is_final: span.is_calendar() })
        };
        let mut rows = vec![
            Row::Eta(EtaRow { trip_id: fence_id.clone(), eta: at(1), eta_low: at(0), eta_high: at(2) }),
            presence(None),
            visit(None),
            visit(Some(at(900_000))),
            Row::Crossing(CrossingRow {
                vehicle_id: vehicle_id.clone(),
                fence_id: fence_id.clone(),
                from_time: at(-1),
                to_time: at(2),
                at: at(1),
            }),
            reject(None, RejectReason::Malformed),
        ];
        rows.extend(
            [EndReason::Exit, EndReason::FenceDeleted, EndReason::FenceEnded]
                .map(|reason| presence(Some((at(5), reason)))),
        );
        rows.extend(RejectReason::ALL.map(|reason| reject(Some((vehicle_id.clone(), at(0))), reason)));
        rows.extend(TripPhase::ALL.map(|phase| trip(phase, TripStatus::Ongoing, None)));
        rows.extend(TripStatus::ALL.map(|status| trip(TripPhase::Done, status, Some(at(0)))));
        rows.extend(KpiSpan::ALL.map(|span| kpi(span, KpiSliceKind::Fleet, KpiMetric::Visits)));
        rows.extend(
            KpiSliceKind::ALL.map(|kind| kpi(KpiSpan::Day, kind, KpiMetric::Alerts("a \"b\"".into()))),
        );
        rows.extend(
            LiveStatus::ALL.map(|status| kpi(KpiSpan::Now, KpiSliceKind::Fleet, KpiMetric::Trucks(status))),
        );
        for kept in rows {
            assert_eq!(row(kept.table(), kept.to_json().as_bytes()).unwrap(), kept);
        }
    }

    #[test]
    fn damage_is_told_with_the_row() {
        let spoilt = br#"{"vehicle_id":"T1","fence_id":"yard","entered":"2026-01-05T08:00:00Z","exited":null,"end_reason":"exit"}"#;
        let error = row(Table::Presences, spoilt).unwrap_err().to_string();
        assert!(error.contains("presences") && error.contains("\"T1\""), "{error}");
        assert!(row(Table::Visits, b"{}").is_err());
    }
}
