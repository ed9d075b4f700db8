//! Which changes a running server can take over.

use yaml_serde::{Mapping, Value};

use crate::schema::{self, Kind, Node};
use crate::{Config, Storage};

impl Config {
    /// The keys that differ between two configurations and that a reload (SIGHUP) cannot apply; for these the server
    /// must be started again. Everything else is applied: log level, access log, deletion, read-only service, headers,
    /// limits, validation and catalog.
    pub fn restart_needed(old: &Self, new: &Self) -> Vec<&'static str> {
        let as_value = |config: &Self| yaml_serde::to_value(config).unwrap_or_default();
        let mut keys = Vec::new();
        compare(schema::tree(), &as_value(old), &as_value(new), &mut keys);
        let metadata = (old.metadata != new.metadata).then_some("metadata");
        let endpoints = (old.notifications.endpoints != new.notifications.endpoints)
            .then_some("notifications.endpoints");
        let mirrors = (old.mirrors != new.mirrors).then_some("mirrors");
        let proxy = (old.proxy != new.proxy).then_some("proxy");
        let secrets =
            [secret_change(&old.storage, &new.storage), metadata, endpoints, mirrors, proxy];
        for section in secrets.into_iter().flatten() {
            if !keys.iter().any(|key| key.starts_with(section)) {
                keys.push(section);
            }
        }
        keys
    }
}

/// The driver whose parameters differ. Secrets are all alike once they are shown, so a new one is found only here.
fn secret_change(old: &Storage, new: &Storage) -> Option<&'static str> {
    let differs = [
        ("storage.s3", old.s3 != new.s3),
        ("storage.azure", old.azure != new.azure),
        ("storage.gcs", old.gcs != new.gcs),
        ("storage.swift", old.swift != new.swift),
        ("storage.oss", old.oss != new.oss),
    ];
    differs.into_iter().find(|(_, differs)| *differs).map(|(driver, _)| driver)
}

fn compare(node: &'static Node, old: &Value, new: &Value, keys: &mut Vec<&'static str>) {
    if old == new || node.reload || !node.has_effect() {
        return;
    }
    let Kind::Section(children) = &node.kind else {
        keys.push(&node.path);
        return;
    };
    if old.is_mapping() != new.is_mapping() {
        keys.push(&node.path);
        return;
    }
    for (key, child) in children {
        compare(child, below(old, key), below(new, key), keys);
    }
}

fn below<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.as_mapping().and_then(|mapping: &Mapping| mapping.get(key)).unwrap_or(&Value::Null)
}
