//! Templates as Go has them, for `--format` and `inspect -f`: what people who know docker type there.
//!
//! ```
//! use berth_runner::templates::Template;
//!
//! let template = Template::parse("{{range $i, $e := .Names}}{{if $i}}, {{end}}{{upper $e}}{{end}}")?;
//! let data = serde_json::json!({"Names": ["a", "b"]});
//! assert_eq!(template.render(&data)?, "A, B");
//! # Ok::<(), berth_runner::templates::TemplateError>(())
//! ```
//!
//! The data are JSON, so a Go struct looks as a map does: `map[a:b]`. A field that holds a map can be
//! given the name of a member: `{{.Label "a"}}`; then a member that is missing is empty. In what docker has as a map a
//! missing member is `<no value>`: `{{.Config.Labels.a}}`.
//!
//! There is no `define` and no `template`, as nobody has a use for them in one line.

mod error;
mod fields;
mod format;
mod functions;
mod lexer;
mod nodes;
mod parser;
mod print;
mod printf;
mod render;

use serde_json::Value;

pub use error::TemplateError;
pub use format::{Format, align};
pub use printf::quoted;

use nodes::Node;

/// A template that was understood.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// In Go's words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { nodes: parser::parse(text)? })
    }

    /// What it says of `data`.
    ///
    /// # Errors
    ///
    /// In Go's words, what it wants to know of them and is not there.
    pub fn render(&self, data: &Value) -> Result<String, TemplateError> {
        render::render(&self.nodes, data)
    }
}

#[cfg(test)]
mod tests;
