//! Images into an archive: an OCI image layout that is one of `docker save` as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use berth_oci::{Descriptor, Digest};

use super::super::error::{Doing as _, ImageError};
use super::super::name::ImageReference;
use super::super::store::{Image, ImageStore};
use super::docker::{self, ArchivedImage};
use super::layout::{self, Index};
use crate::layers::LayerStore;

/// Writes images into one archive: by a name with a tag that name alone, by a name without one all tags of
/// the repository, by an id no name. What was pulled is written as it came.
///
/// # Errors
/// When one of them is not there, or something cannot be read or written.
pub fn save(
    images: &ImageStore,
    layers: &LayerStore,
    names: &[String],
    output: &mut dyn Write,
) -> Result<(), ImageError> {
    let _lease = images.lease()?;
    let chosen = choose(images, names)?;
    let mut save = Save { images, layers, archive: tar::Builder::new(output) };
    save.run(&chosen)
}

/// An image, and the names that are saved with it.
type Chosen = (Image, Vec<ImageReference>);

fn choose(images: &ImageStore, names: &[String]) -> Result<Vec<Chosen>, ImageError> {
    let catalogue = images.catalogue()?;
    let mut order: Vec<Digest> = Vec::new();
    let mut found: BTreeMap<Digest, BTreeSet<ImageReference>> = BTreeMap::new();
    let mut add = |id: Digest, name: Option<ImageReference>| {
        if !order.contains(&id) {
            order.push(id);
        }
        found.entry(id).or_default().extend(name);
    };
    for text in names {
        let name = images.name(text).ok();
        let tags = name.as_ref().filter(|name| name.is_name_only());
        let tags = tags.map(|name| catalogue.tags_of(name)).unwrap_or_default();
        match (name, tags.is_empty()) {
            (Some(name), false) => {
                tags.into_iter().for_each(|(tag, id)| add(id, Some(name.with_tag(tag))));
            }
            (name, _) => {
                let id = images.look_up(&catalogue, text)?;
                // A name by digest, or an id, is none that could be loaded.
                let name = name.filter(|name| name.tag().is_some() && name.digest().is_none());
                add(id, name.filter(|name| catalogue.id_of(name) == Some(id)));
            }
        }
    }
    order
        .iter()
        .map(|id| {
            let names = found.remove(id).unwrap_or_default();
            Ok((images.image(&catalogue, id)?, names.into_iter().collect()))
        })
        .collect()
}

struct Save<'a, W: Write> {
    images: &'a ImageStore,
    layers: &'a LayerStore,
    archive: tar::Builder<W>,
}

impl<W: Write> Save<'_, W> {
    fn run(&mut self, chosen: &[Chosen]) -> Result<(), ImageError> {
        let (mut index, mut archived) = (Vec::new(), Vec::new());
        let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
        for (image, names) in chosen {
            let parts = self.images.parts(&image.manifest)?;
            blobs.insert(image.manifest.digest, image.manifest.size);
            blobs.extend(parts.layers.iter().map(|layer| (layer.digest, layer.size)));
            blobs.insert(parts.config.digest, parts.config.size);
            index.extend(index_entries(image, names));
            archived.push(archived_image(image, names, &parts.layers));
        }
        self.folder("blobs/")?;
        for algorithm in blobs.keys().map(Digest::algorithm).collect::<BTreeSet<_>>() {
            self.folder(&format!("blobs/{algorithm}/"))?;
        }
        for (digest, size) in &blobs {
            let mut content = self.images.content(self.layers, digest)?;
            self.file(&path(digest), *size, &mut content)?;
        }
        self.json(layout::NAME, &Index::new(index))?;
        self.json(docker::NAME, &archived)?;
        let (name, mark) = layout::MARK;
        self.file(name, mark.len() as u64, &mut &mark[..])?;
        self.archive.finish().doing(|| "write the archive")
    }

    fn json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<(), ImageError> {
        let bytes = serde_json::to_vec(value).doing(|| format!("write {name}"))?;
        self.file(name, bytes.len() as u64, &mut &*bytes)
    }

    fn folder(&mut self, name: &str) -> Result<(), ImageError> {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        let appended = self.archive.append_data(&mut header, name, std::io::empty());
        appended.doing(|| "write the archive")
    }

    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<(), ImageError> {
        let mut header = header(tar::EntryType::Regular, 0o644, size);
        // No more than was announced, and no less.
        let mut counted = Counted { content: content.take(size), count: 0 };
        let appended = self.archive.append_data(&mut header, name, &mut counted);
        appended.doing(|| "write the archive")?;
        match counted.count == size {
            true => Ok(()),
            false => Err(ImageError::archive(format!("{name} is shorter than it should be"))),
        }
    }
}

struct Counted<R> {
    content: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// It depends on what is saved alone: no clock, no names of users.
fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// An entry for each name, or one without.
fn index_entries(image: &Image, names: &[ImageReference]) -> Vec<Descriptor> {
    let entry = |annotations| Descriptor {
        annotations,
        platform: Some(image.config.platform()),
        ..image.manifest.clone()
    };
    if names.is_empty() {
        return vec![entry(None)];
    }
    let annotations = |name: &ImageReference| {
        let tag = name.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
        let pairs = [(layout::FULL_NAME, name.to_string()), (layout::REF_NAME, tag)];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    };
    names.iter().map(|name| entry(Some(annotations(name)))).collect()
}

fn archived_image(image: &Image, names: &[ImageReference], layers: &[Descriptor]) -> ArchivedImage {
    let tags: Vec<String> = names.iter().map(ImageReference::familiar).collect();
    ArchivedImage {
        config: path(&image.id),
        repo_tags: Some(tags).filter(|tags| !tags.is_empty()),
        layers: layers.iter().map(|layer| path(&layer.digest)).collect(),
        layer_sources: image.layers.iter().copied().zip(layers.iter().cloned()).collect(),
    }
}
