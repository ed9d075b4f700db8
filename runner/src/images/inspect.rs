//! What `image inspect` shows, in the shape of the Docker Engine API.

use serde_json::{Value, json};

use super::error::ImageError;
use super::store::Image;
use crate::layers::LayerStore;

/// The system and processor of an image, its names, what it runs, and what it is made of.
///
/// # Errors
/// When a layer is not there.
pub fn inspect(image: &Image, layers: &LayerStore) -> Result<Value, ImageError> {
    let config = &image.config;
    let mut shown = json!({
        "Id": image.id,
        "RepoTags": image.names,
        "RepoDigests": image.digests,
        "Parent": "",
        "Comment": config.comment,
        "DockerVersion": "",
        "Author": config.author,
        "Config": config.raw,
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": size(image, layers)?,
        "GraphDriver": {"Data": null, "Name": "overlay"},
        "RootFS": {"Type": "layers", "Layers": image.layers},
        "Metadata": {"LastTagTime": image.tagged},
        "Descriptor": image.manifest,
    });
    if let Some(created) = &config.created {
        shown["Created"] = json!(created);
    }
    if let Some(variant) = &config.variant {
        shown["Variant"] = json!(variant);
    }
    Ok(shown)
}

/// The size of all layers of an image, as they are in a container.
///
/// # Errors
/// When a layer is not there.
pub fn size(image: &Image, layers: &LayerStore) -> Result<u64, ImageError> {
    let sizes = image.layers.iter().map(|layer| Ok(layers.size(layer)?));
    sizes.sum()
}
