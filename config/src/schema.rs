//! The tree of keys, read from the JSON Schema that the structs generate: the one source of truth about names.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::Config;

static JSON: LazyLock<Value> = LazyLock::new(|| {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
});

static TREE: LazyLock<Node> = LazyLock::new(|| Node::read(&JSON, String::new()));

/// The JSON Schema itself.
pub(crate) fn json() -> &'static Value {
    &JSON
}

/// The tree of keys.
pub(crate) fn tree() -> &'static Node {
    &TREE
}

/// One key, or the items of a map or list.
#[derive(Debug)]
pub(crate) struct Node {
    /// Full path with dots; the items of a map end in `.*`, those of a list in `[]`.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) description: String,
    pub(crate) default: Option<Value>,
    /// The default in words.
    pub(crate) default_text: Option<String>,
    /// What a text is: `duration`, `size`, `path`, `pattern`.
    pub(crate) text_type: Option<String>,
    /// The values that an enumeration allows.
    pub(crate) choices: Vec<Choice>,
    /// Values that `registry:2` allows and that are refused here, with the reason.
    pub(crate) refused_choices: Vec<Choice>,
    pub(crate) ignored: Option<String>,
    pub(crate) refused: Option<String>,
    pub(crate) reload: bool,
    pub(crate) secret: bool,
    pub(crate) driver: bool,
    /// Whether its name may stand in place of the section that holds it.
    pub(crate) named: bool,
}

/// What may stand at a key.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A string of any spelling: taken verbatim, never guessed at.
    Text,
    Bool,
    Integer,
    /// Anything: the contents are not ours.
    Any,
    /// Named keys.
    Section(Vec<(String, Node)>),
    /// Names chosen by the operator.
    Map(Box<Node>),
    List(Box<Node>),
}

/// One value of an enumeration.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) description: String,
}

impl Node {
    /// Whether the name of one of its sections may stand in its place.
    pub(crate) fn may_be_named(&self) -> bool {
        self.children().iter().any(|(_, child)| child.driver || child.named)
    }

    fn read(schema: &Value, path: String) -> Self {
        let inner = without_null(schema);
        let text = |name: &str| {
            [schema, inner].iter().find_map(|part| Some(part.get(name)?.as_str()?.to_owned()))
        };
        let flag = |name: &str| {
            [schema, inner].iter().any(|part| part.get(name) == Some(&Value::Bool(true)))
        };
        Self {
            kind: kind(inner, &path),
            path,
            description: unwrap_lines(&text("description").unwrap_or_default()),
            default: schema.get("default").filter(|value| !value.is_null()).cloned(),
            default_text: text("x-berth-default"),
            text_type: text("x-berth-type"),
            choices: choices(inner),
            refused_choices: refused_choices(schema),
            ignored: text("x-berth-ignored"),
            refused: text("x-berth-refused"),
            reload: flag("x-berth-reload"),
            secret: flag("x-berth-secret"),
            driver: flag("x-berth-driver"),
            named: flag("x-berth-named"),
        }
    }

    /// The named keys below this one.
    pub(crate) fn children(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Section(children) => children,
            _ => &[],
        }
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// Whether a single value stands here, not a section, map or list.
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Bool | Kind::Integer)
    }

    /// Whether what is set here has an effect.
    pub(crate) fn has_effect(&self) -> bool {
        self.ignored.is_none() && self.refused.is_none()
    }

    /// This node and everything below it, parents first.
    pub(crate) fn walk<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        visit(self);
        match &self.kind {
            Kind::Section(children) => children.iter().for_each(|(_, child)| child.walk(visit)),
            Kind::List(item) | Kind::Map(item) if !item.is_scalar() => item.walk(visit),
            _ => {}
        }
    }
}

/// The name of `candidates` that was probably meant by `name`.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    let name = name.to_lowercase();
    let tolerance = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::osa_distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The schema of the value in an `Option`.
fn without_null(schema: &Value) -> &Value {
    let is_null = |part: &Value| part.get("type").and_then(Value::as_str) == Some("null");
    let parts = schema.get("anyOf").and_then(Value::as_array);
    parts.and_then(|parts| parts.iter().find(|part| !is_null(part))).unwrap_or(schema)
}

fn kind(schema: &Value, path: &str) -> Kind {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let below =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let children =
            properties.iter().map(|(name, child)| (name.clone(), Node::read(child, below(name))));
        return Kind::Section(children.collect());
    }
    if !choices(schema).is_empty() || has_type(schema, "string") {
        return Kind::Text;
    }
    if has_type(schema, "boolean") {
        return Kind::Bool;
    }
    if has_type(schema, "integer") {
        return Kind::Integer;
    }
    if let Some(items) = schema.get("items") {
        return Kind::List(Box::new(Node::read(items, format!("{path}[]"))));
    }
    match schema.get("additionalProperties") {
        Some(items @ Value::Object(_)) => {
            Kind::Map(Box::new(Node::read(items, format!("{path}.*"))))
        }
        // A struct without fields.
        Some(Value::Bool(false)) => Kind::Section(Vec::new()),
        _ => Kind::Any,
    }
}

fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// The values of an enumeration: `oneOf` constants when they are documented, `enum` when they are not.
fn choices(schema: &Value) -> Vec<Choice> {
    let text = |part: &Value, name: &str| part.get(name).and_then(Value::as_str).map(str::to_owned);
    let documented =
        schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().filter_map(|part| {
            let description = unwrap_lines(&text(part, "description").unwrap_or_default());
            Some(Choice { value: text(part, "const")?, description })
        });
    let bare = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let bare = bare.filter_map(|value| {
        Some(Choice { value: value.as_str()?.to_owned(), description: String::new() })
    });
    documented.chain(bare).collect()
}

fn refused_choices(schema: &Value) -> Vec<Choice> {
    let pairs = schema.get("x-berth-refused-choices").and_then(Value::as_array);
    let text = |pair: &Value, place: usize| Some(pair.get(place)?.as_str()?.to_owned());
    let choice = |pair: &Value| Some(Choice { value: text(pair, 0)?, description: text(pair, 1)? });
    pairs.into_iter().flatten().filter_map(choice).collect()
}

/// Doc comments are wrapped for the source; a paragraph is one line here.
fn unwrap_lines(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
