//! Connections: how many, how slow they may be, and encrypted if so configured.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use metrics::{counter, gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::{
    ApiConfig,
    limits::{Remote, network_of},
    tls::Tls,
};
use crate::telemetry;

/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head, and of what is read ahead.
const BUFFER: usize = 32 << 10;
/// After a failed accept (no file descriptors, mostly).
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop` is cancelled, then waits for connections to finish what they have under way.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    config: Arc<ApiConfig>,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(config.connections));
    let guests = Arc::new(Guests::default());
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, from)) => Some((place, stream, from.ip())),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    None
                }
            }
        };
        let (place, stream, from) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => match next {
                Some(next) => next,
                None => continue,
            },
        };
        // A trusted proxy speaks for many.
        let limit = if config.trusted_proxies.contains(&from.to_canonical()) {
            usize::MAX
        } else {
            config.connections_per_address
        };
        let Some(guest) = Guests::enter(&guests, network_of(from), limit) else {
            counter!(telemetry::REFUSED_CONNECTIONS, "reason" => "address").increment(1);
            continue;
        };
        let (router, config, tls, watcher) = (router.clone(), config.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _held = (place, guest);
            serve(stream, from, router, &config, tls.as_deref(), watcher).await;
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn serve(
    stream: TcpStream,
    from: IpAddr,
    router: Router,
    config: &ApiConfig,
    tls: Option<&Tls>,
    watcher: Watcher,
) {
    let head = Duration::from_secs(config.head_timeout_s);
    let stream = patient(stream, Duration::from_secs(config.write_timeout_s));
    let wire: Box<dyn Wire> = match tls {
        None => Box::new(stream),
        Some(tls) => match timeout(head, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => Box::new(stream),
            other => {
                counter!(telemetry::REFUSED_CONNECTIONS, "reason" => "tls").increment(1);
                return tracing::debug!(fault = ?other.map(|result| result.err()), "no TLS session");
            }
        },
    };
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Remote(from));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(wire), service);
    // What goes wrong with a connection is the client's affair.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended");
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that fails once the other side has taken nothing for so long.
fn patient(stream: TcpStream, write: Duration) -> std::pin::Pin<Box<TimeoutStream<TcpStream>>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send small pieces at once");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write));
    Box::pin(stream)
}

/// Open connections by network.
#[derive(Default)]
struct Guests(Mutex<HashMap<IpAddr, usize>>);

struct Guest {
    guests: Arc<Guests>,
    network: IpAddr,
}

impl Guests {
    fn enter(guests: &Arc<Self>, network: IpAddr, limit: usize) -> Option<Guest> {
        let mut open = guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        gauge!(telemetry::CONNECTIONS).increment(1.0);
        Some(Guest { guests: guests.clone(), network })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
        gauge!(telemetry::CONNECTIONS).decrement(1.0);
    }
}
