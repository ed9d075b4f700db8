//! What `inspect` prints of whatever was found.

use anyhow::Result;
use berth_runner::templates::Template;
use serde::Serialize as _;
use serde_json::Value;

/// Everything where no format is asked for, or an empty one; `json` is the same in one line, and a template is for each
/// of them.
pub(crate) fn show(found: Vec<Value>, format: Option<&str>) -> Result<()> {
    match format {
        None | Some("") => println!("{}", pretty(&found)?),
        Some("json") => println!("{}", Value::Array(found)),
        Some(format) => {
            let template = Template::parse(format)?;
            for object in &found {
                println!("{}", template.render(object)?);
            }
        }
    }
    Ok(())
}

/// As docker indents it.
fn pretty(found: &[Value]) -> Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    found.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    Ok(String::from_utf8(text)?)
}
