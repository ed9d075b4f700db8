use std::process::ExitCode;

use anyhow::Result;
use berth_runner::images::{History, Image};
use berth_runner::layers::LayerStore;
use berth_runner::templates::Format;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::arguments::HistoryArguments;
use super::{stores, units};

/// What is shown of a step whose image nobody has: all but the last.
const MISSING: &str = "<missing>";

const ID: &str = "{{.ID}}";
const COLUMNS: &str = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

/// How long what made a step may be, in characters.
const LONGEST: usize = 45;

struct Row {
    id: String,
    step: History,
    size: u64,
}

/// `berth history IMAGE`.
pub(super) fn run(arguments: &HistoryArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let image = images.find(&arguments.image)?;
    let rows = rows(&image, &layers, arguments.no_trunc)?;
    let columns = if arguments.quiet { ID } else { COLUMNS };
    let format = Format::parse(arguments.format.as_deref().unwrap_or_default(), columns)?;
    let objects = rows.iter().map(|row| object(row, arguments));
    print!("{}", format.render(&head(), objects)?);
    Ok(ExitCode::SUCCESS)
}

/// What the columns are called.
fn head() -> Value {
    json!({
        "ID": "IMAGE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    })
}

/// The steps, newest first, with the sizes of the layers that they made.
fn rows(image: &Image, layers: &LayerStore, whole: bool) -> Result<Vec<Row>> {
    let mut diff_ids = image.layers.iter();
    let mut rows = Vec::new();
    for step in &image.config.history {
        let layer = if step.empty_layer { None } else { diff_ids.next() };
        let size = layer.map(|layer| layers.size(layer)).transpose()?.unwrap_or_default();
        rows.push(Row { id: MISSING.to_owned(), step: step.clone(), size });
    }
    rows.reverse();
    if let Some(last) = rows.first_mut() {
        last.id = match whole {
            true => image.id.to_string(),
            false => image.id.hex()[..12].to_owned(),
        };
    }
    Ok(rows)
}

fn object(row: &Row, arguments: &HistoryArguments) -> Value {
    let size = match arguments.human {
        true => units::size(row.size),
        false => row.size.to_string(),
    };
    json!({
        "ID": row.id,
        "CreatedSince": created(row, arguments.human),
        "CreatedAt": row.step.created.clone().unwrap_or_default(),
        "CreatedBy": created_by(row, arguments.no_trunc),
        "Size": size,
        "Comment": row.step.comment,
    })
}

fn created(row: &Row, human: bool) -> String {
    let text = row.step.created.clone().unwrap_or_default();
    match text.parse::<Timestamp>() {
        Ok(created) if human => units::ago(created, Timestamp::now()),
        _ => text,
    }
}

fn created_by(row: &Row, whole: bool) -> String {
    let text = row.step.created_by.replace('\t', " ");
    if whole || text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}
