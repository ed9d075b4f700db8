//! Checks of the `proxy` and `mirrors` sections.

use super::{Invalid, is_printable, is_url};
use crate::error::ConfigError;
use crate::{Cloud, Config, Mirror, Upstream};

pub(super) fn mirrors(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    if let Some(mirror) = config.proxy.as_mirror() {
        if !config.mirrors.is_empty() {
            return invalid(
                "proxy",
                "`mirrors` says what `proxy` says, and more: keep one of them".to_owned(),
            );
        }
        for upstream in &mirror.upstreams {
            credentials(upstream, "proxy", "exec", invalid)?;
            address(config, upstream, "proxy.remoteurl", invalid)?;
        }
    }
    for place in 0..config.mirrors.len() {
        mirror(config, place, invalid)?;
    }
    Ok(())
}

fn mirror(config: &Config, place: usize, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let mirror = &config.mirrors[place];
    let at = format!("mirrors.{place}");
    let before = &config.mirrors[..place];
    let same = |is_same: &dyn Fn(&Mirror) -> bool| before.iter().position(is_same);
    if let Some(other) = same(&|other| other.prefix == mirror.prefix) {
        let message = format!(
            "`mirrors[{other}]` is for `{}` already: put the upstreams of both into one",
            mirror.prefix
        );
        return invalid(&format!("{at}.prefix"), message);
    }
    if let Some(host) = &mirror.host {
        if host.is_empty() || host.contains('/') || !is_printable(host) {
            let message =
                "it is the name of a registry in references: write for example `docker.io`";
            return invalid(&format!("{at}.host"), message.to_owned());
        }
        if let Some(other) = same(&|other| other.host == mirror.host) {
            let message = format!("`mirrors[{other}]` stands for `{host}` already");
            return invalid(&format!("{at}.host"), message);
        }
    }
    if mirror.maxsize.is_some_and(|size| size.bytes() == 0) {
        return invalid(&format!("{at}.maxsize"), "it must be more than 0".to_owned());
    }
    if mirror.upstreams.is_empty() {
        let message = "it must name where the content comes from: `- url: https://…`".to_owned();
        return invalid(&format!("{at}.upstreams"), message);
    }
    for (place, upstream) in mirror.upstreams.iter().enumerate() {
        let at = format!("{at}.upstreams.{place}");
        credentials(upstream, &at, "helper", invalid)?;
        address(config, upstream, &format!("{at}.url"), invalid)?;
        limits(upstream, &at, invalid)?;
    }
    Ok(())
}

fn credentials(
    upstream: &Upstream,
    at: &str,
    helper: &str,
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    if upstream.username.is_some() != upstream.password.is_some() {
        let message = "a name goes with a password: set `username` and `password`, or neither";
        return invalid(&format!("{at}.username"), message.to_owned());
    }
    if upstream.username.is_some() && upstream.helper.is_some() {
        let message = "there is a `username` already: keep one of the two".to_owned();
        return invalid(&format!("{at}.{helper}"), message);
    }
    if let Some(cloud) = upstream.identity {
        if upstream.username.is_some() || upstream.helper.is_some() {
            let message = "there are credentials already: keep one of the two".to_owned();
            return invalid(&format!("{at}.identity"), message);
        }
        if !is_of_cloud(cloud, &upstream.url) && !is_loopback(&upstream.url) {
            let message = "that is no registry of this cloud, so it is not shown what the machine is known as there";
            return invalid(&format!("{at}.identity"), message.to_owned());
        }
    }
    if upstream.certificate.is_some() != upstream.key.is_some() {
        let message = "a certificate goes with its key: set `certificate` and `key`, or neither";
        return invalid(&format!("{at}.certificate"), message.to_owned());
    }
    let has_credentials =
        upstream.username.is_some() || upstream.helper.is_some() || upstream.identity.is_some();
    if has_credentials
        && !upstream.allowplainpassword
        && upstream.url.starts_with("http://")
        && !is_loopback(&upstream.url)
    {
        let message = "its password would cross the network in plain text: use https".to_owned();
        return invalid(&format!("{at}.username"), message);
    }
    Ok(())
}

fn address(
    config: &Config,
    upstream: &Upstream,
    key: &str,
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    let url = upstream.url.as_str();
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    if !is_url(&with_scheme) || with_scheme.contains('@') {
        return invalid(
            key,
            "it is not the URL of a registry: write for example `https://registry-1.docker.io`; a name and a password have keys of their own".to_owned(),
        );
    }
    let authority = authority(&with_scheme);
    let external = config.http.host.as_deref().map(self::authority);
    let ours = [Some(config.http.addr.as_str()), external];
    let ours = ours.into_iter().flatten().map(named).any(|ours| ours == named(authority));
    match ours {
        true => invalid(
            key,
            "that is this registry itself, which would ask itself for ever: name another one"
                .to_owned(),
        ),
        false => Ok(()),
    }
}

fn limits(upstream: &Upstream, at: &str, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let (timeouts, budget) = (&upstream.timeouts, &upstream.budget);
    for (key, zero) in [
        ("timeouts.connect", timeouts.connect.is_zero()),
        ("timeouts.answer", timeouts.answer.is_zero()),
        ("timeouts.stall", timeouts.stall.is_zero()),
        ("budget.window", budget.window.is_zero()),
        ("budget.bandwidth", budget.bandwidth.is_some_and(|bandwidth| bandwidth.bytes() == 0)),
        ("budget.concurrency", budget.concurrency == 0),
    ] {
        if zero {
            return invalid(&format!("{at}.{key}"), "it must be more than 0".to_owned());
        }
    }
    Ok(())
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The names of this machine are one.
fn named(authority: &str) -> String {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host = if matches!(host, "127.0.0.1" | "[::1]" | "") { "localhost" } else { host };
    format!("{host}:{port}")
}

/// Whether a registry belongs to a cloud, by its name.
fn is_of_cloud(cloud: Cloud, url: &str) -> bool {
    let host = authority(url).split(':').next().unwrap_or_default();
    let ends: &[&str] = match cloud {
        Cloud::Amazon => &[".amazonaws.com", ".amazonaws.com.cn"],
        Cloud::Azure => &[".azurecr.io", ".azurecr.cn", ".azurecr.us"],
        Cloud::Google => &[".pkg.dev", ".gcr.io"],
    };
    ends.iter().any(|end| host.ends_with(end)) || (cloud == Cloud::Google && host == "gcr.io")
}

fn is_loopback(url: &str) -> bool {
    let authority = authority(url);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
