//! What a service tells of what people say, which changes no row: in its tick, and again after a start.

use std::sync::mpsc;
use std::time::Instant;

use journal::Log;
use model::{AlertMarkRecord, ClosedTick, EntityRecord, GraphSettings};
use pipeline::{Observer, Service};

use super::{DEADLINE, MINUTE_MS, Stopping, fix, open, post, some_hours_ago};

/// Notes what is said of alerts and of master data, and in which tick.
struct Hears {
    ready: mpsc::Sender<()>,
    closed: u64,
    heard: Vec<(u64, String)>,
}

impl Observer for Hears {
    fn closed(&mut self, closed: &ClosedTick, _: bool) {
        self.closed = closed.tick;
        let said = |record: &EntityRecord| match record {
            EntityRecord::Vehicle { id, edit, .. } => format!("{id} {edit:?}"),
            EntityRecord::Other { kind, json } => format!("{kind} {json}"),
        };
        self.heard.extend(closed.entity_records.iter().map(|record| (closed.tick, said(record))));
    }
    fn marked(&mut self, tick: u64, marks: Vec<AlertMarkRecord>) {
        assert_eq!(tick, self.closed + 1, "before its tick, and after all others");
        let mark = |mark: AlertMarkRecord| format!("{} {} {}", mark.mark.as_str(), mark.alert_id, mark.by);
        self.heard.extend(marks.into_iter().map(|record| (tick, mark(record))));
    }
    fn replayed(&mut self, _: u64, _: u64) {}
    fn ready(&mut self) {
        self.ready.send(()).unwrap();
    }
}

#[test]
fn what_people_say_of_alerts_and_master_data_is_told_in_its_tick_and_again_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let start = some_hours_ago();
    let mark =
        |kind: &str, by: &str| format!(r#"{{"type":"{kind}","alert_id":"00c0ffee00c0ffee","by":"{by}"}}"#);
    let day_ms = 24 * 60 * MINUTE_MS;
    let backfill = |from: i64| {
        let (from, to) = (start.plus_ms(from), start.plus_ms(from + day_ms));
        format!(r#"{{"type":"backfill","from":"{from}","to":"{to}"}}"#)
    };
    let hear = |act: &dyn Fn(&dyn Log)| {
        let store = open(dir.path());
        let (log, changelog) = (store.log(), store.changelog());
        let (ready, is_ready) = mpsc::channel();
        std::thread::scope(|scope| {
            let settings = GraphSettings::default();
            let service = Service { log: &log, changelog: &changelog, settings, workers: 1, snapshots: None };
            let running = scope.spawn(move || {
                let mut hears = Hears { ready, closed: 0, heard: Vec::new() };
                service.run(&mut hears).map(|()| hears.heard)
            });
            let _stopping = Stopping(&log);
            is_ready.recv_timeout(DEADLINE).expect("the service becomes ready");
            act(&log);
            let last = log.last_tick().map_or(0, |(tick, _)| tick);
            let begun = Instant::now();
            while changelog.last_tick().is_none_or(|(tick, _)| tick < last) {
                assert!(begun.elapsed() < DEADLINE, "the service closes its ticks");
                std::thread::yield_now();
            }
            log.stop();
            running.join().unwrap().unwrap()
        })
    };
    let upsert_vehicle = r#"{"type":"vehicle","op":"upsert","vehicle":{"id":"T1","status":"maintenance"}}"#;
    let upsert_driver = r#"{"type":"driver","op":"upsert","driver":{"id":"ada"}}"#;
    let first = hear(&|log| {
        post(log, &fix("T1", start, 3.305));
        post(
            log,
            &[mark("acknowledge", "ada"), fix("T1", start.plus_ms(1), 3.305), mark("resolve", "ben")]
                .join("\n"),
        );
        // It has all ticks computed once more, its own among them.
        post(log, &[backfill(-9 * day_ms), mark("acknowledge", "cleo")].join("\n"));
        post(log, &mark("resolve", "dora"));
        post(log, &[upsert_vehicle, upsert_driver].join("\n"));
    });
    let said: Vec<&str> = first.iter().map(|(_, said)| said.as_str()).collect();
    let of = "00c0ffee00c0ffee";
    assert_eq!(
        said,
        [
            format!("acknowledge {of} ada"),
            format!("resolve {of} ben"),
            format!("acknowledge {of} cleo"),
            format!("resolve {of} dora"),
            "T1 Upsert { company: None, is_operational: false }".to_owned(),
            format!("driver {upsert_driver}"),
        ]
    );
    assert!(first[0].0 == first[1].0 && first[1].0 < first[2].0 && first[2].0 < first[3].0);
    assert_eq!(hear(&|_| {}), first, "a start tells the same");
}
