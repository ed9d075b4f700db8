//! What the drivers of remote stores make of the settings that they have in common.

use std::fs;
use std::time::Duration;

use berth_config::{ByteSize, Remote};
use http::HeaderValue;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::OpenError;
use crate::objects::Parts;
use crate::transport::{self, Transport};

/// What stays as it is in a path: the slashes too.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where machines and pods ask for credentials: Amazon's, which Azure and Google have too, those of
/// its containers and pods, and Aliyun's. No proxy leads there.
const METADATA_SERVICES: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,\
    fd00:ec2::23,metadata.google.internal,100.100.100.200";

/// How long a request is tried again. Clients give up on us when it is long, and try again
/// themselves when it is short.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const RETRIES: usize = 5;

/// What stays as it is in a query (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the store is connected to.
pub(crate) fn transport(
    common: &Remote<'_>,
    user_agent: Option<&str>,
) -> Result<Transport, OpenError> {
    let key = |name: &str| format!("storage.{}.{name}", common.name);
    let agent = user_agent.unwrap_or(concat!("berth/", env!("CARGO_PKG_VERSION")));
    let agent = HeaderValue::try_from(agent)
        .map_err(|error| OpenError::settings(&key("useragent"), error))?;
    let settings = transport::Settings {
        user_agent: agent.clone(),
        connect_timeout: CONNECT_TIMEOUT,
        read_timeout: common.timeout.get(),
        is_proxied: common.proxy.is_some(),
        part: common.chunksize.bytes(),
    };
    let mut options = ClientOptions::new()
        .with_user_agent(agent)
        .with_allow_http(true)
        // A body may take as long as it needs, as long as it moves.
        .with_timeout_disabled()
        .with_connect_timeout(settings.connect_timeout)
        .with_allow_invalid_certificates(common.skipverify);
    if let Some(path) = common.ca {
        let wrong = |error: &dyn std::fmt::Display| {
            OpenError::settings(&key("ca"), format!("{}: {error}", path.display()))
        };
        let pem = fs::read(path).map_err(|error| wrong(&error))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
        if certificates.is_empty() {
            return Err(wrong(&"there is no certificate in it"));
        }
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    if let Some(proxy) = common.proxy {
        options = options.with_proxy_url(proxy.expose()).with_proxy_excludes(METADATA_SERVICES);
    }
    Ok(Transport::new(options, &settings))
}

/// Failed requests are tried again after growing, random pauses.
pub(crate) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// How uploads are cut: one of the configured parts is the buffer that is being filled, the others
/// are on their way.
pub(crate) fn parts(common: &Remote<'_>, smallest: usize, limit: usize) -> Parts {
    Parts {
        size: bytes(common.chunksize).max(smallest),
        smallest,
        parallel: (common.parallelparts as usize).saturating_sub(1).max(1),
        limit,
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.bytes()).unwrap_or(usize::MAX)
}

/// A variable of the environment; an empty one is none.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folder that everything is in, without slashes at its ends.
pub(crate) fn root(directory: Option<&str>) -> String {
    directory.unwrap_or_default().trim_matches('/').to_owned()
}

/// A key below the folder that everything is in.
pub(crate) fn join(root: &str, key: &str) -> String {
    match root.is_empty() {
        true => key.to_owned(),
        false => format!("{root}/{key}"),
    }
}

/// A whole key without the folder that everything is in; `None` when it is not in there.
pub(crate) fn without_root<'k>(root: &str, whole: &'k str) -> Option<&'k str> {
    Some(whole.strip_prefix(root)?.trim_start_matches('/'))
}

/// A key as it stands in the path of a URL.
pub(crate) fn path_encoded(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// A text as it stands in the query of a URL.
pub(crate) fn query_encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}
