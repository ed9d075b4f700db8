//! The environment laid over the file: `REGISTRY_HTTP_ADDR` is `http.addr`.

use std::fs;

use yaml_serde::{Mapping, Value};

use crate::auth;
use crate::document;
use crate::driver;
use crate::error::ConfigError;
use crate::path::{KeyPath, Step};
use crate::schema::{self, Kind, Node};

/// What every variable starts with.
const PREFIX: &str = "REGISTRY_";

/// Names the configuration file when no argument does, as the entry point of `registry:2`'s image has it.
pub(crate) const CONFIGURATION_PATH: &str = "REGISTRY_CONFIGURATION_PATH";

/// The process's variables that can concern the configuration, for [`Config::load`](crate::Config::load).
///
/// Unlike `std::env::vars` it does not panic on a variable that is not UTF-8.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(move |(name, value)| (lossy(name), lossy(value)))
        .filter(|(name, _)| suffix(name).is_some())
}

/// A variable that sets a key.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) path: KeyPath,
    pub(crate) variable: String,
    pub(crate) value: Value,
}

impl Setting {
    /// Whether this is what set the key at `path`.
    pub(crate) fn covers(&self, path: &KeyPath) -> bool {
        match &self.value {
            Value::String(driver) if self.path == driver::section() => {
                *path == self.path.key(driver)
            }
            _ => path.starts_with(&self.path),
        }
    }
}

/// The variables that were understood, parents first, and notices about those that were not.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) settings: Vec<Setting>,
    pub(crate) notices: Vec<String>,
}

/// Finds the keys that variables set, and reads their values.
pub(crate) fn read(variables: &[(String, String)]) -> Result<Settings, ConfigError> {
    let mut found = Settings::default();
    for (variable, text) in variables {
        let Some(name) = suffix(variable) else { continue };
        if variable.eq_ignore_ascii_case(CONFIGURATION_PATH) {
            continue;
        }
        match resolve(name) {
            None => found.notices.push(unknown(variable, name)),
            Some(target) => {
                let value = target.value(variable, text)?;
                found.settings.push(Setting {
                    path: target.path,
                    variable: variable.clone(),
                    value,
                });
            }
        }
    }
    found.settings.sort_by(|a, b| (&a.path, &a.variable).cmp(&(&b.path, &b.variable)));
    for pair in found.settings.windows(2) {
        if let [first, second] = pair
            && first.path == second.path
        {
            return Err(ConfigError::Environment {
                variable: second.variable.clone(),
                message: format!(
                    "{} sets `{}` too: keep one of the two",
                    first.variable, first.path
                ),
            });
        }
    }
    Ok(found)
}

/// Puts a value in its place, making what is missing on the way.
pub(crate) fn apply(root: &mut Value, setting: &Setting) -> Result<(), ConfigError> {
    let fail = |message| ConfigError::Environment {
        variable: setting.variable.clone(),
        message: format!("`{}`: {message}", setting.path),
    };
    match &setting.value {
        Value::String(name) if setting.path == driver::section() => {
            driver::choose(root, name).map_err(fail)
        }
        Value::String(name) if setting.path == KeyPath::of("auth") => {
            auth::expand(root, Some(name)).map_err(fail)
        }
        value => place(root, &setting.path.0, value.clone()).map_err(fail),
    }
}

/// What a variable means.
struct Target {
    path: KeyPath,
    node: &'static Node,
    /// The value is the name of a file that holds the value.
    from_file: bool,
}

impl Target {
    fn value(&self, variable: &str, text: &str) -> Result<Value, ConfigError> {
        if !self.from_file {
            return self.parse(variable, text);
        }
        let content = fs::read_to_string(text).map_err(|error| ConfigError::Environment {
            variable: variable.to_owned(),
            message: format!("cannot read the file `{text}`: {error}"),
        })?;
        let line = content.strip_suffix('\n').unwrap_or(&content);
        self.parse(variable, line.strip_suffix('\r').unwrap_or(line))
    }

    /// A text is taken verbatim; anything else is YAML. Nothing at all is no value, which leaves the default.
    fn parse(&self, variable: &str, text: &str) -> Result<Value, ConfigError> {
        if let Kind::Text = self.node.kind {
            if text.is_empty() && matches!(self.path.0.last(), Some(Step::Key(_))) {
                return Ok(Value::Null);
            }
            return Ok(Value::String(text.to_owned()));
        }
        match document::parse(text, self.node) {
            Ok(value) => Ok(value),
            // Said better by the check of the whole: what it must be.
            Err(_) if self.node.is_scalar() => Ok(Value::String(text.to_owned())),
            Err(error) => Err(ConfigError::Environment {
                variable: variable.to_owned(),
                message: format!("`{}`: {}", self.path, error.message),
            }),
        }
    }
}

/// The part of a variable's name after the prefix, whatever its case.
fn suffix(variable: &str) -> Option<&str> {
    let (prefix, suffix) = variable.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(suffix)
}

fn unknown(variable: &str, name: &str) -> String {
    let mut names = Vec::new();
    schema::tree().walk(&mut |node| names.push(node.path.replace('.', "_")));
    let hint =
        schema::nearest(name, names.iter().map(String::as_str).filter(|name| !name.is_empty()));
    let hint = hint
        .map(|name| format!("; did you mean {PREFIX}{}?", name.to_uppercase()))
        .unwrap_or_default();
    format!("the environment variable {variable} is no setting and was ignored{hint}")
}

/// Finds the key that a name means.
///
/// A name that ends in `_FILE` names a file, unless `file` is a declared key there (`health.file`).
fn resolve(name: &str) -> Option<Target> {
    let segments: Vec<&str> = name.split('_').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    if let [parent @ .., last] = segments.as_slice()
        && last.eq_ignore_ascii_case("file")
        && let Some((path, node)) = descend(schema::tree(), parent, KeyPath::default())
        && !parent.is_empty()
        && node.child("file").is_none()
    {
        return Some(Target { path, node, from_file: true });
    }
    let (path, node) = descend(schema::tree(), &segments, KeyPath::default())?;
    Some(Target { path, node, from_file: false })
}

fn descend(
    node: &'static Node,
    segments: &[&str],
    path: KeyPath,
) -> Option<(KeyPath, &'static Node)> {
    let Some((first, rest)) = segments.split_first() else {
        return Some((path, node));
    };
    match &node.kind {
        Kind::Section(children) => {
            let (key, child) = children.iter().find(|(key, _)| key.eq_ignore_ascii_case(first))?;
            descend(child, rest, path.key(key))
        }
        // Nothing can follow the name, so underscores belong to it.
        Kind::Map(item) if item.is_scalar() => {
            Some((path.key(&map_key(&segments.join("_"))), item))
        }
        Kind::Map(item) => descend(item, rest, path.key(&map_key(first))),
        Kind::List(item) => descend(item, rest, path.with(Step::Index(list_index(first)?))),
        Kind::Any => descend(node, rest, path.key(&first.to_lowercase())),
        Kind::Text | Kind::Bool | Kind::Integer => None,
    }
}

/// A name that an operator chooses: lower case, as in `registry:2`, unless it is in mixed case.
fn map_key(segment: &str) -> String {
    if segment.chars().any(char::is_lowercase) {
        segment.to_owned()
    } else {
        segment.to_lowercase()
    }
}

fn list_index(segment: &str) -> Option<usize> {
    if segment.bytes().all(|byte| byte.is_ascii_digit()) { segment.parse().ok() } else { None }
}

fn place(at: &mut Value, steps: &[Step], value: Value) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *at = value;
        return Ok(());
    };
    match step {
        Step::Key(key) => {
            let mapping = as_mapping(at)?;
            let key = existing_key(mapping, key);
            if rest.is_empty() && value.is_null() {
                mapping.shift_remove(&key);
                return Ok(());
            }
            place(mapping.entry(key).or_insert(Value::Null), rest, value)
        }
        Step::Index(index) => {
            let items = as_sequence(at)?;
            if *index > items.len() {
                return Err(format!(
                    "item {index} cannot be set: the list has {} items, and they count from 0",
                    items.len()
                ));
            }
            if *index == items.len() {
                items.push(Value::Null);
            }
            place(&mut items[*index], rest, value)
        }
    }
}

/// The key as it is spelled already, or as given. Cases differ only between names that an operator chose.
fn existing_key(mapping: &Mapping, key: &str) -> Value {
    let same =
        |candidate: &&Value| candidate.as_str().is_some_and(|name| name.eq_ignore_ascii_case(key));
    mapping.keys().find(same).cloned().unwrap_or_else(|| Value::String(key.to_owned()))
}

fn as_mapping(value: &mut Value) -> Result<&mut Mapping, String> {
    if value.is_null() {
        *value = Value::Mapping(Mapping::new());
    }
    // A name alone is short for a section of that name: `auth: htpasswd`.
    if let Some(name) = value.as_str() {
        let name = Value::from(name);
        *value = Value::Mapping(Mapping::from_iter([(name, Value::Mapping(Mapping::new()))]));
    }
    value
        .as_mapping_mut()
        .ok_or_else(|| "a parent of this key is set to something that has no keys".to_owned())
}

fn as_sequence(value: &mut Value) -> Result<&mut Vec<Value>, String> {
    if value.is_null() {
        *value = Value::Sequence(Vec::new());
    }
    value
        .as_sequence_mut()
        .ok_or_else(|| "this key is set to something that is not a list".to_owned())
}
