use std::process::ExitCode;

use anyhow::Result;
use berth_runner::images::inspect;
use berth_runner::templates::Template;
use serde_json::Value;

use super::arguments::InspectArguments;
use super::stores;

/// `berth image inspect IMAGE…`: those that are there are shown, and those that are not are told.
pub(super) fn run(arguments: &InspectArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &arguments.images {
        match images.find(name).and_then(|image| inspect(&image, &layers)) {
            Ok(shown) => found.push(shown),
            Err(error) => failures.push(error),
        }
    }
    match arguments.format.as_deref() {
        None => println!("{}", pretty(&Value::Array(found))?),
        Some(format) => {
            let text = if format == "json" { "{{json .}}" } else { format };
            let template = Template::parse(text)?;
            for object in &found {
                println!("{}", template.render(object)?);
            }
        }
    }
    for failure in &failures {
        eprintln!("berth: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As docker indents it.
fn pretty(value: &Value) -> Result<String> {
    use serde::Serialize as _;
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    Ok(String::from_utf8(text)?)
}
