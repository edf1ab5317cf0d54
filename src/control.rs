//! The control socket `DIR/control.sock`: how commands reach a folder that a service has open.
//!
//! A client sends one line of JSON, the request. The service answers in frames: a kind byte (`o` output,
//! `x` exit), the length as four bytes big-endian, the bytes. An exit frame holds the status as a digit and
//! the error, if any, and ends the answer: an answer without one was cut short.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use journal::Store;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::work::{self, Running};

const SOCKET: &str = "control.sock";
const MAX_REQUEST_BYTES: u64 = 64 * 1024;
/// How long a request may take to be written.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REQUESTS_AT_WORK: usize = 16;
const FRAME_BYTES: usize = 64 * 1024;

/// What can be asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Request {
    Export,
    Verify { workers: usize },
    ExplainVisit { id: u64, json: bool },
    ListDeadLetters,
    ShowDeadLetter { id: u64 },
    ReplayDeadLetters { ids: Vec<u64> },
}

/// Finds the service that has the folder open.
pub fn connect(data: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(data.join(SOCKET))
}

/// Asks a service.
pub fn ask(mut stream: UnixStream, request: &Request, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = [0; 5];
        reader
            .read_exact(&mut head)
            .context("the service ended, or is busy with other commands, before its answer did")?;
        let [kind, length @ ..] = head;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        reader.read_exact(&mut bytes).context("the service ended before its answer did")?;
        if kind == b'o' {
            out.write_all(&bytes)?;
            continue;
        }
        out.flush()?;
        return match bytes.split_first() {
            Some((b'0', _)) => Ok(Outcome::Done),
            Some((b'1', [])) => Ok(Outcome::Failed),
            Some((_, message)) => bail!("{}", String::from_utf8_lossy(message)),
            None => bail!("the service's answer is not understood"),
        };
    }
}

/// The socket of a running service; its file goes when this is dropped.
pub struct Control {
    path: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket's file could not be removed");
        }
    }
}

/// Begins to answer on the folder's socket.
pub fn serve(data: &Path, store: Store, service: Running) -> anyhow::Result<Control> {
    let path = data.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        let at_work = Arc::new(AtomicUsize::new(0));
        for stream in listener.incoming() {
            let (store, service, at_work) = (store.clone(), service.clone(), at_work.clone());
            // Few at a time: a verification is work enough beside a live service. One that is turned away
            // sees the answer end before it began.
            if at_work.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS_AT_WORK {
                at_work.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let respond = move || {
                let answered =
                    stream.map_err(anyhow::Error::from).and_then(|s| respond(&s, &store, &service));
                if let Err(error) = answered {
                    tracing::warn!(error = %format!("{error:#}"), "a control request failed");
                }
                at_work.fetch_sub(1, Ordering::Relaxed);
            };
            if let Err(error) = std::thread::Builder::new().name("control-request".to_owned()).spawn(respond)
            {
                tracing::warn!(%error, "a control request could not be worked on");
            }
        }
    })?;
    Ok(Control { path })
}

fn respond(stream: &UnixStream, store: &Store, service: &Running) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_REQUEST_BYTES)).read_line(&mut line)?;
    let mut frames = Frames { stream, buffer: Vec::with_capacity(FRAME_BYTES) };
    let outcome = match serde_json::from_str(&line) {
        Ok(request) => work::answer(store, Some(service), &request, &mut frames),
        Err(error) => Err(anyhow::anyhow!("not a request: {error}")),
    };
    frames.flush()?;
    let exit = match outcome {
        Ok(Outcome::Done) => b"0".to_vec(),
        Ok(Outcome::Failed) => b"1".to_vec(),
        Err(error) => format!("1{error:#}").into_bytes(),
    };
    frames.frame(b'x', &exit)?;
    Ok(())
}

struct Frames<'a> {
    stream: &'a UnixStream,
    buffer: Vec<u8>,
}

impl Frames<'_> {
    fn frame(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes();
        self.stream.write_all(&[kind, length[0], length[1], length[2], length[3]])?;
        self.stream.write_all(bytes)
    }
}

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FRAME_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            self.frame(b'o', &buffer)?;
        }
        Ok(())
    }
}
