//! Changelogs by chance: a few keys of every table come, change and go.

use std::collections::BTreeMap;

use journal::{ChangeBytes, Changelog, Options, Store};
use model::{
    AlertId, AlertRow, AutoPlaces, Cause, CrossingRow, EndReason, EtaRow, KpiMetric, KpiRow, KpiSlice,
    KpiSliceKind, KpiSpan, PresenceRow, RejectReason, RejectRow, Row, Severity, Table, TimeMs, TripPhase,
    TripRow, VisitRow,
};

/// The instant of a tick.
pub fn instant_ms(tick: u64) -> i64 {
    1_767_225_600_000 + tick.cast_signed() * 1_000
}

/// A sequence that is the same for the same seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Chance) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| value(self))
    }

    fn time(&mut self) -> TimeMs {
        TimeMs(1_767_225_600_000 + self.below(86_400_000).cast_signed())
    }
}

/// Rows by the name of their table, as ticks list them, and key.
pub type Rows = BTreeMap<(&'static str, Vec<u8>), Row>;

/// A changelog that grows, and what its changes add up to.
pub struct Fleet {
    _store: Store,
    pub changelog: Changelog,
    pub chance: Chance,
    pub rows: Rows,
    pub tick: u64,
    /// How far the instants of ticks are ahead of [`instant_ms`].
    pub ahead_ms: i64,
    _folder: tempfile::TempDir,
}

impl Fleet {
    pub fn new(seed: u64) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options { changes_keep_ms: 0, ..Options::default() }).unwrap();
        let changelog = store.changelog();
        Fleet {
            _store: store,
            changelog,
            chance: Chance(seed),
            rows: Rows::new(),
            tick: 0,
            ahead_ms: 0,
            _folder: folder,
        }
    }

    /// A tick of up to so many changed keys.
    pub fn grow(&mut self, keys: u64) {
        let mut after: BTreeMap<(&'static str, Vec<u8>), Option<Row>> = BTreeMap::new();
        for _ in 0..keys {
            let row = random_row(&mut self.chance);
            let goes = self.chance.below(4) == 0;
            after.insert((row.table().as_str(), row.key_bytes()), (!goes).then_some(row));
        }
        let mut changes = Vec::new();
        for (key, row) in after {
            let before = self.rows.get(&key);
            if before == row.as_ref() {
                continue;
            }
            let cause = Cause::ALL[self.chance.below(8) as usize];
            let seq = self.chance.below(1000);
            changes.extend(before.map(|row| change(-1, row, cause, seq)));
            changes.extend(row.as_ref().map(|row| change(1, row, cause, seq)));
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
        self.append(&changes);
    }

    /// A tick of these changes.
    pub fn append(&mut self, changes: &[ChangeBytes]) {
        self.tick += 1;
        self.changelog.append(self.tick, instant_ms(self.tick) + self.ahead_ms, changes).unwrap();
    }

    /// Adds a row in a tick of its own.
    pub fn add(&mut self, row: Row) {
        self.append(&[change(1, &row, Cause::First, 1)]);
        self.rows.insert((row.table().as_str(), row.key_bytes()), row);
    }

    /// The rows that stand, as JSON.
    pub fn lines(&self) -> Vec<String> {
        lines(&self.rows)
    }
}

/// Rows as JSON, by table and key.
pub fn lines(rows: &Rows) -> Vec<String> {
    rows.iter().map(|((table, _), row)| format!("{table} {}", row.to_json())).collect()
}

pub fn change(diff: i8, row: &Row, cause: Cause, seq: u64) -> ChangeBytes {
    ChangeBytes {
        table: row.table().code(),
        key: row.key_bytes(),
        diff,
        row: row.to_json().into_bytes(),
        cause: cause.code(),
        seq,
        ..ChangeBytes::default()
    }
}

pub fn visit(vehicle: &str, arrived: i64) -> Row {
    Row::Visit(VisitRow {
        vehicle_id: vehicle.into(),
        fence_id: "yard".into(),
        arrived: TimeMs(arrived),
        departed: None,
        confirmed_at: TimeMs(arrived + 300_000),
        presences: 1,
    })
}

fn random_row(chance: &mut Chance) -> Row {
    // Text that quoting or sorting may get wrong.
    let ids = ["T1", "t1", "T 1 \"x\"", "Ü\\n", "\u{1}", "{1,2}", "NULL", ""];
    let vehicle_id = ids[chance.below(8) as usize].into();
    let fence_id = ["yard", "Yard", "é", "z"][chance.below(4) as usize].into();
    let started = TimeMs(1_767_225_600_000 + chance.below(6).cast_signed() * 1_001);
    match Table::ALL[chance.below(8) as usize] {
        Table::Presences => {
            let reasons = [EndReason::Exit, EndReason::FenceDeleted, EndReason::FenceEnded];
            let end = chance.maybe(|chance| (chance.time(), reasons[chance.below(3) as usize]));
            Row::Presence(PresenceRow { vehicle_id, fence_id, entered: started, end })
        }
        Table::Visits => Row::Visit(VisitRow {
            vehicle_id,
            fence_id,
            arrived: started,
            departed: chance.maybe(Chance::time),
            confirmed_at: chance.time(),
            presences: chance.below(4) as u32,
        }),
        Table::Crossings => Row::Crossing(CrossingRow {
            vehicle_id,
            fence_id,
            from_time: started,
            to_time: chance.time(),
            at: chance.time(),
        }),
        Table::Trips => Row::Trip(TripRow {
            phase: TripPhase::ALL[chance.below(7) as usize],
            pickup_arrival: chance.maybe(Chance::time),
            offload: chance.maybe(Chance::time),
            tat_s: chance.maybe(|chance| chance.below(9000).cast_signed()),
            distance_m: chance.maybe(|chance| chance.below(9000).cast_signed()),
            departure_unobserved: chance.below(2) == 0,
            auto: chance.maybe(|_| AutoPlaces { pickup: "a".into(), delivery: "\"b\"".into() }),
            ..TripRow::planned(vehicle_id, "T1".into())
        }),
        Table::Etas => {
            let (eta, eta_low, eta_high) = (chance.time(), chance.time(), chance.time());
            Row::Eta(EtaRow { trip_id: vehicle_id, eta, eta_low, eta_high })
        }
        Table::Alerts => {
            let details = ["{}", r#"{"b":1.50,"a":[1e3,null]}"#, r#"{"long_name":"é\n","a":"\"","a":2}"#];
            Row::Alert(AlertRow {
                alert_id: AlertId(chance.below(20) << 59 | chance.below(3)),
                kind: "idle".into(),
                severity: Severity::Warning,
                vehicle_id,
                fence_id: chance.maybe(|_| fence_id),
                trip_id: chance.maybe(|_| "trip".into()),
                started,
                due_at: chance.time(),
                ended: chance.maybe(Chance::time),
                details: details[chance.below(3) as usize].into(),
            })
        }
        Table::Kpis => {
            let span = KpiSpan::ALL[chance.below(7) as usize];
            // Rolling windows move, and keep their key.
            let start = if span == KpiSpan::Now { None } else { Some(started) };
            let kind = KpiSliceKind::ALL[chance.below(4) as usize];
            let metrics = [KpiMetric::Visits, KpiMetric::DistanceM, KpiMetric::Alerts("idle".into())];
            Row::Kpi(KpiRow {
                span,
                start,
                slice: KpiSlice { kind, id: fence_id },
                metric: metrics[chance.below(3) as usize].clone(),
                value: chance.below(1 << 40).cast_signed() - (1 << 39),
                is_final: chance.below(2) == 0,
            })
        }
        Table::Rejects => Row::Reject(RejectRow {
            seq: chance.below(12),
            fix: chance.maybe(|chance| (vehicle_id, chance.time())),
            reason: if chance.below(2) == 0 { RejectReason::Jump } else { RejectReason::BadValue },
        }),
    }
}
