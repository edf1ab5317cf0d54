//! The journal's side of a backfill: writes what is sent, and tells what came of it.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use journal::{AppendError, Appended, ChangeBytes, Cursor, Log, Store, StoreLog};
use model::{Cause, Record, Table, TimeMs};
use sources::records::Backfill;

use crate::control::read_upload;
use crate::{Outcome, Usage};

/// How often a journal whose queue is full is asked again, and a changelog for its tick.
const PAUSE: Duration = Duration::from_millis(20);
const CHANGES_A_READ: usize = 10_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// A period that begins so long before the journal's first record is likely a slip. It would have the service keep
/// all its fixes in memory from then on.
const MAX_DAYS_BEFORE_FIRST: i64 = 400;

/// What a backfill will do.
pub struct Plan {
    from: TimeMs,
    bodies: u64,
    /// When the journal's first one was received.
    since: Option<TimeMs>,
}

impl Plan {
    /// Refuses a period whose beginning is likely a slip.
    pub fn new(log: &StoreLog, from: TimeMs) -> anyhow::Result<Plan> {
        let since = first_received(log)?;
        let earliest = since.map(|since| since.plus_ms(-MAX_DAYS_BEFORE_FIRST * DAY_MS));
        if let (Some(since), Some(earliest)) = (since, earliest.filter(|earliest| from < *earliest)) {
            let text = format!(
                "--from {from} is more than {MAX_DAYS_BEFORE_FIRST} days before the journal's first record, which \
                 came at {since}; the earliest that is taken is {earliest}"
            );
            return Err(Usage(text).into());
        }
        Ok(Plan { from, bodies: log.entry_count(), since })
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Plan { from, bodies, since } = self;
        write!(f, "everything from {from} on is computed anew, up to the present")?;
        match since {
            Some(since) => write!(f, ": the journal has {bodies} bodies of records, since {since}"),
            None => write!(f, ": the journal has no records yet"),
        }
    }
}

fn first_received(log: &dyn Log) -> anyhow::Result<Option<TimeMs>> {
    let last_tick = log.last_tick().map_or(0, |(tick, _)| tick);
    for tick in log.read(1, last_tick) {
        if let Some(first) = tick?.entries.first() {
            return Ok(Some(TimeMs(first.received_ms)));
        }
    }
    Ok(None)
}

/// Writes into a journal.
pub struct Writer<'a> {
    log: &'a dyn Log,
    /// Whether the log was begun for this alone.
    is_alone: bool,
}

impl<'a> Writer<'a> {
    /// Into one that a service has begun.
    pub fn beside(log: &'a dyn Log) -> Writer<'a> {
        Writer { log, is_alone: false }
    }

    /// Into one that nobody has begun. Nothing is worked off: the next start does that.
    pub fn alone(log: &'a dyn Log) -> anyhow::Result<Writer<'a>> {
        let ticks = log.start()?;
        std::thread::Builder::new().name("ticks".to_owned()).spawn(move || for _ in ticks {})?;
        Ok(Writer { log, is_alone: true })
    }

    /// Writes exempt positions, as NDJSON.
    pub fn positions(&self, lines: Vec<u8>) -> anyhow::Result<()> {
        let checked = sources::records::check(&lines, Backfill::Allowed)?;
        if let Some(refused) = checked.refused.first() {
            bail!("a position cannot be written to the journal: {}", refused.reason);
        }
        self.append(&lines).map(drop)
    }

    /// Writes the record that opens the period; tells its tick.
    pub fn backfill(&self, from: TimeMs, to: TimeMs) -> anyhow::Result<u64> {
        let mut line = Vec::new();
        sources::encode_record(&mut line, from, &Record::Backfill { from, to });
        Ok(self.append(&line)?.tick)
    }

    /// Waits until it is durable.
    fn append(&self, payload: &[u8]) -> anyhow::Result<Appended> {
        loop {
            match self.log.append(sources::code::BACKFILL, "", payload.to_vec()) {
                Ok(ticket) => return Ok(ticket.wait_blocking()?),
                Err(AppendError::Full { .. }) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.is_alone {
            self.log.stop();
        }
    }
}

/// Takes what a client sends, and answers when the rows are those of the backfill's tick.
pub fn receive(
    store: &Store,
    from: TimeMs,
    to: TimeMs,
    sent: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    if to <= from {
        bail!("a period ends after it begins");
    }
    let log = store.log();
    let plan = Plan::new(&log, from)?;
    let writer = Writer::beside(&log);
    while let Some(lines) = read_upload(sent)? {
        writer.positions(lines)?;
    }
    writeln!(out, "{plan}")?;
    out.flush()?;
    let tick = writer.backfill(from, to)?;
    tracing::info!(tick, %from, %to, "a backfill is in the journal");
    let changelog = store.changelog();
    while changelog.last_tick().is_none_or(|(closed, _)| closed < tick) {
        if let Some(why) = log.failure() {
            bail!("the backfill is in the journal, and the next start computes it; the service stops: {why}");
        }
        std::thread::sleep(PAUSE);
    }
    let changed = changed_rows(store, tick).context("the changes cannot be counted")?;
    let texts: Vec<String> = Table::ALL
        .into_iter()
        .map(|table| {
            let (came, went) = changed.get(&table.code()).copied().unwrap_or_default();
            format!("{} +{came} -{went}", table.as_str())
        })
        .collect();
    writeln!(out, "tick {tick}: rows that came and went: {}", texts.join(", "))?;
    Ok(Outcome::Done)
}

/// How many rows came and went with a tick's backfill, by table.
fn changed_rows(store: &Store, tick: u64) -> anyhow::Result<BTreeMap<u8, (u64, u64)>> {
    let changelog = store.changelog();
    let mut changed: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    let mut cursor = Cursor { tick: tick - 1, index: u32::MAX };
    loop {
        let changes = changelog.after(cursor, CHANGES_A_READ)?;
        let of_tick = changes.iter().take_while(|stored| stored.cursor.tick == tick);
        let mut count = 0;
        for stored in of_tick {
            count += 1;
            cursor = stored.cursor;
            let ChangeBytes { table, diff, cause, .. } = stored.change;
            let (came, went) = changed.entry(table).or_default();
            match (cause == Cause::Backfill.code(), diff > 0) {
                (true, true) => *came += 1,
                (true, false) => *went += 1,
                (false, _) => {}
            }
        }
        if count < CHANGES_A_READ {
            return Ok(changed);
        }
    }
}
