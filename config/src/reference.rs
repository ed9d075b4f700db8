//! `docs/reference/configuration.md`, rendered from the schema.

use std::fmt::Write;

use serde_json::Value;

use crate::schema::{self, Kind, Node};

const EXAMPLE: &str = include_str!("../examples/config.yml");

const STORES: [(&str, &str); 5] = [
    ("Amazon S3 or a compatible store", include_str!("../examples/s3.yml")),
    ("Azure Blob Storage", include_str!("../examples/azure.yml")),
    ("Google Cloud Storage", include_str!("../examples/gcs.yml")),
    ("OpenStack Swift", include_str!("../examples/swift.yml")),
    ("Aliyun OSS", include_str!("../examples/oss.yml")),
];

const INTRODUCTION: &str = "\
<!-- Rendered from the schema in config/. After a change there: BERTH_UPDATE_DOCS=1 cargo test -p berth-config -->
# Configuration

Berth reads a superset of `registry:2`'s `config.yml`: `berth serve config.yml`, or the file that
`REGISTRY_CONFIGURATION_PATH` names. Every key has a default, so `berth serve` alone is a working registry. Every key
can also be set [from the environment](#from-the-environment), which wins over the file.

- `berth config check` reads the configuration as `serve` would and says what is wrong, by file, line and key.
- `berth config show` prints what is in effect, secrets hidden.
- `berth config schema` prints the JSON Schema, for editors.
";

const RULES: &str = "\
## How the file is read

- Unknown keys are refused, and so is a key that is there twice. Names are lower case.
- A key without a value (`inmemory:`) counts as not set; a driver that is named so is chosen.
- A duration is written as in Go: `30s`, `1m`, `1h30m`, `168h`; days of 24 hours are understood too: `7d`. A number without a unit is refused.
- A size is a number of bytes, or one with a unit: `4MiB` and `32KiB` count in powers of 1024, `10MB` and `32kB` in
  powers of 1000.
- Where a text is wanted it is taken as it stands: `0123` and `yes` stay texts. Where a boolean is wanted, `true`,
  `yes`, `on` and `false`, `no`, `off` are understood.
- `storage: inmemory` is short for `storage: {inmemory: {}}`.
- An address that other machines can reach (`:5000`, `0.0.0.0:5000`) starts only with TLS (`http.tls`), or with
  `http.allowinsecure: true` (`REGISTRY_HTTP_ALLOWINSECURE=true`).

";

const ENVIRONMENT: &str = "\
## From the environment

The variable of a key is `REGISTRY_` and its names, joined by underscores: `http.addr` is `REGISTRY_HTTP_ADDR`. No key
holds an underscore, so a variable means one key only. Case does not matter.

| To set | Write |
|---|---|
| a key | `REGISTRY_STORAGE_DELETE_ENABLED=true` |
| the storage driver, in place of the file's | `REGISTRY_STORAGE=inmemory` |
| an entry of a map | `REGISTRY_LOG_FIELDS_SERVICE=registry`, `REGISTRY_HTTP_HEADERS_X-FOO=[a, b]` |
| a whole map or list, in place of the file's | `REGISTRY_HTTP_HEADERS={X-Foo: [a, b]}` |
| an item of a list, counted from 0 | `REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0=^https://` |
| a key to what a file holds | `REGISTRY_HTTP_SECRET_FILE=/run/secrets/http` |

- The value is YAML; but where a text is wanted it is taken verbatim, so a password may be `0123` or `yes`. An empty
  value leaves the default.
- A whole section, map or list is set first and its parts after it, so both can be used together. A section replaces
  the file's.
- A name of your own choice (a header, a log field) that is all upper case is taken in lower case, unless the file
  spells it otherwise.
- `_FILE` works on every key; one newline at the end of the file is dropped, and from a secret all of them, wherever it
  comes from. A file that cannot be read is an error. `REGISTRY_HEALTH_FILE` is the key `health.file`.
- Setting a key twice (`REGISTRY_HTTP_SECRET` and `REGISTRY_HTTP_SECRET_FILE`) is an error.
- A `REGISTRY_` variable that is no key is ignored with a warning: orchestrators set some, `REGISTRY_PORT` for one.

";

const RELOAD: &str = "\
## Reloading

On SIGHUP the server reads file and environment again. Keys marked *reload* below take effect at once. A change of a
key marked *restart* is logged and waits for the next start. A configuration that is refused changes nothing.

";

/// The reference page, as it is in `docs/reference/configuration.md`.
pub fn reference_markdown() -> String {
    let mut page = format!("{INTRODUCTION}\n## A complete example\n\n```yaml\n{EXAMPLE}```\n\n");
    index(&mut page);
    stores(&mut page);
    page.push_str(RULES);
    page.push_str(ENVIRONMENT);
    page.push_str(RELOAD);
    for (name, section) in sections() {
        let _ = write!(page, "## `{name}`\n\n{}\n\n{TABLE}", section.description);
        rows(&mut page, section, section.reload);
        page.push('\n');
    }
    without_effect(&mut page);
    page
}

const TABLE: &str = "| Key | Value | Default | Change | Meaning |\n|---|---|---|---|---|\n";

/// The top-level keys that have an effect.
fn sections() -> impl Iterator<Item = (&'static str, &'static Node)> {
    let all = schema::tree().children().iter().map(|(name, node)| (name.as_str(), node));
    all.filter(|(_, node)| node.has_effect())
}

fn index(page: &mut String) {
    page.push_str("## Sections\n\n| Section | Subject |\n|---|---|\n");
    for (name, section) in sections() {
        let _ = writeln!(page, "| [`{name}`](#{name}) | {} |", cell(&section.description));
    }
    page.push('\n');
}

fn stores(page: &mut String) {
    page.push_str(
        "## Remote stores\n\nWith blobs in one of these the database stays on a local disk: `metadata.sqlite.path`. Keep secrets out of the\n\
         file: `REGISTRY_STORAGE_S3_SECRETKEY_FILE=/run/secrets/s3` and the like.\n\n",
    );
    for (name, example) in STORES {
        let _ = write!(page, "{name}:\n\n```yaml\n{example}```\n\n");
    }
}

fn rows(page: &mut String, node: &Node, reload: bool) {
    if !matches!(node.kind, Kind::Section(_)) || node.driver {
        row(page, node, reload);
    }
    for (_, child) in node.children().iter().filter(|(_, child)| child.has_effect()) {
        rows(page, child, reload || child.reload);
    }
    if let Kind::List(item) | Kind::Map(item) = &node.kind
        && !item.is_scalar()
    {
        for (_, child) in item.children() {
            rows(page, child, reload);
        }
    }
}

fn row(page: &mut String, node: &Node, reload: bool) {
    let change = if reload { "reload" } else { "restart" };
    let mut meaning = cell(&node.description);
    let choices = match &node.kind {
        Kind::List(item) => &item.choices,
        _ => &node.choices,
    };
    for choice in choices {
        let _ = write!(meaning, " `{}`: {}", choice.value, cell(&choice.description));
    }
    let _ = writeln!(
        page,
        "| `{}` | {} | {} | {change} | {meaning} |",
        node.path,
        value_type(node),
        default(node)
    );
}

fn value_type(node: &Node) -> String {
    match &node.kind {
        _ if !node.choices.is_empty() => "one of those named".to_owned(),
        Kind::Text if node.secret => "secret".to_owned(),
        Kind::Text => node.text_type.clone().unwrap_or_else(|| "text".to_owned()),
        Kind::Bool => "boolean".to_owned(),
        Kind::Integer => "number".to_owned(),
        Kind::Any => "anything".to_owned(),
        Kind::Section(_) => "section".to_owned(),
        Kind::List(item) => format!("list of {}", plural(item)),
        Kind::Map(item) => format!("map of names to {}", plural(item)),
    }
}

fn plural(item: &Node) -> String {
    match &item.kind {
        _ if !item.choices.is_empty() => "those named".to_owned(),
        Kind::List(inner) => format!("lists of {}", plural(inner)),
        _ => format!("{}s", value_type(item)),
    }
}

fn default(node: &Node) -> String {
    if let Some(words) = &node.default_text {
        return words.clone();
    }
    match &node.default {
        None => "none".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "empty".to_owned(),
        Some(Value::Object(items)) if items.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => format!("`{other}`"),
    }
}

/// Text that fits in a cell of a table.
fn cell(text: &str) -> String {
    text.replace("\n\n", " ").replace('|', "\\|")
}

fn without_effect(page: &mut String) {
    page.push_str("## Keys of `registry:2` that mean nothing here\n\n");
    page.push_str("They are accepted with a line in the log.\n\n| Key | Why |\n|---|---|\n");
    listed(page, |node| node.ignored.as_deref());
    page.push_str("\n## Sections of `registry:2` that are refused\n\n");
    page.push_str("To ignore them would be unsafe. A section that is empty asks for nothing and is accepted.\n\n| Section | What to do |\n|---|---|\n");
    listed(page, |node| node.refused.as_deref());
}

fn listed(page: &mut String, reason: fn(&Node) -> Option<&str>) {
    schema::tree().walk(&mut |node| {
        if let Some(reason) = reason(node) {
            let _ = writeln!(page, "| `{}` | {} |", node.path, cell(reason));
        }
    });
}
