//! What can be asked about a data folder, whether by its service or by whoever opens it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use journal::{DeadLetter, Log, Store};
use model::{TimeMs, VisitId};
use tokio::sync::watch;

use crate::Outcome;
use crate::control::Request;
use crate::snapshots::Keeper;
use crate::targets::Targets;

/// Differences are printed one by one up to this many; all are counted.
const MAX_DIFFERENCES_PRINTED: usize = 100;
const LETTERS_A_READ: usize = 100;
const EXCERPT_CHARS: usize = 80;
/// How often a service that starts is asked whether it is ready.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// The service of the folder, as its own requests find it.
#[derive(Clone)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What requests are signed with.
    pub secret: Option<Arc<[u8]>>,
    /// Whether the journal takes records.
    pub ready: watch::Receiver<bool>,
    /// Takes its snapshots.
    pub keeper: Arc<Keeper>,
    /// Where its sinks write.
    pub targets: Targets,
}

impl Running {
    /// Waits while the service replays its journal. If it ends instead, so does whoever waits.
    pub fn wait_until_ready(&self) {
        while !*self.ready.borrow() {
            std::thread::sleep(READY_PAUSE);
        }
    }
}

/// Writes the answer to `out`. `service` is where the folder's service is, if one runs.
pub fn answer(
    store: &Store,
    service: Option<&Running>,
    request: &Request,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    match request {
        Request::Export => {
            // A service shows what it has closed. Of a folder that nobody has open, all that is durable counts:
            // the next start closes it before anything else.
            let last_tick = match service {
                Some(_) => store.changelog().last_tick(),
                None => store.log().last_tick(),
            };
            let tick = last_tick.map_or(0, |(tick, _)| tick);
            pipeline::export(&store.log(), tick, out)?;
            Ok(Outcome::Done)
        }
        Request::Verify { workers, targets } => {
            let targets = service.map_or(&**targets, |service| &service.targets);
            verify(store, *workers, targets, out)
        }
        #[cfg(feature = "postgres")]
        Request::Referee { share, targets } => {
            let targets = service.map_or(&**targets, |service| &service.targets);
            crate::referee::verify(store, targets.referee.as_ref(), *share, out)
        }
        #[cfg(not(feature = "postgres"))]
        Request::Referee { .. } => bail!("this watchtower was built without PostgreSQL"),
        Request::ExplainVisit { id, json } => crate::explain::visit(store, VisitId(*id), *json, out),
        Request::Backfill { .. } => bail!("a backfill is sent with its positions, not asked for alone"),
        Request::ListDeadLetters => list(store, out),
        Request::ShowDeadLetter { id } => show(store, *id, out),
        Request::ReplayDeadLetters { ids } => replay(service, ids, out),
        Request::Backup => crate::backup::write(store, out),
        Request::ListArchive => crate::archive::list(store, out),
        Request::Archive { after_days, is_rehearsal } => {
            crate::archive::take(store, *after_days, *is_rehearsal, out)
        }
        Request::TakeSnapshot => match service {
            Some(service) => {
                service.wait_until_ready();
                crate::snapshots::tell_taken(&service.keeper, out)
            }
            None => bail!("a snapshot is taken by a service, or with a configuration"),
        },
    }
}

fn verify(store: &Store, workers: usize, targets: &Targets, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let bar = crate::progress::bar(0, crate::progress::COUNT);
    let report = pipeline::verify(&store.log(), &store.changelog(), workers, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    for difference in report.differences.iter().take(MAX_DIFFERENCES_PRINTED) {
        let (table, place) = (difference.table.as_str(), difference.place);
        let shown = |row: &Option<String>| row.clone().unwrap_or_else(|| "no such row".to_owned());
        writeln!(out, "{table}, {place}: kept {}", shown(&difference.kept))?;
        writeln!(out, "{table}, {place}: must be {}", shown(&difference.recomputed))?;
    }
    let summed = if report.changelog_summed { " and the changelog's sum" } else { "" };
    writeln!(
        out,
        "{} differences: {} records recomputed up to tick {}, {} rows compared with the kept rows{summed}",
        report.differences.len(),
        report.records,
        report.tick,
        report.rows
    )?;
    let differences_beside = targets.compare(store, MAX_DIFFERENCES_PRINTED, out)?;
    let behind = store.log().last_tick().map_or(0, |(tick, _)| tick) - report.tick;
    if behind > 0 {
        writeln!(
            out,
            "{behind} more ticks are durable and were not worked off by then; the service does that, or its next start"
        )?;
    }
    let is_same = report.differences.is_empty() && differences_beside == 0;
    Ok(if is_same { Outcome::Done } else { Outcome::Failed })
}

fn list(store: &Store, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut after_id = 0;
    loop {
        let letters = store.dead_letters().list(after_id, LETTERS_A_READ)?;
        let Some(last) = letters.last() else { break };
        after_id = last.id;
        for letter in &letters {
            let text = String::from_utf8_lossy(&letter.payload);
            let excerpt: String = text.chars().take(EXCERPT_CHARS).flat_map(char::escape_debug).collect();
            writeln!(out, "{}\n    {excerpt}", head(letter))?;
        }
    }
    let counts = store.dead_letters().counts();
    writeln!(out, "{} kept, {} bytes, {} dropped so far", counts.kept, counts.bytes, counts.dropped_total)?;
    Ok(Outcome::Done)
}

fn head(letter: &DeadLetter) -> String {
    format!(
        "{} {} {} {}: {}",
        letter.id,
        TimeMs(letter.received_ms),
        sources::source_name(letter.source),
        letter.context,
        letter.reason
    )
}

fn show(store: &Store, id: u64, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let Some(letter) = store.dead_letters().get(id)? else {
        bail!("there is no dead letter {id}; `dead-letters list` shows those that are kept");
    };
    out.write_all(&letter.payload)?;
    if letter.payload.last() != Some(&b'\n') {
        out.write_all(b"\n")?;
    }
    Ok(Outcome::Done)
}

fn replay(service: Option<&Running>, ids: &[u64], out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let Some(service) = service else {
        bail!("dead letters are sent again through the service; start it with `watchtower run` first");
    };
    let mut outcome = Outcome::Done;
    for id in ids {
        let (status, body) = post(service, &format!("/api/v1/dead-letters/{id}/replay"))?;
        writeln!(out, "{id}: {status} {body}")?;
        if !(200..300).contains(&status) {
            outcome = Outcome::Failed;
        }
    }
    Ok(outcome)
}

/// A bare POST to the service of the same folder.
fn post(service: &Running, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(service.address).context("the service does not answer")?;
    stream.set_read_timeout(Some(Duration::from_secs(40)))?;
    let port = service.address.port();
    let signature = match &service.secret {
        Some(secret) => {
            let unix_s = crate::run::wall_clock().0 / 1000;
            let signature = sources::signature::sign_write(secret, unix_s, "POST", path, b"");
            format!("X-Watchtower-Timestamp: {unix_s}\r\nX-Watchtower-Signature: {signature}\r\n")
        }
        None => String::new(),
    };
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{signature}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status =
        answer.split(' ').nth(1).and_then(|s| s.parse().ok()).context("an answer without a status")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.trim().to_owned()))
}
