//! Work in the background, a little of each kind at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::problem::Problem;

/// Places for work of one kind that holds megabytes or reads much. Kinds do not wait for each other: slow
/// reads must not hold up what comes in.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// So many pieces of work at a time.
    pub fn new(at_a_time: usize) -> Turns {
        Turns(Arc::new(Semaphore::new(at_a_time)))
    }

    /// Runs work where it holds up nobody, once it is its turn.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.0.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Problem::unavailable("the service is stopping", 5))?;
        run_aside(move || {
            // Held until the work is over, also where nobody waits for it any more: who asks and goes, again
            // and again, must not have more of it done at a time.
            let _turn = turn;
            work()
        })
        .await
    }
}

/// Runs work that may wait for the disk where it holds up nobody.
pub(crate) async fn run_aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|err| Problem::internal(format!("work in the background failed: {err}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use journal::{Log, Options, Store};
    use tokio::sync::watch;
    use tower_service::Service;

    use super::*;
    use crate::http::{HEAVY_WORK, Shared, router_of};
    use crate::{Api, ApiConfig, Views};

    /// Long enough for what may happen to happen.
    const A_WHILE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_place() {
        let turns = Turns::new(2);
        let mut endings = Vec::new();
        for _ in 0..2 {
            let (end, ended) = mpsc::channel::<()>();
            let (begin, begun) = tokio::sync::oneshot::channel();
            let turns = turns.clone();
            let asking = tokio::spawn(async move {
                turns
                    .run(move || {
                        let _ = begin.send(());
                        ended.recv()
                    })
                    .await
                    .map(drop)
            });
            begun.await.unwrap();
            asking.abort();
            assert!(asking.await.unwrap_err().is_cancelled());
            endings.push(end);
        }
        let next = turns.run(|| "its turn");
        tokio::pin!(next);
        assert!(tokio::time::timeout(A_WHILE, &mut next).await.is_err(), "both places are taken");
        drop(endings.pop());
        assert_eq!(next.await.unwrap(), "its turn");
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn slow_reads_hold_up_reads_and_nothing_that_comes_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let _ticks = store.log().start().unwrap();
        let views = Arc::new(Views::new(1000));
        views.set_ready();
        let api = Api {
            log: Arc::new(store.log()),
            changelog: store.changelog(),
            dead_letters: store.dead_letters(),
            views,
            explain: None,
            sinks: Vec::new(),
            postgis: None,
            kafka_input: None,
            config: ApiConfig::default(),
        };
        let (_stop, stopping) = watch::channel(false);
        let shared = Shared::new(api, stopping, false);
        let mut routes = router_of(shared.clone());
        let mut send = |request: Request<Body>| {
            let answer = routes.call(request);
            async move { answer.await.unwrap().status() }
        };
        let get = |path: &str| {
            let request = Request::get(path).header("host", "localhost");
            request.body(Body::empty()).unwrap()
        };

        let places = u32::try_from(HEAVY_WORK).unwrap();
        let slow_reads = shared.reads.0.clone().acquire_many_owned(places).await.unwrap();
        let visit = "/api/v1/visits/00000000000000ff";
        let history = format!("{visit}/history");
        let reads = ["/api/v1/rejects", "/api/v1/dead-letters", visit, &history];
        for path in reads {
            assert!(tokio::time::timeout(A_WHILE, send(get(path))).await.is_err(), "{path} takes no turn");
        }
        let record = "{\"type\":\"position\",\"vehicle_id\":\"T1\",\
            \"event_time\":\"2026-01-05T00:00:00Z\",\"lon\":3.4,\"lat\":6.5}\n";
        let many_records = record.repeat(1000);
        for (encoding, body) in [("gzip", gzip(&many_records)), ("identity", many_records.into_bytes())] {
            let request = Request::post("/api/v1/records").header("host", "localhost");
            let request = request.header("content-encoding", encoding).header("content-length", body.len());
            assert_eq!(send(request.body(body.into()).unwrap()).await, StatusCode::OK);
        }
        drop(slow_reads);
        assert_eq!(send(get(reads[0])).await, StatusCode::OK);
        store.log().stop();
    }
}
