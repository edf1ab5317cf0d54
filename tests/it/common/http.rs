//! A small blocking HTTP client: one connection that is kept alive, and server-sent events.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing that a test asks for takes so long; a stream of events shows a sign of life more often.
const PATIENCE: Duration = Duration::from_secs(40);

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON: {e}: {self:?}"))
    }

    /// A header's value, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A connection that is kept alive.
pub struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client { reader: BufReader::new(stream) })
    }

    /// The port that the other side sees.
    pub fn local_port(&self) -> u16 {
        self.reader.get_ref().local_addr().expect("a connected socket").port()
    }

    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if method != "GET" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.reader.get_mut().write_all(&bytes)?;
        let (status, headers) = read_head(&mut self.reader)?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            while read_chunk(&mut self.reader, &mut answer.body)? {}
        } else {
            let length = answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            answer.body.resize(length, 0);
            self.reader.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, &[], b"")
    }

    /// Posts records; the kind of body is told from its first byte.
    pub fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        self.send("POST", path, &[("Content-Type", content_type(path, body))], body)
    }

    pub fn post_gzip(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        let headers = [("Content-Type", content_type(path, body)), ("Content-Encoding", "gzip")];
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(body)?;
        self.send("POST", path, &headers, &packed.finish()?)
    }
}

fn content_type(path: &str, body: &[u8]) -> &'static str {
    let is_ndjson = body.first() != Some(&b'[') && path.ends_with("/records");
    if is_ndjson { "application/x-ndjson" } else { "application/json" }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut short")
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(cut_short());
    }
    Ok(line.trim_end().to_owned())
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = read_line(reader)?;
    let status = first.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Ok((status, headers)) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// Appends the next chunk; `false` at the end of the body.
fn read_chunk(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let line = read_line(reader)?;
    let size = usize::from_str_radix(&line, 16).map_err(|e| io::Error::other(format!("{line:?}: {e}")))?;
    let start = body.len();
    body.resize(start + size, 0);
    reader.read_exact(&mut body[start..])?;
    read_line(reader)?;
    Ok(size > 0)
}

/// A server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: String,
}

/// The stream of `/api/v1/changes`.
pub struct Events {
    reader: BufReader<TcpStream>,
    /// What has come of the next event.
    pending: Vec<u8>,
}

impl Events {
    /// Follows after an event's id. A status that is not 200 is an error of the kind `Other`.
    pub fn follow(address: SocketAddr, last_event_id: &str) -> io::Result<Events> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(stream);
        let request = format!(
            "GET /api/v1/changes HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
             Last-Event-ID: {last_event_id}\r\n\r\n"
        );
        reader.get_mut().write_all(request.as_bytes())?;
        let (status, headers) = read_head(&mut reader)?;
        if status != 200 {
            return Err(io::Error::other(format!("following after {last_event_id}: {status} {headers:?}")));
        }
        Ok(Events { reader, pending: Vec::new() })
    }

    /// The next event that is whole; `None` when the service ended the stream. Comments are passed over.
    pub fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.pending.drain(..end + 2).collect();
                let text = String::from_utf8(block).map_err(io::Error::other)?;
                if let Some(event) = parse_event(&text) {
                    return Ok(Some(event));
                }
            } else if !read_chunk(&mut self.reader, &mut self.pending)? {
                return Ok(None);
            }
        }
    }
}

fn parse_event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        block.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
    };
    Some(Event { id: field("id")?, name: field("event")?, data: field("data")? })
}
