//! HTTP as the benchmarks speak it: requests prepared as bytes, answers read with as little work as possible.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::SystemTime;

use anyhow::Context;
use model::TimeMs;

/// What webhooks are signed with; the service under load is started with it.
pub(super) const SECRET: &str = "a secret for measuring";

/// A signed POST.
pub(super) fn request(path: &str, body: &[u8], now: TimeMs) -> Vec<u8> {
    let unix_s = now.0 / 1000;
    let signature = sources::signature::sign(SECRET.as_bytes(), unix_s, body);
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-Watchtower-Timestamp: {unix_s}\r\nX-Watchtower-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

pub(super) fn wall_clock() -> TimeMs {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    TimeMs(since_epoch.map_or(0, |d| d.as_millis() as i64))
}

/// Reads HTTP/1.1 answers that have a length.
pub(super) struct Answers {
    reader: BufReader<TcpStream>,
}

impl Answers {
    /// Of a connection whose other half writes.
    pub(super) fn of(stream: &TcpStream) -> std::io::Result<Answers> {
        Ok(Answers { reader: BufReader::with_capacity(4096, stream.try_clone()?) })
    }

    /// Waits for one answer: its status and its body.
    pub(super) fn next(&mut self) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status line")?;
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok((status, body))
    }
}
