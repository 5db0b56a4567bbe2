//! How much one client may ask for. Strangers are told apart by their address, validators and keepers by their signature;
//! what strangers do takes nothing from the others.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use alloy_primitives::Address;
use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use super::{Api, ApiConfig, Failure, auth};

/// Seconds of quiet that a client may make up for.
const BURST: u32 = 10;
/// What a costly read counts.
const COST: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Longest wait for a place among the costly reads.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time that one answer holds such a place.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);
/// Bytes of a large answer that are handed over at a time.
const PIECE: usize = 64 << 10;

type Rates<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote(pub(super) IpAddr);

/// Who sent a read, if it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody known.
    Stranger,
    /// A validator with stake.
    Validator,
    /// A keeper of the set.
    Keeper,
}

/// The meters of one server.
pub(super) struct Limits {
    addresses: Rates<IpAddr>,
    signatures: Rates<IpAddr>,
    signers: Rates<Address>,
    strangers_reads: Arc<Semaphore>,
    keepers_reads: Arc<Semaphore>,
    proxies: Vec<IpAddr>,
}

impl Limits {
    pub(super) fn new(config: &ApiConfig) -> Self {
        Self {
            addresses: rates(config.requests_per_address),
            signatures: rates(config.signatures_per_address),
            signers: rates(config.requests_per_signer),
            strangers_reads: Arc::new(Semaphore::new(config.costly_reads)),
            keepers_reads: Arc::new(Semaphore::new(config.costly_reads)),
            proxies: config.trusted_proxies.clone(),
        }
    }

    /// Forgets clients that have been quiet.
    pub(super) fn tidy(&self) {
        self.addresses.retain_recent();
        self.signatures.retain_recent();
        self.signers.retain_recent();
    }

    /// One more signed request of `signer`.
    pub(super) fn signer(&self, signer: Address) -> Result<(), Failure> {
        check(&self.signers, &signer, NonZeroU32::MIN, "K-LIMIT-2", "this signer sends too many requests")
    }

    /// The client's address: the last one that no trusted proxy has added.
    fn client(&self, request: &Request) -> IpAddr {
        let near = request.extensions().get::<Remote>().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |remote| remote.0);
        let near = near.to_canonical();
        if !self.proxies.contains(&near) {
            return network_of(near);
        }
        let far = forwarded_for(request.headers()).find(|address| !self.proxies.contains(address));
        network_of(far.unwrap_or(near))
    }
}

fn rates<K: Hash + Eq + Clone>(per_second: u32) -> Rates<K> {
    let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(BURST).map_or(per_second, |burst| per_second.saturating_mul(burst));
    RateLimiter::dashmap(Quota::per_second(per_second).allow_burst(burst))
}

fn check<K: Hash + Eq + Clone>(
    rates: &Rates<K>,
    key: &K,
    cost: NonZeroU32,
    code: &'static str,
    words: &str,
) -> Result<(), Failure> {
    let wait = match rates.check_key_n(key, cost) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(until)) => until.wait_time_from(DefaultClock::default().now()),
        Err(_) => Duration::from_secs(1),
    };
    let seconds = wait.as_secs() + 1;
    Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, code, format!("{words}; wait {seconds} s")).after(seconds))
}

/// From the proxy nearest to us outwards.
fn forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = IpAddr> {
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    let words: Vec<&str> = lines.into_iter().flat_map(|line| line.split(',')).collect();
    let addresses = words.into_iter().rev().map_while(|word| word.trim().parse::<IpAddr>().ok());
    addresses.map(|address| address.to_canonical()).collect::<Vec<_>>().into_iter()
}

/// Who has one IPv6 address has 2^64 of them.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.segments();
            IpAddr::V6(Ipv6Addr::new(network[0], network[1], network[2], network[3], 0, 0, 0, 0))
        }
    }
}

/// Lets a request in, or says when to come again.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match caller(&api, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

fn caller(api: &Api, request: &Request) -> Result<Caller, Failure> {
    let limits = &api.limits;
    if request.uri().path().starts_with("/health") {
        return Ok(Caller::Stranger);
    }
    let client = limits.client(request);
    let signed = auth::is_signed(request.headers());
    // The signature of a call on jobs covers its body, which is not here yet.
    let reads = request.method() == Method::GET;
    if signed && (reads || request.uri().path().starts_with("/v1/jobs/")) {
        check(
            &limits.signatures,
            &client,
            NonZeroU32::MIN,
            "K-LIMIT-1",
            "this address sends too many signed requests",
        )?;
        return if reads { auth::reader(api, request) } else { Ok(Caller::Validator) };
    }
    check(&limits.addresses, &client, NonZeroU32::MIN, "K-LIMIT-1", "this address sends too many requests")?;
    Ok(Caller::Stranger)
}

/// Lets few costly reads be answered at a time.
pub(super) async fn few(State(api): State<Api>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied().unwrap_or(Caller::Stranger);
    match place(&api.limits, caller, api.limits.client(&request)).await {
        Ok(place) => in_pieces(next.run(request).await, place).await,
        Err(failure) => failure.into_response(),
    }
}

async fn place(limits: &Limits, caller: Caller, client: IpAddr) -> Result<OwnedSemaphorePermit, Failure> {
    if caller == Caller::Stranger {
        check(&limits.addresses, &client, COST, "K-LIMIT-1", "this address sends too many costly requests")?;
    }
    let places = if caller == Caller::Keeper { &limits.keepers_reads } else { &limits.strangers_reads };
    let full = || {
        let words = "too many costly requests are being answered; wait 2 s";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "K-LIMIT-3", words).after(2)
    };
    timeout(PATIENCE, places.clone().acquire_owned()).await.map_err(|_| full())?.map_err(|_| full())
}

/// A large answer goes out piece by piece. Its place is given back when the last piece is taken, or after a minute: who reads
/// slowly holds up nobody.
async fn in_pieces(response: Response, place: OwnedSemaphorePermit) -> Response {
    let (mut parts, body) = response.into_parts();
    // Handlers answer from memory: this waits for nothing.
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let (taken, all_taken) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let _ = timeout(LONGEST_ANSWER, all_taken).await;
        drop(place);
    });
    let length = bytes.len();
    let pieces = stream::unfold((bytes, taken), |(mut rest, taken)| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(rest.len().min(PIECE));
        Some((Ok::<Bytes, std::convert::Infallible>(piece), (rest, taken)))
    });
    parts.headers.insert(axum::http::header::CONTENT_LENGTH, length.into());
    Response::from_parts(parts, axum::body::Body::from_stream(pieces))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    fn request(from: &str, forwarded: &[&str]) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Remote(from.parse().unwrap()));
        for line in forwarded {
            request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
        }
        request
    }

    #[test]
    fn only_trusted_proxies_are_believed_who_a_client_is() {
        let proxies = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let limits = Limits::new(&ApiConfig { trusted_proxies: proxies, ..ApiConfig::default() });
        for (from, forwarded, client) in [
            ("1.2.3.4", &["9.9.9.9"][..], "1.2.3.4"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["9.9.9.9"], "9.9.9.9"),
            ("::ffff:10.0.0.1", &["9.9.9.9"], "9.9.9.9"),
            // What the client itself wrote stands further left than what the proxy has seen.
            ("10.0.0.1", &["6.6.6.6, 9.9.9.9"], "9.9.9.9"),
            ("10.0.0.1", &["6.6.6.6", "9.9.9.9, 10.0.0.2"], "9.9.9.9"),
            ("10.0.0.1", &["6.6.6.6, nonsense"], "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", &[], "2001:db8:1:2::"),
        ] {
            let found = limits.client(&request(from, forwarded));
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{from} {forwarded:?}");
        }
    }

    #[tokio::test]
    async fn a_costly_answer_holds_its_place_until_it_is_taken() {
        let limits = Limits::new(&ApiConfig { costly_reads: 1, ..ApiConfig::default() });
        let client: IpAddr = "1.2.3.4".parse().unwrap();
        let held = place(&limits, Caller::Stranger, client).await.unwrap();
        let bytes = vec![7; 3 * PIECE + 1];
        let answer = in_pieces(bytes.clone().into_response(), held).await;
        assert!(place(&limits, Caller::Stranger, client).await.is_err(), "the only place is taken");
        assert!(place(&limits, Caller::Keeper, client).await.is_ok(), "keepers have their own");
        assert_eq!(to_bytes(answer.into_body(), usize::MAX).await.unwrap(), bytes);
        tokio::task::yield_now().await;
        assert!(place(&limits, Caller::Stranger, client).await.is_ok());
    }
}
