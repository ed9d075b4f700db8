//! `auth: htpasswd` and `REGISTRY_AUTH=htpasswd`, as `registry:2` has it: a section by its name alone.

use yaml_serde::{Mapping, Value};

use crate::schema;

/// Spells out a section that is named only. What it holds already is kept.
pub(crate) fn expand(root: &mut Value, name: Option<&str>) -> Result<(), String> {
    let Some(root) = root.as_mapping_mut() else { return Ok(()) };
    let written = root.get("auth").and_then(Value::as_str).map(str::to_owned);
    let Some(name) = name.map(str::to_owned).or_else(|| written.clone()) else { return Ok(()) };
    let way = schema::tree().child("auth").and_then(|auth| auth.child(&name));
    if !way.is_some_and(|way| way.named) {
        return Err(format!(
            "there is no way to log in of the name `{name}`: use htpasswd or token"
        ));
    }
    let auth = root.entry(Value::from("auth")).or_insert(Value::Null);
    if !auth.is_mapping() {
        *auth = Value::Mapping(Mapping::new());
    }
    if let Some(auth) = auth.as_mapping_mut() {
        auth.entry(Value::from(name)).or_insert_with(|| Value::Mapping(Mapping::new()));
    }
    Ok(())
}
