//! One keep-alive HTTP/1.1 connection, opened when it is needed.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Answers larger than this are not what was asked for.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// How long an answer, or a connection, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of an unexpected answer is shown.
const SHOWN_CHARS: usize = 300;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    authority: String,
    host: String,
    port: u16,
}

impl Target {
    /// Reads `http://host:port`.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Target> {
        let uri: Uri =
            url.parse().with_context(|| format!("{url:?} is not a URL such as http://127.0.0.1:8090"))?;
        if uri.scheme_str() != Some("http") {
            bail!("{url:?} must begin with http://; for TLS, send through a proxy");
        }
        if !matches!(uri.path(), "" | "/") {
            bail!("{url:?} must not have a path; give only http://host:port");
        }
        let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
            bail!("{url:?} names no host; write http://host:port");
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Target { authority: authority.to_string(), host, port: uri.port_u16().unwrap_or(80) })
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

impl Answer {
    /// The status and the beginning of the body, for a message.
    pub(crate) fn summary(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(SHOWN_CHARS).collect();
        format!("{}: {}", self.status, text.trim())
    }
}

/// A connection; a failed request closes it, and the next one opens another.
pub(crate) struct Client {
    target: Target,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(target: Target) -> Client {
        Client { target, open: None }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.target.authority)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request =
            request.body(Full::new(body)).context("the request cannot be written; check the path")?;
        // Only a connection whose answer was read to its end is used again.
        let kept = self.open.take();
        let (answer, open) =
            tokio::time::timeout(PATIENCE, exchange(&self.target, kept, request))
                .await
                .with_context(|| format!("no answer from {} within {PATIENCE:?}", self.target.authority))??;
        self.open = Some(open);
        Ok(answer)
    }
}

async fn exchange(
    target: &Target,
    kept: Option<SendRequest<Full<Bytes>>>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(Answer, SendRequest<Full<Bytes>>)> {
    let mut open = match kept {
        Some(open) if !open.is_closed() => open,
        _ => connect(target).await?,
    };
    open.ready().await.with_context(|| format!("the connection to {} was closed", target.authority))?;
    let response = open
        .send_request(request)
        .await
        .with_context(|| format!("the connection to {} broke", target.authority))?;
    let (head, body) = response.into_parts();
    let retry_after = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
        .map(Duration::from_secs);
    let collected = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = match collected {
        Ok(collected) => collected.to_bytes(),
        Err(error) => bail!("the answer of {} could not be read: {error}", target.authority),
    };
    Ok((Answer { status: head.status, retry_after, body }, open))
}

async fn connect(target: &Target) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .with_context(|| format!("cannot connect to {}; is the service running?", target.authority))?;
    stream.set_nodelay(true).context("cannot configure the connection")?;
    let (open, connection) = handshake(TokioIo::new(stream)).await.context("no HTTP/1.1 connection")?;
    // Ends with the connection; what goes wrong is told to whoever waits for an answer.
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_plain_http_without_a_path() {
        let target = Target::parse("http://[::1]:8090").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 8090));
        assert_eq!(Target::parse("http://localhost/").unwrap().port, 80);
        for wrong in ["https://localhost", "localhost:8090", "http://localhost/api", "", "http://"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
