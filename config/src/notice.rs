//! Lines about what was accepted but has no effect, or not the usual one.

use yaml_serde::Value;

use crate::schema::{self, Node};
use crate::{Config, LogFormatter};

/// One line for each key that is set and ignored.
pub(crate) fn of_ignored_keys(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    collect(schema::tree(), value, &mut lines);
    lines
}

fn collect(node: &Node, value: &Value, lines: &mut Vec<String>) {
    if let Some(reason) = &node.ignored {
        lines.push(format!("`{}` has no effect: {reason}", node.path));
        return;
    }
    for (key, child) in node.children() {
        if let Some(value) = value.as_mapping().and_then(|mapping| mapping.get(key)) {
            collect(child, value, lines);
        }
    }
}

/// Lines about values that mean something else than in `registry:2`, or that deserve a warning.
pub(crate) fn of_values(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if config.log.formatter == LogFormatter::Logstash {
        lines.push("`log.formatter: logstash` means `json` here".to_owned());
    }
    let is_reachable = config.http.listen().is_ok_and(|listen| !listen.is_loopback());
    lines.extend(exposure(config).filter(|_| is_reachable));
    if let Some(remote) = config.storage.remote().filter(|remote| remote.skipverify) {
        let key = if remote.name == "swift" { "insecureskipverify" } else { "skipverify" };
        lines.push(format!(
            "`storage.{}.{key}` is set: whoever is on the way to the store can read and change everything; `ca` trusts a private authority",
            remote.name
        ));
    }
    lines
}

/// What whoever reaches the registry over the network can do.
fn exposure(config: &Config) -> Option<String> {
    let addr = &config.http.addr;
    match (config.http.tls.pair().is_some(), config.auth.is_enabled()) {
        (true, false) if config.http.allowinsecure => {
            Some(format!("`http.allowinsecure` is set: whoever reaches {addr} can push and pull"))
        }
        (true, _) => None,
        (false, true) => Some(format!(
            "{addr} is served without TLS: everything crosses the network in the clear, passwords too; set `http.tls`, or \
             let a proxy on this machine terminate TLS and listen on a loopback address"
        )),
        (false, false) => Some(format!(
            "`http.allowinsecure` is set: whoever reaches {addr} can push and pull, and everything crosses the network in \
             the clear"
        )),
    }
}
