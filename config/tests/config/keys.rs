//! The keys that the schema tells, for tests about every key.

// Clippy takes only functions marked `#[test]` for tests.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;

use berth_config::Config;
use serde_json::Value;

/// A key that takes one value.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// `["http", "headers", "x-name", "0"]`: a number is a place in a list.
    pub(crate) steps: Vec<String>,
    pub(crate) schema: Value,
}

/// Every key that takes one value, items of lists and maps included.
pub(crate) fn scalars() -> Vec<Scalar> {
    let mut found = Vec::new();
    collect(&Config::schema(), &mut Vec::new(), &mut found);
    found
}

fn collect(schema: &Value, steps: &mut Vec<String>, found: &mut Vec<Scalar>) {
    if let Some(parts) = schema.get("anyOf").and_then(Value::as_array) {
        // What an optional key is, and what is said about it.
        let mut schema = schema.clone();
        schema["anyOf"].take();
        for (name, value) in parts[0].as_object().into_iter().flatten() {
            schema[name] = value.clone();
        }
        collect(&schema, steps, found);
    } else if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, child) in properties {
            below(name, child, steps, found);
        }
    } else if let Some(items) = schema.get("items") {
        below("0", items, steps, found);
    } else if let Some(items) = schema.get("additionalProperties").filter(|items| items.is_object())
    {
        below("x-name", items, steps, found);
    } else {
        let scalar = Scalar { steps: steps.clone(), schema: schema.clone() };
        let is_scalar = ["string", "boolean", "integer"].iter().any(|kind| scalar.is(kind));
        if is_scalar || !scalar.choices().is_empty() {
            found.push(scalar);
        }
    }
}

fn below(name: &str, schema: &Value, steps: &mut Vec<String>, found: &mut Vec<Scalar>) {
    steps.push(name.to_owned());
    collect(schema, steps, found);
    steps.pop();
}

impl Scalar {
    pub(crate) fn dotted(&self) -> String {
        self.steps.join(".")
    }

    pub(crate) fn variable(&self) -> String {
        format!("REGISTRY_{}", self.steps.join("_").to_uppercase())
    }

    /// A document that sets only this key.
    pub(crate) fn document(&self, value: yaml_serde::Value) -> String {
        let nested = self.steps.iter().rev().fold(value, |value, step| match step.as_str() {
            "0" => yaml_serde::Value::Sequence(vec![value]),
            name => {
                yaml_serde::to_value(BTreeMap::from([(name, value)])).expect("text keys serialise")
            }
        });
        yaml_serde::to_string(&nested).expect("plain values serialise")
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        match &self.schema["type"] {
            Value::String(only) => only == kind,
            Value::Array(several) => several.iter().any(|one| one == kind),
            _ => false,
        }
    }

    pub(crate) fn choices(&self) -> Vec<String> {
        let constants = self.schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|part| part["const"].as_str());
        constants.map(str::to_owned).collect()
    }
}
