//! What each line of a log says of its container: `--log-opt labels=…`, `env=…` and `tag=…`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::containers::error::ContainerError;
use crate::containers::record::Record;
use crate::templates::Template;

/// Names and values, in the order of the names.
pub type Attributes = BTreeMap<String, String>;

/// The options by which there are some.
pub(super) const OPTIONS: [&str; 3] = ["labels", "env", "tag"];

/// Those of a container. A label or variable that it does not have is left out.
///
/// # Errors
///
/// For a tag that is no template, or of something that there is not.
pub(in crate::containers) fn attributes(record: &Record) -> Result<Attributes, ContainerError> {
    let options = &record.host_config.log_config.config;
    let names = |option: &str| {
        let names = options.get(option).map_or("", String::as_str);
        names.split(',').map(str::trim).filter(|name| !name.is_empty())
    };
    let mut attributes = Attributes::new();
    for name in names("labels") {
        if let Some(value) = record.labels().get(name) {
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    for name in names("env") {
        let pairs = record.config.env.iter().filter_map(|pair| pair.split_once('='));
        if let Some((_, value)) = pairs.into_iter().find(|(other, _)| *other == name) {
            attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(template) = options.get("tag").filter(|template| !template.is_empty()) {
        attributes.insert("tag".to_owned(), tag(template, record)?);
    }
    Ok(attributes)
}

fn tag(template: &str, record: &Record) -> Result<String, ContainerError> {
    let image = record.image.to_string();
    let bare = image.split_once(':').map_or(&*image, |(_, bare)| bare);
    let data = json!({
        "ID": record.id.short(),
        "FullID": record.id.as_str(),
        "Name": record.name,
        "ImageID": bare.get(..12).unwrap_or(bare),
        "ImageFullID": image,
        "ImageName": record.config.image,
        "Command": record.command().join(" "),
        "DaemonName": "berth",
    });
    let rendered = Template::parse(template).and_then(|template| template.render(&data));
    rendered.map_err(|error| ContainerError::Invalid(format!("invalid value for tag: {error}")))
}
