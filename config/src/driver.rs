//! Choosing the storage driver: `storage: NAME`, `REGISTRY_STORAGE=NAME`, and exactly one of them.

use yaml_serde::{Mapping, Value};

use crate::path::KeyPath;
use crate::schema::{self, Node};

/// The section that names the driver.
pub(crate) fn section() -> KeyPath {
    KeyPath::of("storage")
}

/// Names a driver in place of any that is named already. The parameters of the same driver are kept.
pub(crate) fn choose(root: &mut Value, name: &str) -> Result<(), String> {
    let Some((driver, _)) = drivers().find(|(driver, _)| driver.eq_ignore_ascii_case(name)) else {
        return Err(format!("there is no storage driver `{name}`: use {}", usable()));
    };
    let Some(root) = root.as_mapping_mut() else {
        return Err("the configuration is not a mapping".to_owned());
    };
    let storage = root.entry(Value::from("storage")).or_insert(Value::Null);
    if !storage.is_mapping() {
        *storage = Value::Mapping(Mapping::new());
    }
    if let Some(storage) = storage.as_mapping_mut() {
        for (other, _) in drivers().filter(|(other, _)| *other != driver) {
            storage.shift_remove(other);
        }
        storage.entry(Value::from(driver)).or_insert_with(|| Value::Mapping(Mapping::new()));
    }
    Ok(())
}

/// Spells out `storage: NAME`.
pub(crate) fn expand(root: &mut Value) -> Result<(), String> {
    match section().find(root).and_then(Value::as_str).map(str::to_owned) {
        Some(name) => choose(root, &name),
        None => Ok(()),
    }
}

/// The drivers that the configuration names.
pub(crate) fn chosen(root: &Value) -> Vec<(&'static str, &'static Node)> {
    let storage = section().find(root).and_then(Value::as_mapping);
    drivers()
        .filter(|(driver, _)| storage.is_some_and(|storage| storage.contains_key(*driver)))
        .collect()
}

/// An empty text in the section of a remote store or of TLS counts as not set, as in `registry:2`: templates write
/// `accesskey: ""` for credentials of the instance.
pub(crate) fn drop_empty_texts(root: &mut Value) {
    if let Some(tls) = root.get_mut("http").and_then(|http| http.get_mut("tls")) {
        drop_empty(tls);
    }
    // `filesystem` would fall back to a directory that nobody meant, and says so instead.
    let names: Vec<_> =
        drivers().map(|(name, _)| name).filter(|name| *name != "filesystem").collect();
    let storage = root.get_mut("storage").and_then(Value::as_mapping_mut);
    for (_, section) in storage
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.as_str().is_some_and(|name| names.contains(&name)))
    {
        drop_empty(section);
    }
}

fn drop_empty(value: &mut Value) {
    let Some(mapping) = value.as_mapping_mut() else { return };
    mapping.retain(|_, value| value.as_str() != Some(""));
    mapping.values_mut().for_each(drop_empty);
}

fn drivers() -> impl Iterator<Item = (&'static str, &'static Node)> {
    let storage = schema::tree().child("storage").map(Node::children).unwrap_or_default();
    storage.iter().filter(|(_, node)| node.driver).map(|(name, node)| (name.as_str(), node))
}

fn usable() -> String {
    let names: Vec<_> = drivers().map(|(name, _)| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
