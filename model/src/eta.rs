//! When trips are expected to arrive.

use std::sync::Arc;

use crate::TimeMs;
use crate::rows::{text_field, time_field};

/// When a trip is expected at its delivery, to 5 minutes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EtaRow {
    /// Key.
    pub trip_id: Arc<str>,
    /// The likeliest time.
    pub eta: TimeMs,
    /// Hardly before.
    pub eta_low: TimeMs,
    /// Hardly after.
    pub eta_high: TimeMs,
}

impl EtaRow {
    /// Appends all of the row but the brace at its end.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        text_field(out, b"{\"trip_id\":", &self.trip_id);
        time_field(out, b",\"eta\":", Some(self.eta));
        time_field(out, b",\"eta_low\":", Some(self.eta_low));
        time_field(out, b",\"eta_high\":", Some(self.eta_high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Row;

    #[test]
    fn rows_are_the_contracts_bytes() {
        let row = |trip_id: &str| {
            Row::Eta(EtaRow {
                trip_id: trip_id.into(),
                eta: TimeMs(600_000),
                eta_low: TimeMs(300_000),
                eta_high: TimeMs(900_000),
            })
        };
        assert_eq!(
            row("t").to_json(),
            r#"{"trip_id":"t","eta":"1970-01-01T00:10:00Z","eta_low":"1970-01-01T00:05:00Z","eta_high":"1970-01-01T00:15:00Z"}"#
        );
        assert!(row("a").key_bytes() < row("b").key_bytes() && row("a").cmp_key(&row("b")).is_lt());
    }
}
