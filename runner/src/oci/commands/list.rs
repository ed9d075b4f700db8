//! `list`.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::Result;
use super::super::arguments::ListFormat;
use super::super::container;
use super::{Context, print};

pub(super) fn list(context: &Context<'_>, format: ListFormat, quiet: bool) -> Result<()> {
    let all = container::all(context.root)?;
    if quiet {
        return print(
            &all.iter().map(|(record, _)| format!("{}\n", record.id)).collect::<String>(),
        );
    }
    let states: Vec<Value> = all.iter().map(|(record, status)| record.state(*status)).collect();
    match format {
        ListFormat::Json => print(&format!("{}\n", Value::Array(states))),
        ListFormat::Table => print(&table(&states)),
    }
}

fn table(states: &[Value]) -> String {
    const HEADS: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    const KEYS: [&str; 6] = ["id", "pid", "status", "bundle", "created", "owner"];
    let row = |state: &Value| {
        KEYS.map(|key| match &state[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let rows: Vec<[String; 6]> =
        [HEADS.map(str::to_owned)].into_iter().chain(states.iter().map(row)).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string does not fail.
            let _ = write!(line, "{cell:width$}   ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
