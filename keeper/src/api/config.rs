//! The section `[api]` of the configuration.

use std::{net::IpAddr, path::PathBuf};

use serde::Deserialize;

/// What clients of the API may do, and how it is encrypted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Open connections of one address (IPv6: of one /64); more are closed at once.
    pub connections_per_address: usize,
    /// Seconds within which a request's head must come; a connection that is idle for so long is closed.
    pub head_timeout_s: u64,
    /// Seconds within which a request's body must come.
    pub body_timeout_s: u64,
    /// A client that takes nothing of its answer for so many seconds is disconnected.
    pub write_timeout_s: u64,
    /// Unsigned requests that one address may send per second, over ten seconds. A costly one counts ten times.
    pub requests_per_address: u32,
    /// Signed requests that one validator or keeper may send per second, over ten seconds.
    pub requests_per_signer: u32,
    /// Signatures that are checked for one address per second, over ten seconds, whoever they claim to be from.
    pub signatures_per_address: u32,
    /// Costly reads (bundles, lists of rows, batches of proofs) answered at once; keepers of the set have as many for themselves.
    pub costly_reads: usize,
    /// Addresses of proxies in front of this keeper: what they say in `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Certificate and key; plain HTTP if left out.
    pub tls: Option<TlsConfig>,
}

/// TLS. Both files are PEM and are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, and those between it and the root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            connections: 8_192,
            connections_per_address: 1_024,
            head_timeout_s: 10,
            body_timeout_s: 10,
            write_timeout_s: 30,
            requests_per_address: 100,
            requests_per_signer: 50,
            signatures_per_address: 500,
            costly_reads: 8,
            trusted_proxies: Vec::new(),
            tls: None,
        }
    }
}

impl ApiConfig {
    /// Every number with its key and the range it must be in: (key, value, lowest, highest).
    pub fn ranges(&self) -> [(&'static str, u64, u64, u64); 9] {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        [
            ("api.connections", count(self.connections), 1, 1_000_000),
            ("api.connections_per_address", count(self.connections_per_address), 1, 1_000_000),
            ("api.head_timeout_s", self.head_timeout_s, 1, 3_600),
            ("api.body_timeout_s", self.body_timeout_s, 1, 3_600),
            ("api.write_timeout_s", self.write_timeout_s, 1, 3_600),
            ("api.requests_per_address", u64::from(self.requests_per_address), 1, 1_000_000),
            ("api.requests_per_signer", u64::from(self.requests_per_signer), 1, 1_000_000),
            ("api.signatures_per_address", u64::from(self.signatures_per_address), 1, 1_000_000),
            ("api.costly_reads", count(self.costly_reads), 1, 10_000),
        ]
    }
}
