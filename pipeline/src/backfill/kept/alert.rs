//! Kept rows of alerts.

use model::{AlertId, AlertRow, Row, Severity};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{text, time, time_if_any};

#[derive(Deserialize)]
pub(super) struct Alert {
    alert_id: String,
    kind: String,
    severity: String,
    vehicle_id: String,
    fence_id: Option<String>,
    trip_id: Option<String>,
    started: String,
    due_at: String,
    ended: Option<String>,
    details: Box<RawValue>,
}

impl Alert {
    pub(super) fn row(self) -> Result<Row, String> {
        Ok(Row::Alert(AlertRow {
            alert_id: self.alert_id.parse::<AlertId>().map_err(text)?,
            kind: self.kind.into(),
            severity: Severity::from_name(&self.severity).ok_or("an unknown severity")?,
            vehicle_id: self.vehicle_id.into(),
            fence_id: self.fence_id.map(Into::into),
            trip_id: self.trip_id.map(Into::into),
            started: time(&self.started)?,
            due_at: time(&self.due_at)?,
            ended: time_if_any(self.ended)?,
            details: self.details.get().into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use model::{AlertDetails, TimeMs};

    use super::*;

    #[test]
    fn alerts_come_back() {
        let of = |severity, id: Option<&str>, ended, details: AlertDetails| {
            Row::Alert(AlertRow {
                alert_id: AlertId(0xc0ffee),
                kind: "over\"speed".into(),
                severity,
                vehicle_id: "T \"1\"".into(),
                fence_id: id.map(Into::into),
                trip_id: id.map(Into::into),
                started: TimeMs(1_767_600_000_000),
                due_at: TimeMs(1_767_600_030_000),
                ended,
                details: details.to_json().into(),
            })
        };
        let limit = AlertDetails::Overspeed { limit_milli: 60_050, max_speed_dkmh: 834 };
        let received = Some(r#"{"a":[1.0,"é\n"],"b":{}}"#.into());
        let provider = AlertDetails::Provider { provider_id: Some("7".into()), received };
        let mut rows = vec![
            of(Severity::Info, Some("ü/\u{1}"), Some(TimeMs(1_767_600_000_001)), limit),
            of(Severity::Info, None, None, provider),
        ];
        rows.extend(Severity::ALL.map(|severity| of(severity, None, None, AlertDetails::None)));
        for kept in rows {
            assert_eq!(super::super::row(kept.table(), kept.to_json().as_bytes()).unwrap(), kept);
        }
    }
}
