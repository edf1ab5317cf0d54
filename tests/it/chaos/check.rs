//! What must hold when all is mended: nothing that was acknowledged is lost, and everything that is derived is the same
//! wherever it is kept.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::campaign::{Campaign, MENDED_LIMIT};
use super::load::{Scene, key_of};
use super::servers::Postgres;
use crate::common::{
    Client, LIMIT, Rows, assert_same_lines, changes_until, export, moves_by_marks, rows_of_changes,
    rows_of_replay, succeed, wait_until, watchtower,
};

/// What an export has that nobody posted.
const OWN_RECORDS: [&str; 2] = [r#""type":"settings""#, r#""type":"clock""#];

/// A table in PostgreSQL: its columns, and those of them that are times.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    times: &'static [&'static str],
}

const fn table(
    name: &'static str,
    columns: &'static [&'static str],
    times: &'static [&'static str],
) -> Table {
    Table { name, columns, times }
}

const TABLES: [Table; 8] = [
    table(
        "presences",
        &["vehicle_id", "fence_id", "entered", "exited", "end_reason"],
        &["entered", "exited"],
    ),
    table(
        "visits",
        &["vehicle_id", "fence_id", "arrived", "departed", "confirmed_at", "presences"],
        &["arrived", "departed", "confirmed_at"],
    ),
    table(
        "crossings",
        &["vehicle_id", "fence_id", "from_time", "to_time", "at"],
        &["from_time", "to_time", "at"],
    ),
    table(
        "trips",
        &[
            "trip_id",
            "vehicle_id",
            "phase",
            "status",
            "status_by",
            "pickup_arrival",
            "actual_departure",
            "arrival",
            "offload",
            "tat_s",
            "distance_m",
            "departure_unobserved",
        ],
        &["pickup_arrival", "actual_departure", "arrival", "offload"],
    ),
    table("etas", &["trip_id", "eta", "eta_low", "eta_high"], &["eta", "eta_low", "eta_high"]),
    table(
        "alerts",
        &[
            "alert_id",
            "kind",
            "severity",
            "vehicle_id",
            "fence_id",
            "trip_id",
            "started",
            "due_at",
            "ended",
            "details",
        ],
        &["started", "due_at", "ended"],
    ),
    table("kpis", &["span", "start", "slice", "slice_id", "metric", "value", "final"], &["start"]),
    table("rejects", &["seq", "vehicle_id", "event_time", "reason", "used"], &["event_time"]),
];

/// The tables as SQL of this test's own reads them.
fn in_postgres(postgres: &Postgres) -> Rows {
    TABLES.iter().map(|table| (table.name, rows_in_postgres(postgres, table))).collect()
}

fn rows_in_postgres(postgres: &Postgres, table: &Table) -> Vec<String> {
    let column = |name: &&str| {
        if table.times.contains(name) {
            let format = |millis: &str| format!(r#"'YYYY-MM-DD"T"HH24:MI:SS{millis}"Z"'"#);
            return format!(
                r#"to_char("{name}" AT TIME ZONE 'UTC', CASE WHEN date_trunc('second', "{name}") = "{name}" THEN {} ELSE {} END) AS "{name}""#,
                format(""),
                format(".MS")
            );
        }
        match *name {
            // The very bytes, which `jsonb` does not keep.
            "details" => "details_text::json AS details".to_owned(),
            name => format!(r#""{name}""#),
        }
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let sql = format!(
        "SELECT row_to_json(r) FROM (SELECT {} FROM watchtower.{}) AS r",
        columns.join(", "),
        table.name
    );
    let mut rows: Vec<String> = postgres.ask(&sql).lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// Every acknowledged record is there as often as it was acknowledged, in the order of their ticks; none is there more
/// often than it was sent, and none that nobody sent.
fn judge_export(export: &[u8], scene: &Scene) {
    let mut kept: HashMap<String, u32> = HashMap::new();
    let mut ticks: Vec<(u64, String)> = Vec::new();
    let books = scene.books();
    for line in std::str::from_utf8(export).expect("an export is UTF-8").lines() {
        let key = key_of(line);
        let is_own = OWN_RECORDS.iter().any(|kind| line.contains(kind));
        match books.get(&key) {
            Some(book) if book.attempts == 1 && book.acknowledged == 1 => {
                ticks.push((book.tick, key.clone()))
            }
            Some(_) => {}
            None => assert!(is_own, "nobody sent, or nobody was to have kept: {line}"),
        }
        *kept.entry(key).or_default() += 1;
    }
    for (key, book) in books.iter() {
        let count = kept.get(key).copied().unwrap_or(0);
        let may = book.acknowledged..=book.attempts;
        assert!(may.contains(&count), "{key} is there {count} times, {book:?}");
    }
    if let Some(pair) = ticks.windows(2).find(|pair| pair[0].0 > pair[1].0) {
        panic!("not in the order of their ticks: {pair:?}");
    }
}

impl Campaign<'_> {
    /// Mends all, waits until everybody has caught up, and compares. The senders pause meanwhile.
    pub fn check(&mut self, senders: usize) {
        let begun = Instant::now();
        self.mend();
        let mended_after = begun.elapsed();
        let posts = self.scene.posts();
        self.wait_for("records are acknowledged after all was mended", |campaign| {
            campaign.scene.posts() >= posts + 5
        });
        self.wait_for("sinks come near", |campaign| campaign.sink_lag().is_some_and(|lag| lag < 20));
        self.scene.pause(senders);
        let address = self.at_rest().wait_until_ready();
        self.scene.set_address(Some(address));
        let tick = tick_at_rest(address);
        self.wait_for("sinks have everything", |campaign| campaign.sink_lag() == Some(0));
        self.wait_for("the follower has everything", |campaign| campaign.scene.followed_to() >= tick);

        let data = self.data();
        let verified = succeed(watchtower().args(["verify", "--data"]).arg(&data));
        let verified = String::from_utf8_lossy(&verified.stdout).into_owned();
        let is_same = verified.starts_with("0 differences: ") && verified.contains("the changelog's sum");
        assert!(is_same && verified.contains("\n0 differences in PostgreSQL: "), "{verified}");
        assert_eq!(verified.contains("\n0 differences in Kafka: "), self.has_kafka(), "{verified}");
        let exported = export(&data);
        judge_export(&exported, self.scene);
        self.judge_follower(address, tick);
        let summed = rows_of_changes(&self.scene.changes());
        let replayed = rows_of_replay(&exported);
        for (sink, kept) in self.kept_by_sinks() {
            for (table, rows) in &summed {
                let of_changes = format!("{table}, summed from the changes");
                assert_same_lines(sink, &kept[table], &of_changes, rows);
            }
        }
        for (table, rows) in summed.iter().filter(|(table, _)| !moves_by_marks(table)) {
            let of_changes = format!("{table}, summed from the changes");
            assert_same_lines("the replay of the export", &replayed[table], &of_changes, rows);
        }
        let count = |rows: &Rows| rows.values().map(Vec::len).sum::<usize>();
        let (records, changes) =
            (exported.iter().filter(|byte| **byte == b'\n').count(), self.scene.changes().len());
        self.say(&format!(
            "    checked at tick {tick}: {records} records, {changes} changes, {} rows ({}); mended within {:.1} s, checked in {:.1} s",
            count(&summed),
            summed.iter().map(|(name, rows)| format!("{name} {}", rows.len())).collect::<Vec<_>>().join(", "),
            mended_after.as_secs_f64(),
            begun.elapsed().as_secs_f64(),
        ));
        self.scene.go_on();
    }

    /// What each sink has, read by means of this test's own.
    fn kept_by_sinks(&self) -> Vec<(&'static str, Rows)> {
        vec![("PostgreSQL", in_postgres(&self.postgres))]
    }

    /// Who follows from the beginning now is told the same.
    fn judge_follower(&self, address: std::net::SocketAddr, tick: u64) {
        let anew = changes_until(address, "0-0", tick);
        let followed = self.scene.changes();
        let differs = followed.iter().zip(&anew).position(|(a, b)| a != b);
        assert_eq!(
            differs.map(|at| (&followed[at], &anew[at])),
            None,
            "the follower was told something else"
        );
        assert_eq!(followed.len(), anew.len(), "the follower missed something, or was told twice");
    }

    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&Campaign<'_>) -> bool) {
        let deadline = Instant::now() + MENDED_LIMIT;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not within {MENDED_LIMIT:?}: {what}; {:?}", self.said());
            self.look_around();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many ticks the sink that is furthest behind lacks; `None` while nobody can say.
    fn sink_lag(&self) -> Option<u64> {
        let metrics = Client::connect(self.scene.address()?).ok()?.get("/metrics").ok()?;
        let lags = metrics.text().lines().filter(|line| line.starts_with("watchtower_sink_lag_ticks{"));
        lags.map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).max()?
    }
}

/// Nothing is minted any more but for what is still in work: the tick when that is through.
fn tick_at_rest(address: std::net::SocketAddr) -> u64 {
    let mut client = Client::connect(address).expect("the service takes connections");
    let mut tick = || client.get("/readyz").expect("an answer").json()["tick"].as_u64().expect("a tick");
    let (mut last, mut same) = (tick(), 0);
    wait_until("the last requests are through", LIMIT, || {
        let now = tick();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same > 40
    });
    last
}
