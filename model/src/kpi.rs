//! KPIs: over what time, of whom, which figure, how often it moves, and the row that says it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::TimeMs;
use crate::rows::{push_ordered_text, push_ordered_time, text_field, time_field};

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Over what time a figure goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum KpiSpan {
    /// The present state.
    Now,
    /// The last 15 minutes.
    Last15Minutes,
    /// The last hour.
    LastHour,
    /// The last 24 hours.
    Last24Hours,
    /// The last 7 days, of 24 hours each.
    Last7Days,
    /// A day of the calendar.
    Day,
    /// A week of the calendar, from Monday on.
    Week,
}

impl KpiSpan {
    /// All spans.
    pub const ALL: [KpiSpan; 7] = [
        KpiSpan::Now,
        KpiSpan::Last15Minutes,
        KpiSpan::LastHour,
        KpiSpan::Last24Hours,
        KpiSpan::Last7Days,
        KpiSpan::Day,
        KpiSpan::Week,
    ];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            KpiSpan::Now => "now",
            KpiSpan::Last15Minutes => "15m",
            KpiSpan::LastHour => "1h",
            KpiSpan::Last24Hours => "24h",
            KpiSpan::Last7Days => "7d",
            KpiSpan::Day => "day",
            KpiSpan::Week => "week",
        }
    }

    /// The span of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<KpiSpan> {
        KpiSpan::ALL.into_iter().find(|span| span.as_str() == name)
    }

    /// Its place in the order of names.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            KpiSpan::Last15Minutes => 0,
            KpiSpan::LastHour => 1,
            KpiSpan::Last24Hours => 2,
            KpiSpan::Last7Days => 3,
            KpiSpan::Day => 4,
            KpiSpan::Now => 5,
            KpiSpan::Week => 6,
        }
    }

    /// Whether its windows are those of a calendar: they stay, and their beginning is part of a row's key.
    #[must_use]
    pub fn is_calendar(self) -> bool {
        matches!(self, KpiSpan::Day | KpiSpan::Week)
    }

    /// How long a rolling window is; `None` for all others.
    #[must_use]
    pub fn rolling_ms(self) -> Option<i64> {
        match self {
            KpiSpan::Last15Minutes => Some(15 * MINUTE_MS),
            KpiSpan::LastHour => Some(HOUR_MS),
            KpiSpan::Last24Hours => Some(24 * HOUR_MS),
            KpiSpan::Last7Days => Some(7 * 24 * HOUR_MS),
            KpiSpan::Now | KpiSpan::Day | KpiSpan::Week => None,
        }
    }

    /// Whether there are rows of such slices: those of trucks are of days and weeks only.
    #[must_use]
    pub fn has(self, slices: KpiSliceKind) -> bool {
        slices != KpiSliceKind::Truck || self.is_calendar()
    }

    /// How far its rows move at a time.
    #[must_use]
    pub fn hop_ms(self, slices: KpiSliceKind) -> i64 {
        match (slices, self) {
            (KpiSliceKind::Truck, _) | (_, KpiSpan::Last24Hours) => 15 * MINUTE_MS,
            (_, KpiSpan::Now | KpiSpan::Last15Minutes) => 10 * SECOND_MS,
            (_, KpiSpan::LastHour | KpiSpan::Day | KpiSpan::Week) => MINUTE_MS,
            (_, KpiSpan::Last7Days) => HOUR_MS,
        }
    }

    /// The last multiple of the hop that an instant has reached: rows count what happened before it.
    #[must_use]
    pub fn mark(self, slices: KpiSliceKind, instant: TimeMs) -> TimeMs {
        instant.plus_ms(-instant.0.rem_euclid(self.hop_ms(slices)))
    }
}

/// What rows are split by, in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum KpiSliceKind {
    Client,
    Fleet,
    Location,
    Truck,
}

impl KpiSliceKind {
    /// All kinds.
    pub const ALL: [KpiSliceKind; 4] =
        [KpiSliceKind::Client, KpiSliceKind::Fleet, KpiSliceKind::Location, KpiSliceKind::Truck];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            KpiSliceKind::Fleet => "fleet",
            KpiSliceKind::Client => "client",
            KpiSliceKind::Location => "location",
            KpiSliceKind::Truck => "truck",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<KpiSliceKind> {
        KpiSliceKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Of whom a figure is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct KpiSlice {
    /// What it is one of.
    pub kind: KpiSliceKind,
    /// Which of them; [`KpiSlice::ALL_OF_IT`] for the fleet.
    pub id: Arc<str>,
}

impl KpiSlice {
    /// Stands where the fleet has no id.
    pub const ALL_OF_IT: &'static str = "all";

    /// The whole fleet.
    #[must_use]
    pub fn fleet() -> KpiSlice {
        KpiSlice { kind: KpiSliceKind::Fleet, id: KpiSlice::ALL_OF_IT.into() }
    }
}

/// What a truck does now, in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum LiveStatus {
    EnRoute,
    Idle,
    Maintenance,
    Offline,
    Stopped,
}

impl LiveStatus {
    /// All of them.
    pub const ALL: [LiveStatus; 5] = [
        LiveStatus::EnRoute,
        LiveStatus::Idle,
        LiveStatus::Maintenance,
        LiveStatus::Offline,
        LiveStatus::Stopped,
    ];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LiveStatus::EnRoute => "en_route",
            LiveStatus::Idle => "idle",
            LiveStatus::Stopped => "stopped",
            LiveStatus::Offline => "offline",
            LiveStatus::Maintenance => "maintenance",
        }
    }
}

/// Which figure, in the order of names. The unit is in its name: `_s` seconds, `_m` metres, `_bp` hundredths of a
/// percent, else counts. `K` says which kind of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum KpiMetric<K = Arc<str>> {
    /// Alerts of a kind.
    Alerts(K),
    DistanceM,
    DwellMeanS,
    DwellP90S,
    FreshnessP50S,
    FreshnessP99S,
    IdleS,
    MovingS,
    OfflineS,
    OnTimeArrivalBp,
    OnTimeDepartureBp,
    StoppedS,
    TatMeanS,
    TatP50S,
    TatP90S,
    TripsCancelled,
    TripsCompleted,
    TripsDelayed,
    TripsFailed,
    TripsStarted,
    /// Trucks in a state.
    Trucks(LiveStatus),
    TrucksAt,
    UtilizationBp,
    Visits,
}

/// What the names of [`KpiMetric::Alerts`] begin with.
const ALERTS: &str = "alerts:";
/// What the names of [`KpiMetric::Trucks`] begin with.
const TRUCKS: &str = "trucks:";

impl<K> KpiMetric<K> {
    /// The same figure, where kinds of alerts are named otherwise.
    pub fn rename<N>(self, name_of: impl FnOnce(K) -> N) -> KpiMetric<N> {
        match self {
            KpiMetric::Alerts(kind) => KpiMetric::Alerts(name_of(kind)),
            KpiMetric::DistanceM => KpiMetric::DistanceM,
            KpiMetric::DwellMeanS => KpiMetric::DwellMeanS,
            KpiMetric::DwellP90S => KpiMetric::DwellP90S,
            KpiMetric::FreshnessP50S => KpiMetric::FreshnessP50S,
            KpiMetric::FreshnessP99S => KpiMetric::FreshnessP99S,
            KpiMetric::IdleS => KpiMetric::IdleS,
            KpiMetric::MovingS => KpiMetric::MovingS,
            KpiMetric::OfflineS => KpiMetric::OfflineS,
            KpiMetric::OnTimeArrivalBp => KpiMetric::OnTimeArrivalBp,
            KpiMetric::OnTimeDepartureBp => KpiMetric::OnTimeDepartureBp,
            KpiMetric::StoppedS => KpiMetric::StoppedS,
            KpiMetric::TatMeanS => KpiMetric::TatMeanS,
            KpiMetric::TatP50S => KpiMetric::TatP50S,
            KpiMetric::TatP90S => KpiMetric::TatP90S,
            KpiMetric::TripsCancelled => KpiMetric::TripsCancelled,
            KpiMetric::TripsCompleted => KpiMetric::TripsCompleted,
            KpiMetric::TripsDelayed => KpiMetric::TripsDelayed,
            KpiMetric::TripsFailed => KpiMetric::TripsFailed,
            KpiMetric::TripsStarted => KpiMetric::TripsStarted,
            KpiMetric::Trucks(status) => KpiMetric::Trucks(status),
            KpiMetric::TrucksAt => KpiMetric::TrucksAt,
            KpiMetric::UtilizationBp => KpiMetric::UtilizationBp,
            KpiMetric::Visits => KpiMetric::Visits,
        }
    }
}

impl KpiMetric {
    /// All that have one name.
    pub const NAMED: [KpiMetric; 22] = [
        KpiMetric::TripsStarted,
        KpiMetric::TripsCompleted,
        KpiMetric::TripsDelayed,
        KpiMetric::TripsFailed,
        KpiMetric::TripsCancelled,
        KpiMetric::OnTimeDepartureBp,
        KpiMetric::OnTimeArrivalBp,
        KpiMetric::TatMeanS,
        KpiMetric::TatP50S,
        KpiMetric::TatP90S,
        KpiMetric::DwellMeanS,
        KpiMetric::DwellP90S,
        KpiMetric::Visits,
        KpiMetric::DistanceM,
        KpiMetric::MovingS,
        KpiMetric::IdleS,
        KpiMetric::StoppedS,
        KpiMetric::OfflineS,
        KpiMetric::UtilizationBp,
        KpiMetric::TrucksAt,
        KpiMetric::FreshnessP50S,
        KpiMetric::FreshnessP99S,
    ];

    /// The name in rows.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        let name = match self {
            KpiMetric::TripsStarted => "trips_started",
            KpiMetric::TripsCompleted => "trips_completed",
            KpiMetric::TripsDelayed => "trips_delayed",
            KpiMetric::TripsFailed => "trips_failed",
            KpiMetric::TripsCancelled => "trips_cancelled",
            KpiMetric::OnTimeDepartureBp => "on_time_departure_bp",
            KpiMetric::OnTimeArrivalBp => "on_time_arrival_bp",
            KpiMetric::TatMeanS => "tat_mean_s",
            KpiMetric::TatP50S => "tat_p50_s",
            KpiMetric::TatP90S => "tat_p90_s",
            KpiMetric::DwellMeanS => "dwell_mean_s",
            KpiMetric::DwellP90S => "dwell_p90_s",
            KpiMetric::Visits => "visits",
            KpiMetric::DistanceM => "distance_m",
            KpiMetric::MovingS => "moving_s",
            KpiMetric::IdleS => "idle_s",
            KpiMetric::StoppedS => "stopped_s",
            KpiMetric::OfflineS => "offline_s",
            KpiMetric::UtilizationBp => "utilization_bp",
            KpiMetric::TrucksAt => "trucks_at",
            KpiMetric::FreshnessP50S => "freshness_p50_s",
            KpiMetric::FreshnessP99S => "freshness_p99_s",
            KpiMetric::Alerts(kind) => return Cow::Owned(format!("{ALERTS}{kind}")),
            KpiMetric::Trucks(status) => return Cow::Owned(format!("{TRUCKS}{}", status.as_str())),
        };
        Cow::Borrowed(name)
    }

    /// The metric of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<KpiMetric> {
        if let Some(kind) = name.strip_prefix(ALERTS) {
            return Some(KpiMetric::Alerts(kind.into()));
        }
        if let Some(status) = name.strip_prefix(TRUCKS) {
            let known = LiveStatus::ALL.into_iter().find(|known| known.as_str() == status);
            return known.map(KpiMetric::Trucks);
        }
        KpiMetric::NAMED.into_iter().find(|metric| metric.name() == name)
    }
}

/// A figure of a slice over a span.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KpiRow {
    /// Key.
    pub span: KpiSpan,
    /// When the window begins, which is key where it is one of a calendar; `None` for the present state.
    pub start: Option<TimeMs>,
    /// Key.
    pub slice: KpiSlice,
    /// Key.
    pub metric: KpiMetric,
    /// In the unit of the metric.
    pub value: i64,
    /// The window ended longer ago than fixes may be late.
    pub is_final: bool,
}

impl KpiRow {
    /// The key as bytes that sort as the key does.
    pub(crate) fn push_key(&self, out: &mut Vec<u8>) {
        push_ordered_text(out, self.span.as_str());
        if let Some(start) = self.start.filter(|_| self.span.is_calendar()) {
            push_ordered_time(out, start);
        }
        push_ordered_text(out, self.slice.kind.as_str());
        push_ordered_text(out, &self.slice.id);
        push_ordered_text(out, &self.metric.name());
    }

    /// The order of keys.
    pub(crate) fn cmp_key(&self, other: &KpiRow) -> Ordering {
        self.window_and_slice().cmp(&other.window_and_slice()).then_with(|| self.metric.cmp(&other.metric))
    }

    fn window_and_slice(&self) -> (&str, Option<TimeMs>, &str, &str) {
        let start = self.start.filter(|_| self.span.is_calendar());
        (self.span.as_str(), start, self.slice.kind.as_str(), &self.slice.id)
    }

    /// Appends all of the row but the brace at its end.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        text_field(out, b"{\"span\":", self.span.as_str());
        time_field(out, b",\"start\":", self.start);
        text_field(out, b",\"slice\":", self.slice.kind.as_str());
        text_field(out, b",\"slice_id\":", &self.slice.id);
        text_field(out, b",\"metric\":", &self.metric.name());
        out.extend_from_slice(format!(",\"value\":{},\"final\":{}", self.value, self.is_final).as_bytes());
    }
}
