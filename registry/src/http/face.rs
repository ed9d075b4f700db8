//! The registry as its client sees it: as configured, or as the request and the proxies before us say.

use berth_config::Config;
use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;

/// The host that the client has asked for.
pub(crate) fn host(head: &Parts) -> &str {
    // HTTP/2 has the host in the target of the request.
    let authority = head.uri.authority().map(|authority| authority.as_str());
    text(&head.headers, HOST.as_str()).or(authority).unwrap_or_default()
}

/// The scheme and the host that the client has used.
pub(crate) fn origin(headers: &HeaderMap, host: &str, config: &Config) -> String {
    if let Some(url) = config.http.host.as_deref().filter(|url| !url.is_empty()) {
        return url.trim_end_matches('/').to_owned();
    }
    let first = |name| text(headers, name).and_then(|list| list.split(',').next()).map(str::trim);
    let ours = if config.http.tls.pair().is_some() { "https" } else { "http" };
    let scheme = first("x-forwarded-proto").unwrap_or(ours);
    format!("{scheme}://{}", first("x-forwarded-host").unwrap_or(host))
}

/// What the URLs of the API begin with.
pub(crate) fn base_url(headers: &HeaderMap, host: &str, config: &Config) -> String {
    format!("{}{}", origin(headers, host, config), config.http.path_prefix())
}

/// The value of a header, where there is one that is text.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}
