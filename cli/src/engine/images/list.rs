use std::process::ExitCode;

use anyhow::Result;
use berth_runner::images::{Image, size};
use berth_runner::layers::LayerStore;
use berth_runner::templates::Format;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::arguments::ListArguments;
use super::filter::Filters;
use super::{stores, units};

/// What stands where there is nothing.
const NONE: &str = "<none>";

const ID: &str = "{{.ID}}";
const COLUMNS: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const WITH_DIGESTS: &str =
    "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/// A line of the list: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    repository: String,
    tag: String,
    digest: String,
}

/// `berth images`.
pub(super) fn run(arguments: &ListArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let mut filter = arguments.filter.clone();
    filter.extend(arguments.name.iter().map(|name| format!("reference={name}")));
    let filters = Filters::read(&filter, &images)?;
    let found = images.list()?;
    let found: Vec<&Image> = found.iter().filter(|image| filters.takes(image)).collect();
    let rows: Vec<Row<'_>> =
        found.iter().flat_map(|image| rows(image, &filters, arguments.digests)).collect();
    let columns = match (arguments.digests, arguments.quiet) {
        (_, true) => ID,
        (true, false) => WITH_DIGESTS,
        (false, false) => COLUMNS,
    };
    let format = Format::parse(arguments.format.as_deref().unwrap_or_default(), columns)?;
    let objects = rows.iter().map(|row| object(row, &layers, arguments.no_trunc));
    let objects = objects.collect::<Result<Vec<_>>>()?;
    print!("{}", format.render(&head(), objects)?);
    Ok(ExitCode::SUCCESS)
}

/// What the columns are called.
fn head() -> Value {
    json!({
        "Containers": "CONTAINERS",
        "CreatedAt": "CREATED AT",
        "CreatedSince": "CREATED",
        "Digest": "DIGEST",
        "ID": "IMAGE ID",
        "Repository": "REPOSITORY",
        "SharedSize": "SHARED SIZE",
        "Size": "SIZE",
        "Tag": "TAG",
        "UniqueSize": "UNIQUE SIZE",
    })
}

/// The members that templates of docker's users name.
fn object(row: &Row<'_>, layers: &LayerStore, whole: bool) -> Result<Value> {
    let created = created(row.image);
    Ok(json!({
        "Containers": "N/A",
        "CreatedAt": row.image.config.created.clone().unwrap_or_default(),
        "CreatedSince": created,
        "Digest": row.digest,
        "ID": id(row.image, whole),
        "Repository": row.repository,
        "SharedSize": "N/A",
        "Size": units::size(size(row.image, layers)?),
        "Tag": row.tag,
        "UniqueSize": "N/A",
    }))
}

/// A line for each name with a tag, with the digest that the same repository has for it.
fn rows<'a>(image: &'a Image, filters: &Filters, with_digests: bool) -> Vec<Row<'a>> {
    let digest_of = |repository: &str| {
        let found = image.digests.iter().find_map(|name| {
            let (name, digest) = name.split_once('@')?;
            (name == repository).then(|| digest.to_owned())
        });
        found.unwrap_or_else(|| NONE.to_owned())
    };
    let row = |repository: &str, tag: &str| Row {
        image,
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest_of(repository),
    };
    let tagged = image.names.iter().filter(|name| filters.takes_name(name));
    let rows: Vec<_> =
        tagged.filter_map(|name| name.rsplit_once(':')).map(|(name, tag)| row(name, tag)).collect();
    if !rows.is_empty() {
        return rows;
    }
    let repositories = image.digests.iter().filter(|name| filters.takes_name(name));
    let repositories: Vec<&str> =
        repositories.filter_map(|name| name.split_once('@')).map(|(name, _)| name).collect();
    match (repositories.as_slice(), with_digests) {
        ([], _) => vec![row(NONE, NONE)],
        ([first, ..], false) => vec![row(first, NONE)],
        (all, true) => all.iter().map(|name| row(name, NONE)).collect(),
    }
}

fn id(image: &Image, whole: bool) -> String {
    match whole {
        true => image.id.to_string(),
        false => image.id.hex()[..12].to_owned(),
    }
}

fn created(image: &Image) -> String {
    let created = image.config.created_at();
    created.map_or_else(|| "N/A".to_owned(), |created| units::ago(created, Timestamp::now()))
}
