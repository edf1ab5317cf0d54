//! What the tables hold, whatever happens on the way there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::{
    AlertId, AlertRow, Cause, KpiMetric, KpiRow, KpiSlice, KpiSliceKind, KpiSpan, Row, Severity, Table,
    TimeMs,
};
use sinks::live::{
    Batch, BatchLimits, LiveSink, LiveSource, Position, RunningSink, SinkError, SinkState, Written, spawn,
};
use sinks::postgres::{PostgresConfig, PostgresSink, compare, newest_version, schema};

use crate::rows::{Chance, Fleet, change, instant_ms, lines, visit};
use crate::server::{Database, Session};

const LIMIT: Duration = Duration::from_secs(60);

pub fn config(url: &str) -> PostgresConfig {
    PostgresConfig::from_url(url).unwrap()
}

fn sink(database: &Database) -> PostgresSink {
    PostgresSink::new(config(&database.url())).unwrap()
}

/// Applies what there is, in batches of these limits.
pub fn apply_all(sink: &mut PostgresSink, fleet: &Fleet, limits: BatchLimits) -> Result<Written, SinkError> {
    let mut tick = sink.position()?.as_of.tick;
    let mut written = Written::default();
    while let Some(batch) = Batch::after(&fleet.changelog, tick, limits)? {
        written += sink.apply(&batch)?;
        tick = batch.to.tick;
    }
    Ok(written)
}

pub fn limits(changes: usize) -> BatchLimits {
    BatchLimits { changes, bytes: 1 << 20 }
}

/// The rows of the database by the comparison that `verify` uses, and by what SQL itself says.
fn assert_is(database: &Database, fleet: &Fleet) {
    let comparison = compare(&config(&database.url()), &fleet.changelog).unwrap();
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.as_of.tick, fleet.tick);
    assert_eq!(comparison.rows, fleet.rows.len() as u64);
    let mut session = database.session();
    assert_eq!(json_lines(&mut session), sorted_by_text(fleet.lines()));
    let instant = session.number("SELECT extract(epoch FROM instant) * 1000 FROM watchtower.as_of");
    assert_eq!(instant, instant_ms(fleet.tick));
}

/// All rows as the contract's JSON, built by the server: independent of how the sink reads rows.
pub fn json_lines(session: &mut Session) -> Vec<String> {
    let time = |name: &str| {
        format!(
            "coalesce('\"' || replace(to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
             '.000Z', 'Z') || '\"', 'null')"
        )
    };
    let plain = |name: &str| format!("coalesce(to_json({name})::text, 'null')");
    let tables: [(&str, &str); 8] = [
        ("alerts", "alert_id kind severity vehicle_id fence_id trip_id @started @due_at @ended #details"),
        ("crossings", "vehicle_id fence_id @from_time @to_time @at"),
        ("etas", "trip_id @eta @eta_low @eta_high"),
        ("kpis", "span @start slice slice_id metric value final"),
        ("presences", "vehicle_id fence_id @entered @exited end_reason"),
        ("rejects", "seq vehicle_id @event_time reason used"),
        (
            "trips",
            "trip_id vehicle_id phase status status_by @pickup_arrival @actual_departure @arrival @offload tat_s \
             distance_m departure_unobserved ?source ?pickup ?delivery",
        ),
        ("visits", "vehicle_id fence_id @arrived @departed @confirmed_at presences"),
    ];
    let mut all = Vec::new();
    for (table, fields) in tables {
        let mut parts = Vec::new();
        for field in fields.split_whitespace() {
            let (name, value) = match field.split_at(1) {
                ("@", name) => (name, time(name)),
                ("#", name) => (name, format!("{name}_text")),
                ("?", name) => {
                    parts.push(format!("coalesce(',\"{name}\":' || to_json({name})::text, '')"));
                    continue;
                }
                _ => (field, plain(field)),
            };
            let comma = if parts.is_empty() { "" } else { "," };
            parts.push(format!("'{comma}\"{name}\":' || {value}"));
        }
        let sql = format!("SELECT '{table} {{' || {} || '}}' FROM watchtower.{table}", parts.join(" || "));
        all.extend(session.texts(&sql));
    }
    sorted_by_text(all)
}

pub fn sorted_by_text(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// System columns, history: all that does not depend on how ticks were batched.
fn provenance(session: &mut Session) -> Vec<String> {
    let mut all = session.texts(
        "SELECT table_name || row::text || replaced_at_tick || replaced_at::text || cause || coalesce(cause_seq, -1) \
         FROM watchtower.history ORDER BY id",
    );
    for table in Table::ALL {
        let sql = format!("SELECT to_jsonb(t)::text FROM watchtower.{} AS t ORDER BY 1", table.as_str());
        all.extend(session.texts(&sql));
    }
    all.sort();
    all
}

#[test]
fn tables_equal_the_sum_of_the_changes_after_each_batch_and_any_restart() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(1);
    let mut writer = sink(&database);
    for round in 0..40 {
        for _ in 0..=fleet.chance.below(3) {
            let keys = [0, 1, 5, 60][fleet.chance.below(4) as usize];
            fleet.grow(keys);
        }
        // Limits far below a tick's changes: such a tick is one transaction of several chunks.
        let changes = [1, 7, 50, 100_000][fleet.chance.below(4) as usize];
        apply_all(&mut writer, &fleet, limits(changes)).unwrap();
        assert_is(&database, &fleet);
        if round % 3 == 0 {
            writer = sink(&database);
        }
    }
}

#[test]
fn what_is_written_does_not_depend_on_how_ticks_were_batched() {
    let (Some(one), Some(other)) = (Database::new(), Database::new()) else { return };
    let mut fleet = Fleet::new(2);
    for _ in 0..30 {
        fleet.grow(40);
    }
    apply_all(&mut sink(&one), &fleet, limits(1)).unwrap();
    apply_all(&mut sink(&other), &fleet, limits(100_000)).unwrap();
    let (one, other) = (provenance(&mut one.session()), provenance(&mut other.session()));
    assert!(one.len() > 100);
    assert_eq!(one, other);
}

#[test]
fn the_sink_of_an_older_start_stops_and_says_so() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(20);
    fleet.grow(60);
    let older = follow(&database.url(), &fleet);
    wait_for(&older, 1);
    let newer = follow(&database.url(), &fleet);
    wait_for(&newer, 1);
    for _ in 0..5 {
        fleet.grow(60);
        older.bell()();
        newer.bell()();
    }
    wait_for(&newer, fleet.tick);
    wait_until("the older one has stopped", || older.status().report().state == SinkState::Stopped);
    let told = older.status().report();
    assert!(told.last_error.is_some_and(|error| error.contains("another start of watchtower")));
    older.stop(LIMIT);
    newer.stop(LIMIT);
    assert_is(&database, &fleet);
}

#[test]
fn tables_that_were_made_anew_are_filled_anew_by_the_same_start() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(18);
    fleet.grow(60);
    let running = follow(&database.url(), &fleet);
    wait_for(&running, 1);
    schema::migrate_to(&config(&database.url()), Some(0)).unwrap();
    fleet.grow(60);
    running.bell()();
    wait_for(&running, 2);
    running.stop(LIMIT);
    assert_is(&database, &fleet);
}

#[test]
fn only_corrections_are_history_and_it_goes_in_time() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(3);
    let rows = [visit("T1", 0), visit("T2", 0), visit("T3", 0)];
    for row in &rows {
        fleet.add(row.clone());
    }
    let gone = |row: &Row, cause| change(-1, row, cause, 9);
    fleet.append(&[gone(&rows[0], Cause::LateFix)]);
    fleet.append(&[gone(&rows[1], Cause::First)]);
    let mut writer = PostgresSink::new(config(&database.url()).keeping_history_for_days(1.0)).unwrap();
    apply_all(&mut writer, &fleet, limits(1)).unwrap();
    let told = "SELECT table_name || ' ' || (row->>'vehicle_id') || ' ' || replaced_at_tick || ' ' || cause || ' ' || cause_seq
                FROM watchtower.history";
    let mut session = database.session();
    assert_eq!(session.texts(told), ["visits T1 4 late_fix 9"]);
    fleet.changelog.append(6, instant_ms(6) + 2 * 86_400_000, &[]).unwrap();
    apply_all(&mut writer, &fleet, limits(1)).unwrap();
    assert_eq!(session.texts(told), [""; 0]);
}

#[test]
fn migrations_go_up_and_down_and_up_with_rows_in_the_tables() {
    let Some(database) = Database::new() else { return };
    let at = config(&database.url());
    let applied = || schema::status(&at).unwrap().iter().filter(|migration| migration.is_applied).count();
    assert_eq!(applied(), 0);
    let mut fleet = Fleet::new(4);
    fleet.grow(200);
    let mut writer = sink(&database);
    apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
    assert_eq!(applied(), newest_version() as usize);
    assert!(schema::migrate_to(&at, None).unwrap().is_empty(), "nothing is run twice");
    for version in (0..newest_version()).rev() {
        assert_eq!(schema::migrate_to(&at, Some(version)).unwrap().len(), 1);
        assert_eq!(applied(), version as usize);
    }
    let mut session = database.session();
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'watchtower'::regnamespace AND relkind IN ('r', 'v')";
    assert_eq!(session.number(left), 1, "the register of migrations stays, and nothing else");
    assert!(schema::migrate_to(&at, Some(newest_version() + 1)).is_err());

    // Two starts at once migrate once.
    let starts: Vec<_> = (0..3)
        .map(|_| {
            let at = at.clone();
            std::thread::spawn(move || schema::migrate_to(&at, None).unwrap().len())
        })
        .collect();
    let ran: usize = starts.into_iter().map(|start| start.join().unwrap()).sum();
    assert_eq!(ran, newest_version() as usize);
    apply_all(&mut sink(&database), &fleet, limits(100_000)).unwrap();
    assert_is(&database, &fleet);

    session.run("INSERT INTO watchtower.migrations (version, name) VALUES (999, 'of the future')");
    let refused = sink(&database).position().unwrap_err();
    assert!(
        matches!(refused, SinkError::Stopped(_)) && refused.to_string().contains("migration 999"),
        "{refused}"
    );
}

#[test]
fn an_older_start_is_stopped_by_a_newer_one() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(5);
    fleet.grow(50);
    let (mut zombie, mut heir) = (sink(&database), sink(&database));
    apply_all(&mut zombie, &fleet, limits(100_000)).unwrap();
    heir.position().unwrap();
    fleet.grow(50);
    let batch = Batch::after(&fleet.changelog, 1, limits(100_000)).unwrap().unwrap();
    let stopped = zombie.apply(&batch).unwrap_err();
    assert!(matches!(stopped, SinkError::Stopped(_)), "{stopped}");
    assert!(stopped.to_string().contains("epoch 2, this one has 1"), "{stopped}");
    assert!(matches!(zombie.position(), Err(SinkError::Stopped(_))), "it does not become the writer again");
    heir.apply(&batch).unwrap();
    assert_is(&database, &fleet);
}

#[test]
fn what_a_lost_connection_has_written_after_all_is_not_written_again() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(7);
    fleet.grow(50);
    let mut sink = sink(&database);
    apply_all(&mut sink, &fleet, limits(100_000)).unwrap();
    let at = sink.position().unwrap();
    fleet.grow(50);
    let batch = Batch::after(&fleet.changelog, 1, limits(100_000)).unwrap().unwrap();
    // Another connection of this start, whose answer was not heard, is through only now.
    let mut late = PostgresSink::new(config(&database.url())).unwrap();
    late.position().unwrap();
    late.apply(&batch).unwrap();
    database.session().run("UPDATE watchtower.as_of SET epoch = 1");
    let history = database.session().number("SELECT count(*) FROM watchtower.history");
    let refused = sink.apply(&batch).unwrap_err();
    assert!(matches!(refused, SinkError::Away(_)), "{refused}");
    assert_eq!(sink.position().unwrap().as_of.tick, at.as_of.tick + 1);
    assert_eq!(database.session().number("SELECT count(*) FROM watchtower.history"), history);
    assert_is(&database, &fleet);
}

/// A sink that the driver runs.
fn follow(url: &str, fleet: &Fleet) -> RunningSink {
    let source = LiveSource {
        changelog: fleet.changelog.clone(),
        instant_of: Box::new(|tick| Ok(Some(instant_ms(tick)))),
    };
    spawn(Box::new(PostgresSink::new(config(url)).unwrap()), source, limits(200)).unwrap()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for(running: &RunningSink, tick: u64) {
    wait_until("the sink is at the tick", || running.status().report().as_of.tick == tick);
}

#[test]
fn killed_connections_lose_nothing_and_write_nothing_twice() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(6);
    let running = follow(&database.url(), &fleet);
    let (bell, status) = (running.bell(), running.status());
    for _ in 0..15 {
        for _ in 0..10 {
            fleet.grow(60);
        }
        let before = status.report().as_of.tick;
        bell();
        // In the middle of the batches that these ticks are.
        wait_until("a batch is written", || status.report().as_of.tick > before);
        database.kill_sessions();
        wait_for(&running, fleet.tick);
    }
    wait_for(&running, fleet.tick);
    assert!(status.report().failures > 3, "{:?}", status.report());
    running.stop(LIMIT);
    assert_is(&database, &fleet);
    // Each correction of the changelog once.
    let mut corrections = 0;
    for stored in fleet.changelog.after(journal::Cursor { tick: 0, index: 0 }, 1 << 20).unwrap() {
        corrections += i64::from(stored.change.diff < 0 && stored.change.cause != Cause::First.code());
    }
    // The cursor above is behind the very first change, which is no correction: nothing was there.
    assert_eq!(database.session().number("SELECT count(*) FROM watchtower.history"), corrections);
}

/// Passes connections on, until it is cut.
struct Proxy {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn to(target: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, streams) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (cut, kept) = (is_cut.clone(), streams.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target) else { continue };
                kept.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (mut from, mut to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    std::thread::spawn(move || {
                        let mut buffer = vec![0; 4096];
                        while let Ok(read @ 1..) = from.read(&mut buffer) {
                            if to.write_all(&buffer[..read]).is_err() {
                                break;
                            }
                        }
                        _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Proxy { address, is_cut, streams }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_server_that_is_away_holds_up_nobody_and_gets_what_it_missed() {
    let Some(database) = Database::new() else { return };
    let proxy = Proxy::to(database.address());
    proxy.cut();
    let mut fleet = Fleet::new(7);
    let running = follow(&database.url_at(Some(proxy.address)), &fleet);
    for _ in 0..4 {
        for _ in 0..20 {
            fleet.grow(30);
        }
        wait_until("it has told that the server is away", || {
            running.status().report().state == SinkState::Away
        });
        let report = running.status().report();
        assert!(report.lag_ticks >= 20 && report.last_error.is_some(), "{report:?}");
        proxy.mend();
        wait_for(&running, fleet.tick);
        assert_is(&database, &fleet);
        assert_eq!(running.status().report().lag_ticks, 0);
        proxy.cut();
        fleet.grow(5);
        running.bell()();
    }
    proxy.mend();
    running.stop(LIMIT);
    let comparison = compare(&config(&database.url()), &fleet.changelog).unwrap();
    assert_eq!(
        comparison.differences,
        [],
        "a sink that is stopped while the server is away is behind, not wrong"
    );
}

#[test]
fn a_row_that_the_server_refuses_is_alone_among_the_dead_letters() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(8);
    let alert = |details: &str| {
        Row::Alert(AlertRow {
            alert_id: AlertId(7 << 40),
            kind: "idle".into(),
            severity: Severity::Info,
            vehicle_id: "T1".into(),
            fence_id: None,
            trip_id: None,
            started: TimeMs(0),
            due_at: TimeMs(0),
            ended: None,
            details: details.into(),
        })
    };
    let (poison_key, good) = (visit("T\u{0}1", 0), alert("{}"));
    let poison_value = alert(r#"{"received":"\u0000"}"#);
    fleet.grow(100);
    fleet.append(&[change(1, &good, Cause::First, 1), change(1, &poison_key, Cause::First, 1)]);
    let mut writer = sink(&database);
    let written = apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
    assert_eq!(written.dead_letters, 1);
    let mut session = database.session();
    let letters = "SELECT table_name || ' ' || tick || ' ' || reason FROM watchtower.dead_letters ORDER BY 1";
    let told = session.texts(letters);
    assert!(told.len() == 1 && told[0].starts_with("visits 2 ") && told[0].contains("0x00"), "{told:?}");

    // What stood under the key is not true any more.
    let one = "SELECT count(*) FROM watchtower.alerts WHERE alert_id = '0000070000000000'";
    assert_eq!(session.number(one), 1);
    fleet.append(&[change(-1, &good, Cause::First, 2), change(1, &poison_value, Cause::First, 2)]);
    apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
    assert_eq!((session.number(one), session.texts(letters).len()), (0, 2));
    let differences = compare(&config(&database.url()), &fleet.changelog).unwrap().differences;
    assert_eq!(differences.len(), 2, "verify names what is missing: {differences:?}");

    // It comes again when it changes, and is forgotten when it goes.
    let mut writer = sink(&database);
    fleet.append(&[change(-1, &poison_value, Cause::LateFix, 3), change(1, &good, Cause::LateFix, 3)]);
    fleet.append(&[change(-1, &poison_key, Cause::LateFix, 3)]);
    apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
    assert_eq!((session.number(one), session.texts(letters).len()), (1, 0));
    assert_eq!(compare(&config(&database.url()), &fleet.changelog).unwrap().differences, []);
}

#[test]
fn a_sink_that_was_away_for_too_long_is_made_equal_to_the_rows() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(9);
    for _ in 0..10 {
        fleet.grow(60);
    }
    apply_all(&mut sink(&database), &fleet, limits(100_000)).unwrap();
    let epoch = "SELECT epoch FROM watchtower.as_of";
    let before = database.session().number(epoch);
    for _ in 0..10 {
        fleet.grow(60);
    }
    assert!(fleet.changelog.trim(i64::MAX).unwrap() > 0);
    let running = follow(&database.url(), &fleet);
    wait_for(&running, fleet.tick);
    assert_eq!(running.status().report().resyncs, 1);
    assert_is(&database, &fleet);
    fleet.grow(60);
    running.bell()();
    wait_for(&running, fleet.tick);
    running.stop(LIMIT);
    assert_is(&database, &fleet);
    assert_eq!(database.session().number(epoch), before + 1);
}

#[test]
fn tables_of_another_journal_or_of_another_past_are_made_this_ones() {
    let Some(database) = Database::new() else { return };
    for seed in 10..12 {
        let mut fleet = Fleet::new(seed);
        for _ in 0..(30 - seed) {
            fleet.grow(60);
        }
        // By hand too: all that is not the journal's goes.
        if seed > 10 {
            database.session().run(
                "UPDATE watchtower.visits SET presences = 77; DELETE FROM watchtower.trips WHERE tick % 2 = 0;
                 INSERT INTO watchtower.etas VALUES ('mine', now(), now(), now(), 1, null, null)",
            );
        }
        let running = follow(&database.url(), &fleet);
        wait_for(&running, fleet.tick);
        assert_eq!(running.status().report().resyncs, u64::from(seed > 10));
        running.stop(LIMIT);
        assert_is(&database, &fleet);
    }
    // A tick of that number was there, at another instant.
    let mut fleet = Fleet::new(12);
    fleet.grow(60);
    let identity = fleet.changelog.identity().to_owned();
    database.session().run(&format!("UPDATE watchtower.as_of SET journal = '{identity}', tick = 1"));
    let running = follow(&database.url(), &fleet);
    wait_for(&running, fleet.tick);
    wait_until("it was compared", || running.status().report().resyncs == 1);
    running.stop(LIMIT);
    assert_is(&database, &fleet);
}

#[test]
fn a_reader_in_one_transaction_sees_one_tick() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(13);
    fleet.grow(1);
    let running = follow(&database.url(), &fleet);
    wait_for(&running, 1);
    let mut states = vec![Vec::new(), sorted_by_text(lines(&fleet.rows))];
    let mut reader = database.session();
    let mut seen = Vec::new();
    let mut chance = Chance(14);
    for _ in 0..60 {
        for _ in 0..=chance.below(4) {
            fleet.grow(1 + chance.below(40));
            states.push(sorted_by_text(lines(&fleet.rows)));
            running.bell()();
        }
        reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        let tick = reader.number("SELECT tick FROM watchtower.as_of");
        let rows = json_lines(&mut reader);
        reader.run("COMMIT");
        assert_eq!(rows, states[tick as usize], "the state of tick {tick}");
        seen.push(tick);
    }
    seen.dedup();
    assert!(seen.len() > 10, "the reader met many ticks: {seen:?}");
    wait_for(&running, fleet.tick);
    running.stop(LIMIT);
}

#[test]
fn a_comparison_names_every_row_that_differs() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(15);
    for number in 0..5 {
        fleet.add(visit(&format!("T{number}"), 0));
    }
    apply_all(&mut sink(&database), &fleet, limits(100_000)).unwrap();
    // The changelog is ahead: what came later is not held against the database.
    fleet.grow(50);
    let at = config(&database.url());
    assert_eq!(compare(&at, &fleet.changelog).unwrap().differences, []);
    database.session().run(
        "DELETE FROM watchtower.visits WHERE vehicle_id = 'T0';
         UPDATE watchtower.visits SET presences = 2 WHERE vehicle_id = 'T1';
         INSERT INTO watchtower.etas VALUES ('mine', now(), now(), now(), 1, null, null)",
    );
    let comparison = compare(&at, &fleet.changelog).unwrap();
    let shape = |d: &sinks::live::RowDifference| (d.table.as_str(), d.is.is_some(), d.must_be.is_some());
    let mut shapes: Vec<_> = comparison.differences.iter().map(shape).collect();
    shapes.sort_unstable();
    assert_eq!(shapes, [("etas", true, false), ("visits", false, true), ("visits", true, true)]);
    assert!(compare(&at, &Fleet::new(16).changelog).is_err(), "another journal's");
}

#[test]
fn figures_of_days_are_views_and_readers_may_read_all() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(19);
    let truck = KpiSlice { kind: KpiSliceKind::Truck, id: "T1".into() };
    let figures = [
        (KpiSpan::Day, KpiSlice::fleet(), KpiMetric::Visits, 7),
        (KpiSpan::Day, KpiSlice::fleet(), KpiMetric::Alerts("idle".into()), 2),
        (KpiSpan::Day, KpiSlice::fleet(), KpiMetric::Alerts("overspeed".into()), 3),
        (KpiSpan::Week, KpiSlice::fleet(), KpiMetric::Visits, 50),
        (KpiSpan::Day, truck, KpiMetric::DistanceM, 1234),
    ];
    for (span, slice, metric, value) in figures {
        fleet.add(Row::Kpi(KpiRow { span, start: Some(TimeMs(0)), slice, metric, value, is_final: true }));
    }
    apply_all(&mut sink(&database), &fleet, limits(100)).unwrap();
    let mut session = database.session();
    session.run("SET ROLE watchtower_reader");
    let days = "SELECT visits || ' ' || alerts || ' ' || final FROM watchtower.daily_metrics WHERE distance_m IS NULL";
    assert_eq!(session.texts(days), ["7 5 true"]);
    let trucks = "SELECT vehicle_id || ' ' || distance_m FROM watchtower.truck_metrics";
    assert_eq!(session.texts(trucks), ["T1 1234"]);
    assert_eq!(session.number("SELECT tick FROM watchtower.as_of"), 5);
    let may = "SELECT has_table_privilege('watchtower_writer', 'watchtower.visits', 'DELETE')::text";
    assert_eq!(session.texts(may), ["true"]);
    // Whoever has the other role needs no more than that for a schema that is up to date.
    fleet.grow(80);
    let url = database.url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let as_writer = config(&format!("{url}{separator}options=-c%20role%3Dwatchtower_writer"));
    apply_all(&mut PostgresSink::new(as_writer).unwrap(), &fleet, limits(100)).unwrap();
    assert_is(&database, &fleet);
    let more = "SELECT count(*) FROM information_schema.role_table_grants
                WHERE grantee = 'watchtower_reader' AND privilege_type <> 'SELECT'";
    assert_eq!(session.number(more), 0);
}

#[test]
fn a_position_is_asked_for_and_kept_beside_the_rows() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(17);
    let mut writer = sink(&database);
    assert_eq!(writer.position().unwrap(), Position::default());
    fleet.grow(3);
    apply_all(&mut writer, &fleet, limits(10)).unwrap();
    let position = sink(&database).position().unwrap();
    assert_eq!(position.identity.as_deref(), Some(fleet.changelog.identity()));
    assert_eq!((position.as_of.tick, position.as_of.instant_ms), (1, instant_ms(1)));
}
