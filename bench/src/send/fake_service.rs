//! A service for tests: answers each request as a function says, and remembers it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// What is said to a request.
pub(crate) enum Say {
    /// Status, further header lines, body.
    Answer(u16, &'static str, String),
    /// The connection breaks.
    Nothing,
}

/// A listening service; it lives as long as the test's runtime.
pub(crate) struct FakeService {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl FakeService {
    /// Answers the n-th request (from 0) as `say` decides.
    pub(crate) async fn start(say: impl Fn(usize, &Received) -> Say + Send + Sync + 'static) -> FakeService {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, say) = (received.clone(), Arc::new(say));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, say) = (log.clone(), say.clone());
                tokio::spawn(async move { serve(stream, &log, &*say).await });
            }
        });
        FakeService { url, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Received>>,
    say: &(impl Fn(usize, &Received) -> Say + Sync),
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let mut words = head.first()?.split(' ').map(str::to_owned);
        let headers: Vec<(String, String)> = head[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut request = Received { method: words.next()?, path: words.next()?, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body).await.ok()?;
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        match say(number, &request) {
            Say::Nothing => return None,
            Say::Answer(status, header_lines, body) => {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} So\r\n{header_lines}content-type: application/json\r\n\
                     content-length: {length}\r\n\r\n{body}"
                );
                stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
            }
        }
    }
}
