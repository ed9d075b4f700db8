//! Members of values. Docker's are structures for the most part, and what a structure does not have is an error; in its
//! maps a name that is not there is nothing. Ours are JSON, which does not tell one from the other.

use serde_json::{Value, json};

use super::print::kind;

/// What docker has as a map of any names.
const MAPS: [&str; 14] = [
    "Annotations",
    "Data",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Status",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// The members of structures that are left out of JSON where they are lists, texts, or nothing at all.
const LISTS: [&str; 6] = ["Cmd", "Entrypoint", "Env", "Mounts", "OnBuild", "Shell"];
const TEXTS: [&str; 9] = [
    "Domainname",
    "Driver",
    "Hostname",
    "Name",
    "Runtime",
    "StopSignal",
    "User",
    "Variant",
    "WorkingDir",
];
const POINTERS: [&str; 6] =
    ["Health", "Healthcheck", "Init", "SizeRootFs", "SizeRw", "StopTimeout"];

/// The value at the end of these names, or Go's words why there is none.
pub(super) fn member(value: Value, names: &[String]) -> Result<Value, String> {
    let mut value = value;
    let mut within = "";
    for name in names {
        let is_map = MAPS.contains(&within);
        value = match value {
            Value::Object(mut members) => match members.remove(name) {
                Some(member) => member,
                // Nor is there anything below it.
                None if is_map => return Ok(Value::Null),
                None => {
                    left_out(name).ok_or_else(|| format!("map has no entry for key {name:?}"))?
                }
            },
            Value::Null if is_map => return Ok(Value::Null),
            Value::Null => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
            value => return Err(format!("can't evaluate field {name} in type {}", kind(&value))),
        };
        within = name;
    }
    Ok(value)
}

/// What a member is that JSON leaves out.
fn left_out(name: &str) -> Option<Value> {
    match name {
        name if MAPS.contains(&name) => Some(json!({})),
        name if LISTS.contains(&name) => Some(json!([])),
        name if TEXTS.contains(&name) => Some(json!("")),
        name if POINTERS.contains(&name) => Some(Value::Null),
        _ => None,
    }
}
