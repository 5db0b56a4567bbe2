//! Connections: how many, and how slow they may be.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::answer::Counted;
use super::{Limits, metric};

/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head, and of what is read ahead.
const BUFFER: usize = 32 << 10;
/// After a failed accept (no file descriptors, mostly).
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `ending` is cancelled, then waits for connections to finish what they have under way.
pub(super) async fn accept(listener: TcpListener, router: Router, limits: Limits, ending: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, _)) => Some((place, stream)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    None
                }
            }
        };
        let (place, stream) = tokio::select! {
            () = ending.cancelled() => break,
            next = next => match next {
                Some(next) => next,
                None => continue,
            },
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.read)
            .max_headers(MAX_HEADERS)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(patient(stream, limits.write)), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _held = (place, Counted::new(metric::CONNECTIONS));
            // What goes wrong with a connection is the client's affair.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// A connection that fails once the other side has taken nothing for so long.
fn patient(stream: TcpStream, write: Duration) -> std::pin::Pin<Box<TimeoutStream<TcpStream>>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send small pieces at once");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write));
    Box::pin(stream)
}
