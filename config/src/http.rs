//! The `http` section.

mod rates;
mod tls;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Cidr, GoDuration, Secret};

pub use rates::Rates;
pub use tls::{CipherSuite, ClientAuth, Tls, TlsVersion};

/// How the registry listens and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The address to listen on: `host:port`, or the path of a socket when `net` is `unix`. `:5000` is every
    /// interface, and port 0 is any free port. An address that is not loopback needs `http.tls` or `http.allowinsecure`.
    pub addr: String,
    /// The kind of address.
    pub net: Network,
    /// The external URL of the registry, as clients see it: `https://registry.example.org`. With it, `Location`
    /// headers hold this URL. Without it they are relative, which is right behind every proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path under which a proxy forwards requests, with a slash before and after: `/registry/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Whether `Location` headers are relative even though `http.host` is set. Without `http.host` they always are.
    pub relativeurls: bool,
    /// How long a stop waits for requests in flight.
    pub draintimeout: GoDuration,
    /// Networks whose proxies are believed when they say who a client is (`Forwarded`, `X-Forwarded-For`). Nobody else is.
    #[schemars(extend("x-berth-reload" = true))]
    pub trustedproxies: Vec<Cidr>,
    /// Whether an address that others can reach may be served without TLS and without authentication.
    pub allowinsecure: bool,
    /// Headers added to every answer, as `name: [value, ...]`.
    #[schemars(extend("x-berth-reload" = true))]
    pub headers: BTreeMap<String, Vec<String>>,
    /// Limits on what a client may ask of the server.
    #[schemars(extend("x-berth-reload" = true))]
    pub limits: Limits,
    /// The listener for metrics and health.
    pub debug: DebugListener,
    /// HTTP/2.
    pub http2: Http2,
    /// HTTP/2 without TLS.
    pub h2c: H2c,
    /// The key that signs upload state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-ignored" = "upload sessions are in SQL, so replicas need no shared secret"))]
    pub secret: Option<Secret>,
    /// HTTPS.
    pub tls: Tls,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:5000".to_owned(),
            net: Network::Tcp,
            host: None,
            prefix: None,
            relativeurls: false,
            draintimeout: GoDuration::from_secs(60),
            trustedproxies: Vec::new(),
            allowinsecure: false,
            headers: BTreeMap::new(),
            limits: Limits::default(),
            debug: DebugListener::default(),
            http2: Http2::default(),
            h2c: H2c::default(),
            secret: None,
            tls: Tls::default(),
        }
    }
}

impl Http {
    /// Where to listen. It cannot fail on a configuration that [`Config::load`](crate::Config::load) returned.
    ///
    /// # Errors
    /// Says what is wrong with `http.addr`.
    pub fn listen(&self) -> Result<Listen, String> {
        match self.net {
            Network::Unix if self.addr.is_empty() => {
                Err("`net: unix` needs the path of a socket".to_owned())
            }
            Network::Unix => Ok(Listen::Unix(PathBuf::from(&self.addr))),
            Network::Tcp => Listen::tcp(&self.addr),
        }
    }

    /// The URL that `Location` headers start with, without a slash at the end; `None` when they are relative.
    pub fn external_url(&self) -> Option<&str> {
        let host = self.host.as_deref().filter(|host| !host.is_empty())?;
        (!self.relativeurls).then(|| host.trim_end_matches('/'))
    }

    /// The prefix of every path of the API, without a slash at the end; empty when there is none. `/healthz` and the
    /// like stay where they are.
    pub fn path_prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default().trim_end_matches('/')
    }
}

/// The kinds of address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// `host:port`.
    #[default]
    Tcp,
    /// The path of a Unix domain socket.
    Unix,
}

/// A parsed address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A host and a port. No host means every interface, IPv4 and IPv6.
    Tcp {
        /// An address or a name; an IPv6 address stands without brackets.
        host: Option<String>,
        /// The port; 0 is any free one.
        port: u16,
    },
    /// A Unix domain socket.
    Unix(PathBuf),
}

impl Listen {
    /// Parses `:5000`, `127.0.0.1:5000`, `[::1]:5000` or `localhost:5000`.
    ///
    /// # Errors
    /// Says what is wrong, and what an address looks like.
    pub fn tcp(addr: &str) -> Result<Self, String> {
        parse_tcp(addr).ok_or_else(|| {
            format!("`{addr}` is not an address: write `host:port`, for example `127.0.0.1:5000`, `[::1]:5000` or `:5000`")
        })
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host: None, .. } => false,
            Self::Tcp { host: Some(host), .. } => {
                host.eq_ignore_ascii_case("localhost")
                    || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }
}

fn parse_tcp(addr: &str) -> Option<Listen> {
    let (host, port) = addr.rsplit_once(':')?;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok()?;
    if host.is_empty() {
        return Some(Listen::Tcp { host: None, port });
    }
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) if host.contains(':') && host.parse::<IpAddr>().is_ok() => host,
        Some(_) => return None,
        None => host,
    };
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    (is_name || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() && addr.starts_with('[')))
        .then(|| Listen::Tcp { host: Some(host.to_owned()), port })
}

/// Limits on what a client may ask of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest manifest that can be pushed; a larger one is answered with 413.
    pub manifestsize: ByteSize,
    /// How long a client may take for the handshake of TLS.
    pub handshaketimeout: GoDuration,
    /// How long a client may take to send the head of a request.
    pub headertimeout: GoDuration,
    /// How long a request body may rest without a single byte.
    pub bodytimeout: GoDuration,
    /// How long a connection may stay open between two requests. Longer than clients keep theirs, so that it is they
    /// who close.
    pub idletimeout: GoDuration,
    /// Connections served at a time; more wait to be accepted.
    pub connections: u32,
    /// What one caller may take: an account, or an address of those who have not said who they are.
    pub caller: Rates,
    /// What all callers together may take of one repository.
    pub repository: Rates,
    /// Memory for the bytes of all uploads in flight; uploads slow down when it is used up.
    pub uploadmemory: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifestsize: ByteSize::from_mib(4),
            handshaketimeout: GoDuration::from_secs(10),
            headertimeout: GoDuration::from_secs(30),
            bodytimeout: GoDuration::from_secs(60),
            idletimeout: GoDuration::from_secs(180),
            connections: 16384,
            caller: Rates::default(),
            repository: Rates::default(),
            uploadmemory: ByteSize::from_mib(24),
        }
    }
}

/// The listener for metrics and health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DebugListener {
    /// The address to listen on, `host:port`. Without it there is no such listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    /// Metrics in the Prometheus format.
    pub prometheus: Prometheus,
}

/// Metrics in the Prometheus format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Whether metrics are served.
    pub enabled: bool,
    /// The path they are served under.
    pub path: String,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { enabled: false, path: "/metrics".to_owned() }
    }
}

/// HTTP/2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http2 {
    /// Whether HTTP/2 is off.
    pub disabled: bool,
}

/// HTTP/2 without TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct H2c {
    /// Whether HTTP/2 is spoken to clients that start with it on a connection without TLS.
    pub enabled: bool,
}
