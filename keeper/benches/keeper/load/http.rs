//! A client that costs little: one connection, kept alive, one request after the other.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, task::JoinSet};

/// A connection.
pub(crate) struct Line(SendRequest<Body>);

impl Line {
    pub(crate) async fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> (StatusCode, Bytes) {
        self.0.ready().await.unwrap();
        let answer = self.0.send_request(request).await.unwrap();
        let status = answer.status();
        (status, to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap())
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::builder().uri(path).header(HOST, "keeper").body(Body::empty()).unwrap()
}

pub(crate) fn post(path: &str, json: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(Method::POST).uri(path).header(HOST, "keeper");
    request.header(CONTENT_TYPE, "application/json").body(json.into()).unwrap()
}

/// What became of many requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flood {
    pub(crate) answered: usize,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// What was wrong first, if anything was.
    pub(crate) wrong: Option<String>,
}

/// Sends request after request over so many connections, until `next` has no more.
pub(crate) async fn flood(
    server: SocketAddr,
    connections: usize,
    next: impl Fn(usize) -> Option<Request<Body>> + Send + Sync + 'static,
    check: impl Fn(usize, StatusCode, &Bytes) -> Result<(), String> + Send + Sync + 'static,
) -> Flood {
    let (shared, turn) = (Arc::new((next, check)), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let (shared, turn) = (shared.clone(), turn.clone());
        clients.spawn(async move {
            let (next, check) = &*shared;
            let (mut line, mut waits, mut wrong) = (Line::open(server).await, Vec::new(), None);
            loop {
                let number = turn.fetch_add(1, Ordering::Relaxed);
                let Some(request) = next(number) else { return (waits, wrong) };
                let sent = Instant::now();
                let (status, body) = line.send(request).await;
                waits.push(sent.elapsed());
                if let Err(words) = check(number, status, &body) {
                    wrong.get_or_insert(words);
                }
            }
        });
    }
    let (mut waits, mut wrong): (Vec<Duration>, _) = (Vec::new(), None);
    while let Some(client) = clients.join_next().await {
        let (of_client, fault) = client.unwrap();
        waits.extend(of_client);
        wrong = wrong.or(fault);
    }
    let seconds = started.elapsed().as_secs_f64();
    waits.sort_unstable();
    let at = |share: f64| {
        let place = ((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1));
        waits.get(place).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    Flood { answered: waits.len(), seconds, p50_ms: at(0.5), p99_ms: at(0.99), wrong }
}
