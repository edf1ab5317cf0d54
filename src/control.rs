//! The control socket `DIR/control.sock`: how commands reach a folder that a service has open.
//!
//! A client sends one line of JSON, the request. The service answers in frames: a kind byte (`o` output,
//! `x` exit), the length as four bytes big-endian, the bytes. An exit frame holds the status as a digit and
//! the error, if any, and ends the answer: an answer without one was cut short.
//!
//! Behind the request for a backfill the client sends frames of its own: positions (`p`) as NDJSON, and an
//! end (`e`) without bytes. What is too late of a client that is gone before its end waits for another backfill.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use journal::Store;
use model::TimeMs;
use serde::{Deserialize, Serialize};

use crate::backfill;
use crate::targets::Targets;
use crate::work::{self, Running};
use crate::{Outcome, Usage};

const SOCKET: &str = "control.sock";
const MAX_REQUEST_BYTES: u64 = 64 * 1024;
/// How long a request may take to be written.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REQUESTS_AT_WORK: usize = 16;
const FRAME_BYTES: usize = 64 * 1024;
/// The largest frame of a client.
const MAX_UPLOAD_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// How long a client may take between the frames that it sends: much of a file may be of another period.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// What can be asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Request {
    Export,
    Verify {
        workers: usize,
        /// What is compared of a folder that nobody has open: a service knows its own.
        #[serde(skip)]
        targets: Box<Targets>,
    },
    /// Presences held against PostGIS.
    Referee {
        share: f64,
        #[serde(skip)]
        targets: Box<Targets>,
    },
    ExplainVisit {
        id: u64,
        json: bool,
    },
    Backfill {
        from_ms: i64,
        to_ms: i64,
    },
    ListDeadLetters,
    ShowDeadLetter {
        id: u64,
    },
    ReplayDeadLetters {
        ids: Vec<u64>,
    },
    TakeSnapshot,
    ListArchive,
    Archive {
        after_days: u32,
        is_rehearsal: bool,
    },
    Backup,
}

/// Finds the service that has the folder open.
pub fn connect(data: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(data.join(SOCKET))
}

/// Asks a service.
pub fn ask(mut stream: UnixStream, request: &Request, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    write_request(&mut stream, request)?;
    read_answer(stream, out)
}

fn write_request(stream: &mut UnixStream, request: &Request) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    Ok(stream.write_all(&line)?)
}

/// What a client sends behind its request.
pub struct Upload {
    stream: UnixStream,
}

impl Upload {
    /// Asks a service.
    pub fn begin(mut stream: UnixStream, request: &Request) -> anyhow::Result<Upload> {
        write_request(&mut stream, request)?;
        Ok(Upload { stream })
    }

    /// Sends positions.
    pub fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        write_frame(&self.stream, b'p', lines)
    }

    /// Says that this is all, and gives the answer out.
    pub fn finish(self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        // A service that gave up does not read to the end; its answer says why.
        let is_given_up = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        };
        match write_frame(&self.stream, b'e', &[]) {
            Err(error) if !is_given_up(&error) => Err(error.into()),
            _ => read_answer(self.stream, out),
        }
    }
}

/// The next positions that a client sends; `None` at its end.
pub fn read_upload(sent: &mut dyn BufRead) -> anyhow::Result<Option<Vec<u8>>> {
    let mut head = [0; 5];
    sent.read_exact(&mut head).context("the client ended before it had sent everything")?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    match kind {
        b'e' => Ok(None),
        b'p' if length <= MAX_UPLOAD_FRAME_BYTES => {
            let mut lines = vec![0; length];
            sent.read_exact(&mut lines).context("the client ended before it had sent everything")?;
            Ok(Some(lines))
        }
        _ => bail!("what the client sends is not understood"),
    }
}

fn read_answer(stream: UnixStream, out: &mut dyn Write) -> anyhow::Result<Outcome> {
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
            Some((b'2', message)) => Err(Usage(String::from_utf8_lossy(message).into_owned()).into()),
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
    let mut reader = BufReader::new(stream);
    reader.by_ref().take(MAX_REQUEST_BYTES).read_line(&mut line)?;
    let mut frames = Frames { stream, buffer: Vec::with_capacity(FRAME_BYTES) };
    let outcome = match serde_json::from_str(&line) {
        Ok(Request::Backfill { from_ms, to_ms }) => {
            stream.set_read_timeout(Some(UPLOAD_TIMEOUT))?;
            service.wait_until_ready();
            backfill::receive(store, TimeMs(from_ms), TimeMs(to_ms), &mut reader, &mut frames)
        }
        Ok(request) => work::answer(store, Some(service), &request, &mut frames),
        Err(error) => Err(anyhow::anyhow!("not a request: {error}")),
    };
    frames.flush()?;
    let exit = match outcome {
        Ok(Outcome::Done) => b"0".to_vec(),
        Ok(Outcome::Failed) => b"1".to_vec(),
        Err(error) => {
            let status = if error.is::<Usage>() { 2 } else { 1 };
            format!("{status}{error:#}").into_bytes()
        }
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
        write_frame(self.stream, kind, bytes)
    }
}

fn write_frame(mut stream: &UnixStream, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes();
    stream.write_all(&[kind, length[0], length[1], length[2], length[3]])?;
    stream.write_all(bytes)
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
