//! Where probes may be sent. Endpoints are written into the registry by strangers; a worker must not become their hand inside
//! its operator's network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

/// The URL of `path` (as in `/v1/completions`) under an endpoint; `None` if it is not HTTP, names a user, or (unless `private` is allowed) an address
/// that is not public.
pub fn url(endpoint: &str, path: &str, private: bool) -> Option<Url> {
    let mut url = Url::parse(endpoint).ok()?;
    let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let literal = url.host_str()?.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if !plain || (!private && literal.is_some_and(|address| !is_public(address))) {
        return None;
    }
    let path = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// A client that follows no redirect and, unless `private` is allowed, connects to public addresses only, whatever a name
/// resolves to.
///
/// # Errors
/// When the system gives no client.
pub fn client(private: bool) -> Result<Client, reqwest::Error> {
    let builder = Client::builder().redirect(Policy::none()).no_proxy();
    if private { builder.build() } else { builder.dns_resolver(Arc::new(PublicOnly)).build() }
}

struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let reserved =
                first == 0 || first >= 240 || v4.octets()[..3] == [192, 0, 0] || (first == 198 && second & 0xfe == 18);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || shared
                || reserved)
        }
        IpAddr::V6(v6) => {
            let head = v6.segments()[0];
            // 2000::/3 is what is assigned; 6to4 and NAT64 lead back into IPv4.
            let embedded = match v6.segments() {
                [0x2002, high, low, ..] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
                _ => None,
            };
            head & 0xe000 == 0x2000
                && v6.segments()[..2] != [0x2001, 0x0db8]
                && embedded.is_none_or(|v4| is_public(IpAddr::V4(v4)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_inside_the_operators_network_are_not_probed() {
        for endpoint in [
            "http://127.0.0.1:80",
            "http://10.1.2.3",
            "http://169.254.169.254/latest",
            "http://[::1]:1",
            "http://[fe80::1]",
            "http://[::ffff:10.0.0.1]",
            "http://100.64.0.1",
            "http://0.0.0.0",
            "http://[2002:7f00:1::]",
            "file:///etc/passwd",
            "ftp://example.org",
            "http://user:word@example.org",
            "",
            "example.org",
            "http://2130706433",
        ] {
            assert_eq!(url(endpoint, "/v1/completions", false), None, "{endpoint}");
        }
    }

    #[test]
    fn a_path_in_front_is_kept_and_the_rest_dropped() {
        let found = url("https://example.org/node/?a=1#b", "/v1/completions", false).unwrap();
        assert_eq!(found.as_str(), "https://example.org/node/v1/completions");
        assert!(url("http://127.0.0.1:8080", "/v1/models", true).is_some());
    }
}
