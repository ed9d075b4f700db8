//! Where a request really comes from, in the words of proxies that are trusted.

use std::net::IpAddr;

use berth_config::Config;
use http::HeaderMap;
use http::header::FORWARDED;

use super::ConnectionInfo;

/// The address of the client: the peer's, or, where the peer is a proxy that is trusted
/// (`http.trustedproxies`), the last one in its words that is none.
pub(crate) fn client(
    headers: &HeaderMap,
    connection: &ConnectionInfo,
    config: &Config,
) -> Option<IpAddr> {
    let is_trusted =
        |address: &IpAddr| config.http.trustedproxies.iter().any(|proxy| proxy.contains(*address));
    let peer = connection.ip.map(|ip| ip.to_canonical());
    // Whoever reaches a Unix socket is a proxy of this machine.
    if peer.as_ref().is_some_and(|peer| !is_trusted(peer)) {
        return peer;
    }
    let mut last = peer;
    for address in claimed(headers).into_iter().rev() {
        let Some(address) = address else { return last };
        last = Some(address);
        if !is_trusted(&address) {
            break;
        }
    }
    last
}

/// The addresses that proxies have written down, the first client first; `None` for what is no
/// address.
pub fn claimed(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = |name| {
        let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        texts.flat_map(|text| text.split(','))
    };
    let standard: Vec<_> = values(FORWARDED.as_str()).map(forwarded_for).collect();
    match standard.is_empty() {
        true => values("x-forwarded-for").map(address).collect(),
        false => standard,
    }
}

/// The `for` of an element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    address(named.next()?.1)
}

/// An address, with a port or without, in quotes or without.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let parsed = text
        .parse()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|with_port| with_port.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn client_of(peer: Option<&str>, trusted: &str, headers: &[(&str, &str)]) -> Option<String> {
        let config = format!("http: {{trustedproxies: [{trusted}]}}");
        let config = Config::parse(&config, []).unwrap().config;
        let connection = ConnectionInfo {
            remote: String::new(),
            ip: peer.map(|peer| peer.parse().unwrap()),
            secure: false,
            certificate: None,
            sendfile: None,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        client(&map, &Arc::new(connection), &config).map(|address| address.to_string())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let forged = [("x-forwarded-for", "1.2.3.4")];
        for (peer, trusted, headers, expected) in [
            (Some("9.9.9.9"), "", &forged[..], Some("9.9.9.9")),
            (Some("9.9.9.9"), "10.0.0.0/8", &forged, Some("9.9.9.9")),
            (Some("10.0.0.1"), "10.0.0.0/8", &forged, Some("1.2.3.4")),
            (Some("::ffff:10.0.0.1"), "10.0.0.0/8", &forged, Some("1.2.3.4")),
            (Some("10.0.0.1"), "10.0.0.0/8", &[], Some("10.0.0.1")),
            (None, "", &forged, Some("1.2.3.4")),
            (None, "", &[], None),
        ] {
            let found = client_of(peer, trusted, headers);
            assert_eq!(found.as_deref(), expected, "{peer:?} {trusted} {headers:?}");
        }
    }

    #[test]
    fn the_last_that_is_no_proxy_is_the_client() {
        let found = |headers: &[(&str, &str)]| client_of(Some("10.0.0.1"), "10.0.0.0/8", headers);
        for (name, value, expected) in [
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
            ("x-forwarded-for", "1.2.3.4:5678", "1.2.3.4"),
            ("x-forwarded-for", "[2001:db8::1]:5678", "2001:db8::1"),
            ("forwarded", "for=6.6.6.6, for=1.2.3.4;proto=https", "1.2.3.4"),
            ("forwarded", "proto=https;For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("forwarded", "for=_hidden", "10.0.0.1"),
            ("x-forwarded-for", "", "10.0.0.1"),
        ] {
            assert_eq!(found(&[(name, value)]).as_deref(), Some(expected), "{value}");
        }
        let both = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=1.2.3.4")];
        assert_eq!(found(&both).as_deref(), Some("1.2.3.4"));
        let two = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(found(&two).as_deref(), Some("1.2.3.4"));
    }
}
