//! Serving connections: how many, how slow they may be, and an orderly end.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::Api;
use crate::http::{Shared, router_of};

/// How long requests that are in work at the stop may take to end.
const DRAIN: Duration = Duration::from_secs(10);
/// The longest head of a request, and how much of a body is read ahead.
const CONNECTION_BUFFER_BYTES: usize = 64 << 10;
/// How long to wait when no connection can be accepted, as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is done, then ends endless answers and waits for those in work.
pub async fn serve(listener: TcpListener, api: Api, stop: impl Future) -> io::Result<()> {
    let reachable_from_elsewhere = !listener.local_addr()?.ip().is_loopback();
    let (stopping, is_stopping) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(api.config.max_connections));
    let mut connections = http1::Builder::new();
    connections
        .timer(TokioTimer::new())
        .header_read_timeout(api.config.header_read_timeout)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .pipeline_flush(true);
    let service =
        TowerToHyperService::new(router_of(Shared::new(api, is_stopping, reachable_from_elsewhere)));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            _ = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else { break };
        let connection = connections.serve_connection(TokioIo::new(stream), service.clone());
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(err) = watched.await {
                tracing::debug!(error = %err, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in work {} s after the stop, and are cut off", DRAIN.as_secs());
    }
    Ok(())
}

/// The next connection, once there is a slot for it. `None`: there are no slots any more.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small, and are not to wait for more.
                if let Err(err) = stream.set_nodelay(true) {
                    tracing::debug!(error = %err, "a connection ended at once");
                }
                return Some((stream, slot));
            }
            Err(err) => {
                tracing::warn!(error = %err, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
