//! Checks beyond types: unknown keys, sections that cannot be honoured, values that do not go together.

mod auth;
mod mirror;
mod notifications;
mod policy;
mod section;
mod storage;
mod tls;

use yaml_serde::Value;

use crate::error::ConfigError;
use crate::load::Source;
use crate::path::{KeyPath, Step};
use crate::root::VERSION;
use crate::schema::{self, Kind, Node};
use crate::{Config, Driver, Listen, Network, driver};

/// Every key must be known, and none may ask for what this build cannot do.
pub(crate) fn keys(value: &Value, source: &Source<'_>) -> Result<(), ConfigError> {
    below(schema::tree(), value, &KeyPath::default(), source)
}

fn below(
    node: &Node,
    value: &Value,
    path: &KeyPath,
    source: &Source<'_>,
) -> Result<(), ConfigError> {
    if let Some(message) = &node.refused
        && !is_empty(value)
    {
        return Err(ConfigError::NotInThisBuild {
            at: source.at(path),
            key: path.to_string(),
            message: message.clone(),
        });
    }
    if let Err(message) = fits(node, value) {
        return Err(source.invalid(path, &message));
    }
    match (&node.kind, value) {
        (Kind::Section(_), Value::Mapping(mapping)) => {
            for (key, value) in mapping {
                let name = key.as_str().unwrap_or_default();
                match node.child(name) {
                    Some(child) => below(child, value, &path.key(name), source)?,
                    None => return Err(unknown(node, name, &path.key(name), source)),
                }
            }
        }
        (Kind::List(item), Value::Sequence(values)) => {
            for (index, value) in values.iter().enumerate() {
                below(item, value, &path.with(Step::Index(index)), source)?;
            }
        }
        (Kind::Map(item), Value::Mapping(mapping)) => {
            for (key, value) in mapping {
                below(item, value, &path.key(key.as_str().unwrap_or_default()), source)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a value is of the kind that is wanted, in words for people. Ranges and formats are left to the types.
fn fits(node: &Node, value: &Value) -> Result<(), String> {
    match (&node.kind, value) {
        (Kind::Any, _) | (Kind::Bool, Value::Bool(_)) | (Kind::Integer, Value::Number(_)) => Ok(()),
        (Kind::Section(_) | Kind::Map(_), Value::Mapping(_))
        | (Kind::List(_), Value::Sequence(_)) => Ok(()),
        (Kind::Text, Value::String(text)) => fits_choices(node, text),
        (Kind::Text, _) => Err("it must be a single text".to_owned()),
        (Kind::Bool, _) => Err("it must be `true` or `false`".to_owned()),
        (Kind::Integer, _) => Err("it must be a whole number".to_owned()),
        (Kind::Section(_) | Kind::Map(_), _) => {
            Err("it must be a section with keys of its own".to_owned())
        }
        (Kind::List(_), _) => Err("it must be a list, for example `[a, b]`".to_owned()),
    }
}

fn fits_choices(node: &Node, text: &str) -> Result<(), String> {
    if node.choices.is_empty() || node.choices.iter().any(|choice| choice.value == text) {
        return Ok(());
    }
    let choices =
        node.choices.iter().map(|choice| format!("`{}`", choice.value)).collect::<Vec<_>>();
    let choices = choices.join(", ");
    match node.refused_choices.iter().find(|refused| refused.value == text) {
        Some(refused) => {
            Err(format!("`{text}` is refused, {}: write one of {choices}", refused.description))
        }
        None => Err(format!("`{text}` is none of {choices}")),
    }
}

/// A section of `registry:2` may be there without asking for anything: `tls: {}`, `proxy: {remoteurl: ""}`.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Sequence(values) => values.is_empty(),
        Value::Mapping(mapping) => mapping.values().all(is_empty),
        _ => false,
    }
}

fn unknown(section: &Node, name: &str, path: &KeyPath, source: &Source<'_>) -> ConfigError {
    let siblings = section.children().iter().map(|(key, _)| key.as_str());
    let hint = schema::nearest(name, siblings)
        .and_then(|key| section.child(key))
        .map(|node| node.path.clone());
    let hint = hint.or_else(|| elsewhere(name));
    ConfigError::UnknownKey { at: source.at(path), key: path.to_string(), hint }
}

/// The one key of that name in another section.
fn elsewhere(name: &str) -> Option<String> {
    let mut places = Vec::new();
    schema::tree().walk(&mut |node| {
        if node.path.rsplit('.').next() == Some(name) {
            places.push(node.path.clone());
        }
    });
    if places.len() == 1 { places.pop() } else { None }
}

/// No more than one driver.
pub(crate) fn drivers(value: &Value, source: &Source<'_>) -> Result<(), ConfigError> {
    let chosen = driver::chosen(value);
    if chosen.len() > 1 {
        let names =
            chosen.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
        let message = format!(
            "there can be one storage driver, and {names} are named: keep one, or set REGISTRY_STORAGE to the name of the one to use"
        );
        return Err(source.invalid(&driver::section(), &message));
    }
    Ok(())
}

/// What the types cannot say.
pub(crate) fn values(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let invalid = |key: &str, message: String| Err(source.invalid(&KeyPath::of(key), &message));
    if config.version != VERSION {
        return invalid(
            "version",
            format!("there is no version `{}`: write `{VERSION}`", config.version),
        );
    }
    for (key, path) in [
        ("storage.filesystem.rootdirectory", config.root_directory()),
        ("metadata.sqlite.path", config.metadata.sqlite.path.as_deref()),
        ("engine.dataroot", config.engine.dataroot.as_deref()),
        ("engine.execroot", Some(&*config.engine.execroot)),
    ] {
        if path.is_some_and(|path| path.as_os_str().is_empty()) {
            return invalid(key, "it must not be empty: remove the key, or name a path".to_owned());
        }
    }
    metadata(config, &invalid)?;
    engine(config, &invalid)?;
    for (key, zero) in zeros(config) {
        if zero {
            return invalid(key, "it must be more than 0".to_owned());
        }
    }
    storage::storage(config, &invalid)?;
    notifications::notifications(&config.notifications.endpoints, &invalid)?;
    policy::policy(&config.policy, &invalid)?;
    auth::auth(config, &invalid)?;
    mirror::mirrors(config, &invalid)?;
    http(config, &invalid)
}

fn metadata(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let metadata = &config.metadata;
    if config.storage.inmemory.is_some() {
        let named = [
            ("metadata.sqlite.path", metadata.sqlite.path.is_some()),
            ("metadata.url", metadata.url.is_some()),
        ];
        if let Some((key, _)) = named.into_iter().find(|(_, named)| *named) {
            return invalid(
                key,
                "blobs in memory are gone at the next start and their metadata must be too: remove this key, or use `storage.filesystem`".to_owned(),
            );
        }
    }
    let urls = metadata.url.iter().map(|url| ("metadata.url", url));
    let standbys = metadata.postgres.standbys.iter().map(|url| ("metadata.postgres.standbys", url));
    for (key, url) in urls.chain(standbys) {
        let scheme = url.expose().split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            return invalid(
                key,
                "it is no URL of PostgreSQL: write `postgres://user:password@host:5432/database`"
                    .to_owned(),
            );
        }
    }
    if metadata.url.is_none() && !metadata.postgres.standbys.is_empty() {
        return invalid(
            "metadata.postgres.standbys",
            "standbys follow a first server: name that in `metadata.url`, or remove this key"
                .to_owned(),
        );
    }
    if metadata.postgres.connections < 2 {
        return invalid("metadata.postgres.connections", "it must be at least 2".to_owned());
    }
    Ok(())
}

fn engine(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let folders = [
        ("engine.dataroot", config.engine.dataroot.as_deref()),
        ("engine.execroot", Some(&*config.engine.execroot)),
    ];
    for (key, path) in folders {
        if path.is_some_and(|path| !path.is_absolute()) {
            return invalid(
                key,
                "the engine is called from other folders than this service: write the whole path, from `/`"
                    .to_owned(),
            );
        }
    }
    match config.engine.dataroot.is_some() && config.storage.driver() != Driver::Filesystem {
        true => invalid(
            "engine.dataroot",
            "layers are made ready of blobs that are files on this machine: remove this key, or use `storage.filesystem`"
                .to_owned(),
        ),
        false => Ok(()),
    }
}

/// Values that would stop the service when they are zero.
fn zeros(config: &Config) -> [(&'static str, bool); 20] {
    let limits = &config.http.limits;
    let purging = &config.storage.maintenance.uploadpurging;
    let health = &config.health.storagedriver;
    [
        ("http.limits.manifestsize", limits.manifestsize.bytes() == 0),
        ("http.limits.handshaketimeout", limits.handshaketimeout.is_zero()),
        ("http.limits.headertimeout", limits.headertimeout.is_zero()),
        ("http.limits.bodytimeout", limits.bodytimeout.is_zero()),
        ("http.limits.idletimeout", limits.idletimeout.is_zero()),
        ("http.limits.connections", limits.connections == 0),
        ("http.limits.uploadmemory", limits.uploadmemory.bytes() == 0),
        ("storage.maintenance.uploadpurging.age", purging.age.is_zero()),
        ("storage.maintenance.uploadpurging.graceperiod", purging.graceperiod.is_zero()),
        ("storage.maintenance.uploadpurging.interval", purging.interval.is_zero()),
        ("health.storagedriver.interval", health.interval.is_zero()),
        ("health.storagedriver.threshold", health.threshold == 0),
        ("catalog.maxentries", config.catalog.maxentries == 0),
        ("engine.keep", config.engine.keep.is_zero()),
        ("engine.maxsize", config.engine.maxsize.bytes() == 0),
        ("metadata.sqlite.readers", config.metadata.sqlite.readers == 0),
        ("metadata.postgres.timeout", config.metadata.postgres.timeout.is_zero()),
        ("audit.keep", config.audit.keep.is_zero()),
        ("notifications.events.keep", config.notifications.events.keep.is_zero()),
        ("notifications.events.maxpending", config.notifications.events.maxpending == 0),
    ]
}

type Invalid<'i> = &'i dyn Fn(&str, String) -> Result<(), ConfigError>;

fn http(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let http = &config.http;
    match http.listen() {
        Err(message) => return invalid("http.addr", message),
        Ok(listen) => {
            let protected =
                http.allowinsecure || http.tls.pair().is_some() || config.auth.is_enabled();
            reachable("http.addr", &http.addr, &listen, protected, invalid)?;
        }
    }
    tls::tls(http, invalid)?;
    if let Some(addr) = http.debug.addr.as_deref().filter(|addr| !addr.is_empty()) {
        match Listen::tcp(addr) {
            Err(message) => return invalid("http.debug.addr", message),
            Ok(listen) => reachable("http.debug.addr", addr, &listen, http.allowinsecure, invalid)?,
        }
        if http.net == Network::Tcp && addr == http.addr && !addr.ends_with(":0") {
            return invalid("http.debug.addr", "it must differ from `http.addr`".to_owned());
        }
    }
    if let Some(host) = http.host.as_deref().filter(|host| !host.is_empty() && !is_url(host)) {
        return invalid(
            "http.host",
            format!("`{host}` is not a URL: write for example `https://registry.example.org`"),
        );
    }
    if let Some(prefix) =
        http.prefix.as_deref().filter(|prefix| !prefix.is_empty() && !is_path(prefix))
    {
        return invalid(
            "http.prefix",
            format!("`{prefix}` is not a path: write for example `/registry/`"),
        );
    }
    if !is_path(&http.debug.prometheus.path) {
        let path = &http.debug.prometheus.path;
        return invalid(
            "http.debug.prometheus.path",
            format!("`{path}` is not a path: write for example `/metrics`"),
        );
    }
    headers(config, invalid)
}

/// Secure by default: what others can reach is served without TLS and authentication only on demand. `protected` says
/// that there is one of them, or the demand.
fn reachable(
    key: &str,
    addr: &str,
    listen: &Listen,
    protected: bool,
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    if protected || listen.is_loopback() {
        return Ok(());
    }
    let message = format!(
        "other machines can reach `{addr}`, and there is neither TLS nor authentication, so whoever reaches it can push and pull; \
         if that is wanted, set `http.allowinsecure: true` (REGISTRY_HTTP_ALLOWINSECURE=true), else {} or listen on a \
         loopback address such as `127.0.0.1:5000`",
        remedy(key)
    );
    invalid(key, message)
}

/// TLS is a matter of `http.addr` alone.
fn remedy(key: &str) -> &'static str {
    match key {
        "http.addr" => "set `http.tls.certificate` and `http.tls.key`, or `auth`,",
        _ => "do without that listener,",
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && is_printable(rest)
            && !rest.contains(['?', '#'])
    })
}

/// A URL that may say more than where: for a webhook.
fn is_url_with_query(text: &str) -> bool {
    is_url(text.split_once('?').map_or(text, |(url, _)| url)) && is_printable(text)
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.contains("//")
        && is_printable(text)
        && !text.contains(['?', '#', '%'])
}

/// Fit for a header or a URL: visible ASCII.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn headers(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let fault = config
        .http
        .headers
        .iter()
        .find_map(|(name, values)| header_fault(name, values.iter().map(String::as_str)));
    match fault {
        Some(message) => invalid("http.headers", message),
        None => Ok(()),
    }
}

/// What is wrong with a header, in words that hold no value: it may be secret.
fn header_fault<'v>(name: &str, mut values: impl Iterator<Item = &'v str>) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Some(format!("`{name}` is not the name of a header"));
    }
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    values
        .any(|value| value.bytes().any(is_control))
        .then(|| format!("the value of `{name}` holds a control character"))
}
