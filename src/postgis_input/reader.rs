//! The thread that reads and marks the table.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use journal::{AppendError, Log, NewDeadLetter, Store, Ticket};
use pipeline::config::Config;
use sources::code;
use sources::postgis::{
    Client, ClientError, ClientOptions, Digest, Mark, Refusal, Row, Sent, Status, check, delete_record,
    sent_hash,
};
use tokio::sync::watch;

use super::known::Known;
use super::{URL, table};
use crate::Usage;
use crate::targets::{url_of_database, warn_of_literal};

/// Rows are read so many at a time, or so many bytes of geometries.
const ROWS_A_READ: usize = 500;
const BYTES_A_READ: u64 = 8 << 20;
/// A table that is edited all the time is compared so often.
const SWEEP_PAUSE: Duration = Duration::from_millis(500);
/// How often a journal that takes nothing is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(20);
const UNAVAILABLE_PAUSE: Duration = Duration::from_millis(500);
/// How soon a database that is away is tried again, at first and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub fn options(config: &Config) -> anyhow::Result<ClientOptions> {
    let of = &config.sources.postgis;
    let url = of.url.as_ref().context("no database is configured")?;
    let url = url_of_database(URL, url)?;
    let options = ClientOptions::new(&url, table(config)?, of.create_table);
    Ok(options.map_err(|why| Usage(format!("{URL}: {why}")))?)
}

pub fn start(
    config: &Config,
    store: Store,
    status: Arc<Status>,
    mut ready: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let options = options(config)?;
    if let Some(secret) = &config.sources.postgis.url {
        warn_of_literal(URL, secret, &url_of_database(URL, secret)?);
    }
    let sweep_every = Duration::from_secs(config.sources.postgis.sweep_s);
    let may_delete_all = config.sources.postgis.allow_mass_delete;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_up = Arc::clone(&status);
    let run = async move {
        tokio::select! {
            is_ready = ready.wait_for(|ready| *ready) => if is_ready.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let reader = Reader::new(options, store, status, sweep_every, may_delete_all);
        let ended = match reader {
            Ok(mut reader) => tokio::select! {
                ended = reader.run() => ended,
                _ = stop.wait_for(|stop| *stop) => return,
            },
            Err(error) => Err(error),
        };
        is_up.is_up.store(false, Relaxed);
        if let Err(error) = ended {
            tracing::error!(error = %format!("{error:#}"), "fences of PostGIS are read no more; restart");
        }
    };
    Ok(std::thread::Builder::new().name("postgis-input".to_owned()).spawn(move || runtime.block_on(run))?)
}

/// Why a sweep came to no end.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The journal takes nothing any more: the service ends.
    #[error("the journal has ended")]
    Ended,
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Dropped at any point it leaves nothing that the next start does not find: what was appended is in the journal.
struct Reader {
    options: ClientOptions,
    store: Store,
    status: Arc<Status>,
    sweep_every: Duration,
    may_delete_all: bool,
    known: Known,
    /// How many deletes were told of as held.
    held: usize,
    cannot_mark: bool,
}

impl Reader {
    fn new(
        options: ClientOptions,
        store: Store,
        status: Arc<Status>,
        sweep_every: Duration,
        may_delete_all: bool,
    ) -> anyhow::Result<Reader> {
        let known = Known::of_journal(&store)?;
        Ok(Reader { options, store, status, sweep_every, may_delete_all, known, held: 0, cannot_mark: false })
    }

    /// Ends with the journal, or with an error that nobody but a person can mend.
    async fn run(&mut self) -> anyhow::Result<()> {
        let mut failures: u32 = 0;
        loop {
            let error = match self.follow(&mut failures).await {
                SweepError::Client(error) => error,
                SweepError::Ended => return Ok(()),
                SweepError::Other(error) => return Err(error),
            };
            self.status.is_up.store(false, Relaxed);
            self.status.failures.fetch_add(1, Relaxed);
            let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
            failures = failures.saturating_add(1);
            let target = self.options.target();
            tracing::warn!(target, %error, pause_ms = pause.as_millis() as u64, "the table of fences can't be read; it is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Compares the table again and again, until something fails.
    async fn follow(&mut self, failures: &mut u32) -> SweepError {
        let mut client = match Client::connect(&self.options).await {
            Ok(client) => client,
            Err(error) => return error.into(),
        };
        tracing::info!(target = self.options.target(), table = %self.options.table, "following a table of fences");
        loop {
            let begun = Instant::now();
            if let Err(error) = self.sweep(&mut client).await {
                return error;
            }
            *failures = 0;
            self.status.is_up.store(true, Relaxed);
            self.status.sweeps.fetch_add(1, Relaxed);
            let left = self.sweep_every.saturating_sub(begun.elapsed());
            match tokio::time::timeout(left, client.changed()).await {
                // What follows at once is compared with it.
                Ok(Ok(())) => tokio::time::sleep(SWEEP_PAUSE.saturating_sub(begun.elapsed())).await,
                Ok(Err(error)) => return error.into(),
                Err(_) => {}
            }
        }
    }

    async fn sweep(&mut self, client: &mut Client) -> Result<(), SweepError> {
        let found = self.known.compare(client.digests().await?);
        for page in pages(&found.changed) {
            self.take(client, page).await?;
        }
        if !found.is_mass_delete || self.may_delete_all {
            self.held = 0;
            for id in &found.gone {
                self.delete(id).await?;
            }
        } else if std::mem::replace(&mut self.held, found.gone.len()) != found.gone.len() {
            tracing::warn!(
                table = %self.options.table,
                gone = found.gone.len(),
                "most rows of the table went at once: their fences stay until the rows come back, or until \
                 sources.postgis.allow_mass_delete = true says that they are to go"
            );
        }
        // Nothing is on its way: all that this source sent is in the ticks up to this one, and is known.
        let tick = self.store.log().last_tick().map_or(0, |(tick, _)| tick);
        self.known.note_if_due(&self.store, tick)?;
        let (fences, refused) = self.known.counts();
        self.status.fences.store(fences as u64, Relaxed);
        self.status.refused_rows.store(refused as u64, Relaxed);
        self.status.held_deletes.store(self.held as u64, Relaxed);
        Ok(())
    }

    /// Sends what is new of some rows, and marks them.
    async fn take(&mut self, client: &mut Client, page: &[Digest]) -> Result<(), SweepError> {
        let ids: Vec<&str> = page.iter().map(|row| row.id.as_str()).collect();
        let rows = client.rows(&ids).await?;
        let mut on_their_way = Vec::new();
        let mut refused = Vec::new();
        for row in &rows {
            match check(row) {
                Ok((record, warnings)) => {
                    let hash = sent_hash(record.as_bytes());
                    if self.known.sent(&row.id).is_some_and(|sent| sent.hash == hash) {
                        self.known.is_good(&row.id);
                        continue;
                    }
                    for warning in warnings {
                        tracing::warn!(table = %self.options.table, warning, "a fence looks wrong");
                    }
                    match self.append(record.as_bytes()).await? {
                        Ok(ticket) => on_their_way.push((row.id.as_str(), hash, ticket)),
                        Err(reason) => refused.push((row, Refusal { reason, bytes: record.into_bytes() })),
                    }
                }
                Err(refusal) => refused.push((row, refusal)),
            }
        }
        for (id, hash, ticket) in on_their_way {
            let tick = durable(ticket).await?;
            self.known.is_good(id);
            self.known.was_sent(Sent::Upsert { id: id.to_owned(), hash }, tick);
            self.status.upserts.fetch_add(1, Relaxed);
        }
        let mut reasons = std::collections::HashMap::new();
        for (row, refusal) in refused {
            self.bury(row, &refusal)?;
            reasons.insert(row.id.as_str(), refusal.reason);
        }
        let marks = rows.iter().filter_map(|row| self.mark_of(row, reasons.remove(row.id.as_str())));
        let marks: Vec<Mark> = marks.collect();
        let is_marked = self.mark(client, &marks).await?;
        // As what was read, which may be a later state than that which was found to be another one.
        for row in rows.iter().filter(|row| is_marked && row.unreadable.is_none()) {
            self.known.judged(row.id.clone(), row.digest);
        }
        let is_unreadable = |id: &str| rows.iter().any(|row| row.id == id && row.unreadable.is_some());
        for row in page.iter().filter(|row| is_marked && is_unreadable(&row.id)) {
            self.known.judged(row.id.clone(), row.digest);
        }
        Ok(())
    }

    /// What is to be written into a row, if it does not have it already.
    fn mark_of(&self, row: &Row, error: Option<String>) -> Option<Mark> {
        let tick = self.known.sent(&row.id).map(|sent| sent.tick);
        let is_noted = row.noted_error == error && row.noted_tick == tick.map(u64::cast_signed);
        (!is_noted).then(|| Mark { id: row.id.clone(), error, tick })
    }

    /// Writes marks; `false` where rows are locked, and the next sweep is to try again.
    async fn mark(&mut self, client: &mut Client, marks: &[Mark]) -> Result<bool, SweepError> {
        if marks.is_empty() {
            return Ok(true);
        }
        match client.mark(marks).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_about_privilege() => {
                if !std::mem::replace(&mut self.cannot_mark, true) {
                    tracing::warn!(%error, "what becomes of fences can't be written to their table");
                }
                Ok(true)
            }
            Err(error) if error.is_about_locks() || error.is_about_data() => {
                tracing::info!(%error, "what became of some fences is written to their table later");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&mut self, id: &str) -> Result<(), SweepError> {
        let Ok(ticket) = self.append(delete_record(id).as_bytes()).await? else { return Ok(()) };
        let tick = durable(ticket).await?;
        self.known.was_sent(Sent::Delete { id: id.to_owned() }, tick);
        self.status.deletes.fetch_add(1, Relaxed);
        tracing::info!(id, tick, "a fence is deleted, since its row is gone");
        Ok(())
    }

    /// Brings a record into the journal, or says why that does not take it.
    async fn append(&self, record: &[u8]) -> Result<Result<Ticket, String>, SweepError> {
        loop {
            let pause = match self.store.log().append(code::POSTGIS, "", record.to_vec()) {
                Ok(ticket) => return Ok(Ok(ticket)),
                Err(AppendError::Full { .. }) => FULL_PAUSE,
                Err(AppendError::Unavailable { .. }) => UNAVAILABLE_PAUSE,
                Err(error @ AppendError::TooLarge { .. }) => return Ok(Err(error.to_string())),
                Err(AppendError::Stopped | AppendError::Failed(_)) => return Err(SweepError::Ended),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Keeps what is refused, once.
    fn bury(&mut self, row: &Row, refusal: &Refusal) -> Result<(), SweepError> {
        let judged = [refusal.reason.as_bytes(), b"\n", &refusal.bytes].concat();
        if !self.known.was_refused(&row.id, sent_hash(&judged)) {
            return Ok(());
        }
        let context: String =
            format!("table={};id={}", self.options.table, row.id).chars().take(500).collect();
        let letter = NewDeadLetter {
            received_ms: crate::run::wall_clock().0,
            source: code::POSTGIS,
            context: &context,
            reason: &refusal.reason,
            payload: &refusal.bytes,
        };
        self.store.dead_letters().add_all(&[letter]).map_err(anyhow::Error::from)?;
        Ok(())
    }
}

async fn durable(ticket: Ticket) -> Result<u64, SweepError> {
    match ticket.wait().await {
        Ok(appended) => Ok(appended.tick),
        Err(AppendError::Stopped | AppendError::Failed(_)) => Err(SweepError::Ended),
        Err(error) => Err(SweepError::Other(error.into())),
    }
}

/// Rows in pieces that are read at once.
fn pages(rows: &[Digest]) -> impl Iterator<Item = &[Digest]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&Digest| {
            bytes += row.bytes;
            bytes <= BYTES_A_READ
        };
        let count = rest.iter().take(ROWS_A_READ).take_while(fits).count().max(1).min(rest.len());
        let (page, left) = rest.split_at(count);
        rest = left;
        (!page.is_empty()).then_some(page)
    })
}
