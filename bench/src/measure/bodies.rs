//! A journal that is written without a service: bodies as sources would append them.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use journal::{AppendError, Log, Options, Store};

/// A body of records is about as large as those that `watchtower backfill` writes.
const BODY_BYTES: usize = 256 * 1024;
/// Bodies that are made before they are written.
const BODIES_AHEAD: usize = 8;

/// A body and the source that it is from.
pub(super) type Body = (u8, Vec<u8>);

/// Appends what `make` gives to the journal of a data folder that nobody uses.
pub(super) fn write_journal<W>(
    data: &Path,
    make: impl FnOnce(&mut dyn FnMut(Body) -> anyhow::Result<()>) -> anyhow::Result<W>,
) -> anyhow::Result<W> {
    let store = Store::open(data, Options::default())?;
    let log = store.log();
    let ticks = log.start()?;
    // The next start of a service works them off.
    std::thread::spawn(move || ticks.into_iter().for_each(drop));
    let (give, bodies) = sync_channel::<Body>(BODIES_AHEAD);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| bodies.into_iter().try_for_each(|body| append(&log, body)));
        let made = make(&mut |body| Ok(give.send(body)?));
        drop(give);
        writer.join().map_err(|_| anyhow::anyhow!("the journal's writer panicked"))??;
        made
    });
    log.stop();
    written
}

/// Waits until it is durable.
fn append(log: &dyn Log, (source, payload): Body) -> anyhow::Result<()> {
    loop {
        match log.append(source, "", payload.clone()) {
            Ok(ticket) => return Ok(ticket.wait_blocking().map(drop)?),
            Err(AppendError::Full { .. }) => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Records as bodies.
pub(super) struct Bodies<'a> {
    source: u8,
    pub bytes: Vec<u8>,
    give: &'a mut dyn FnMut(Body) -> anyhow::Result<()>,
}

impl<'a> Bodies<'a> {
    /// Bodies of a source.
    pub fn new(source: u8, give: &'a mut dyn FnMut(Body) -> anyhow::Result<()>) -> Bodies<'a> {
        Bodies { source, bytes: Vec::new(), give }
    }

    /// Ends a body that is large.
    pub fn give_if_large(&mut self) -> anyhow::Result<()> {
        if self.bytes.len() >= BODY_BYTES { self.give_all() } else { Ok(()) }
    }

    /// Ends the last body.
    pub fn give_all(&mut self) -> anyhow::Result<()> {
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(BODY_BYTES + 4096));
        if bytes.is_empty() { Ok(()) } else { (self.give)((self.source, bytes)) }
    }
}
