//! Reading YAML text into a tree of values, guided by the schema.
//!
//! The schema is needed while reading: where a text is wanted, the characters in the file are taken as they stand, so
//! that `0123`, `1.10` or `yes` is never turned into a number or a boolean and back.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use yaml_serde::{Mapping, Value};

use crate::path::{KeyPath, Step};
use crate::schema::{Kind, Node};

/// A place in a text, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Why a text could not be read.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) position: Option<Position>,
}

/// Reads a YAML document that should be what `node` says.
///
/// Types that do not fit are left for the deserialisation of the whole, which knows the path. A null counts as not
/// set: it is an empty mapping where a section is wanted, and is dropped elsewhere.
pub(crate) fn parse(text: &str, node: &Node) -> Result<Value, SyntaxError> {
    if is_blank(text) {
        return Ok(nothing(node));
    }
    Typed(node).deserialize(yaml_serde::Deserializer::from_str(text)).map_err(SyntaxError::from)
}

/// Where in a YAML document the key (or list item) at `path` stands.
pub(crate) fn locate(text: &str, path: &KeyPath) -> Option<Position> {
    if is_blank(text) {
        return None;
    }
    let error = Locate(&path.0).deserialize(yaml_serde::Deserializer::from_str(text)).err()?;
    SyntaxError::from(error).position
}

/// Nothing but white space and comments.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

fn nothing(node: &Node) -> Value {
    match node.kind {
        Kind::Section(_) | Kind::Map(_) => Value::Mapping(Mapping::new()),
        // A driver is chosen by its name alone.
        _ if node.driver => Value::Mapping(Mapping::new()),
        _ => Value::Null,
    }
}

impl From<yaml_serde::Error> for SyntaxError {
    fn from(error: yaml_serde::Error) -> Self {
        let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
        let text = error.to_string();
        // The position is told apart, in the form that editors understand.
        let message = match position {
            Some(Position { line, column }) => {
                text.replacen(&format!(" at line {line} column {column}"), "", 1)
            }
            None => text,
        };
        Self { message, position }
    }
}

/// Reads one value as its node says.
#[derive(Clone, Copy)]
struct Typed<'n>(&'n Node);

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Typed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            Kind::Text => "a text",
            Kind::Bool => "`true` or `false`",
            Kind::Integer => "a whole number",
            Kind::Any => "a value",
            Kind::Section(_) | Kind::Map(_) => "a mapping of keys to values",
            Kind::List(_) => "a list",
        })
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(nothing(self.0))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0.kind {
            Kind::Text | Kind::Bool | Kind::Integer => deserializer.deserialize_str(self),
            Kind::Any => serde::Deserialize::deserialize(deserializer),
            // What a section holds may be named in its place: `storage: filesystem`, `auth: htpasswd`.
            Kind::Section(_) if self.0.may_be_named() => deserializer.deserialize_any(self),
            Kind::Section(_) | Kind::Map(_) => deserializer.deserialize_map(self),
            Kind::List(_) => deserializer.deserialize_seq(self),
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        let guessed = match self.0.kind {
            Kind::Bool => boolean(text).map(Value::Bool),
            Kind::Integer => yaml_serde::from_str(text).ok().filter(Value::is_number),
            _ => None,
        };
        Ok(guessed.unwrap_or_else(|| Value::String(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Kind::List(item) = &self.0.kind else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        };
        let mut items = Vec::new();
        while let Some(value) = access.next_element_seed(Typed(item))? {
            items.push(value);
        }
        Ok(Value::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut mapping = Mapping::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = access.next_key_seed(NewKey(&seen))? {
            let value = match &self.0.kind {
                Kind::Map(item) => access.next_value_seed(Typed(item))?,
                _ => match self.0.child(&key) {
                    Some(child) => access.next_value_seed(Typed(child))?,
                    // Refused later, with its full path and a hint; a null must not hide it.
                    None => access.next_value::<IgnoredAny>().map(|_| Value::Bool(true))?,
                },
            };
            if !value.is_null() {
                mapping.insert(Value::String(key.clone()), value);
            }
            seen.insert(key);
        }
        Ok(Value::Mapping(mapping))
    }
}

/// The spellings of YAML 1.1, which `registry:2`'s parser takes.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A key that must not have been there before.
struct NewKey<'s>(&'s BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if self.0.contains(key) {
            return Err(E::custom(format_args!("the key `{key}` is there twice: keep one")));
        }
        Ok(key.to_owned())
    }
}

/// Walks down to a place and fails there on purpose: the error carries the position, which nothing else tells.
#[derive(Clone, Copy)]
struct Locate<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Locate<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.first() {
            // A visitor that takes nothing: any value is an error at its own position.
            None => deserializer.deserialize_any(Nothing),
            Some(_) => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Locate<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a parent")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(found) = access.next_key_seed(WantedKey(self.0))? {
            if found {
                access.next_value_seed(Locate(&self.0[1..]))?;
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let mut place = 0;
        loop {
            let found = if self.0.first() == Some(&Step::Index(place)) {
                access.next_element_seed(Locate(&self.0[1..]))?.is_some()
            } else {
                access.next_element::<IgnoredAny>()?.is_some()
            };
            if !found {
                return Ok(());
            }
            place += 1;
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// Whether a key is the next step; fails on it when it is the last one.
struct WantedKey<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for WantedKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WantedKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        match self.0 {
            [Step::Key(wanted)] if wanted == key => Err(E::custom("here")),
            [Step::Key(wanted), ..] => Ok(wanted == key),
            _ => Ok(false),
        }
    }
}

/// Takes no value.
struct Nothing;

impl Visitor<'_> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}
