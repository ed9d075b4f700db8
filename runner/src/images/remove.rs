//! Names and images that go, by docker's rules.

use std::collections::BTreeMap;

use berth_oci::Digest;
use jiff::Timestamp;

use super::error::ImageError;
use super::name::ImageReference;
use super::store::{Catalogue, Image, ImageStore};
use crate::layers::LayerStore;

/// What still uses images.
pub trait ImageUsers {
    /// The containers that were made of an image.
    ///
    /// # Errors
    /// When that cannot be told.
    fn users(&self, id: &Digest) -> std::io::Result<Vec<ImageUser>>;
}

/// A container that was made of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUser {
    /// The container.
    pub container_id: String,
    /// Whether it runs.
    pub running: bool,
}

/// Nothing uses images.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUsers;

impl ImageUsers for NoUsers {
    fn users(&self, _: &Digest) -> std::io::Result<Vec<ImageUser>> {
        Ok(Vec::new())
    }
}

/// What has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name.
    Untagged(String),
    /// An image, or a layer that no other image has.
    Deleted(Digest),
}

/// What a prune has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What has gone.
    pub removed: Vec<Removed>,
    /// How many bytes were given back.
    pub reclaimed: u64,
}

/// Which images a prune looks at.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// Those with names as well, where no container uses them.
    pub all: bool,
    /// Those that were made before that alone.
    pub until: Option<Timestamp>,
    /// Those with all of these labels alone: a name, or a name and a value.
    pub labels: Vec<(String, Option<String>)>,
    /// Those with none of these labels alone.
    pub without_labels: Vec<(String, Option<String>)>,
}

/// Removes a name; with the last name the image, and all that no other has.
///
/// # Errors
/// When there is no such image, or something still needs it.
pub fn remove(
    images: &ImageStore,
    layers: &LayerStore,
    users: &dyn ImageUsers,
    name: &str,
    force: bool,
) -> Result<Vec<Removed>, ImageError> {
    let mut removed = images.change(|catalogue| {
        let id = images.look_up(catalogue, name)?;
        Removal { images, catalogue, users: &users_of(users, &id)?, id, force }.run(name)
    })?;
    let layers_before: Vec<Digest> = removed.layers;
    images.sweep(layers)?;
    // Layers are told in the order in which docker takes them away: the highest first.
    let gone = layers_before.into_iter().rev().filter(|layer| !layers.has(layer));
    removed.told.extend(gone.map(Removed::Deleted));
    Ok(removed.told)
}

/// Removes images that nobody needs: those without a name, or all that no container uses.
///
/// # Errors
/// When something cannot be read or removed.
pub fn prune(
    images: &ImageStore,
    layers: &LayerStore,
    users: &dyn ImageUsers,
    options: &PruneOptions,
) -> Result<Pruned, ImageError> {
    let mut pruned = Pruned::default();
    for image in images.list()? {
        if !options.takes(&image) {
            continue;
        }
        pruned.removed.extend(images.change(|catalogue| {
            let mut told = Vec::new();
            // Whoever makes a container holds the lock that this is under.
            if !users_of(users, &image.id)?.is_empty() {
                return Ok(told);
            }
            for name in catalogue.names_of(&image.id) {
                catalogue.names.remove(&name.to_string());
                told.push(Removed::Untagged(name.familiar()));
            }
            catalogue.images.remove(&image.id);
            told.push(Removed::Deleted(image.id));
            Ok(told)
        })?);
    }
    if options.takes_all() {
        images.forget_ahead()?;
    }
    pruned.reclaimed = images.sweep(layers)?;
    Ok(pruned)
}

impl PruneOptions {
    /// Whether it leaves nothing that no container uses.
    fn takes_all(&self) -> bool {
        let Self { all, until, labels, without_labels } = self;
        *all && until.is_none() && labels.is_empty() && without_labels.is_empty()
    }

    fn takes(&self, image: &Image) -> bool {
        let has = |(name, value): &(String, Option<String>)| {
            let label = image.config.config.labels.get(name);
            label.is_some_and(|label| value.as_ref().is_none_or(|value| value == label))
        };
        let is_old = |until| image.config.created_at().is_none_or(|created| created < until);
        (self.all || image.names.is_empty())
            && self.until.is_none_or(is_old)
            && self.labels.iter().all(has)
            && !self.without_labels.iter().any(has)
    }
}

/// What was told, and the layers of an image that has gone.
struct Told {
    told: Vec<Removed>,
    layers: Vec<Digest>,
}

struct Removal<'a> {
    images: &'a ImageStore,
    catalogue: &'a mut Catalogue,
    users: &'a [ImageUser],
    id: Digest,
    force: bool,
}

impl Removal<'_> {
    fn run(mut self, text: &str) -> Result<Told, ImageError> {
        let by_id =
            self.images.name(text).ok().filter(|name| self.catalogue.id_of(name) == Some(self.id));
        match by_id {
            Some(name) => self.by_name(&name),
            None => self.by_id(),
        }
    }

    /// Takes a name away, and the image with the last one.
    fn by_name(&mut self, name: &ImageReference) -> Result<Told, ImageError> {
        let name = match name.digest() {
            Some(digest) => name.with_digest(digest),
            None => name.or_latest(),
        };
        let names = self.catalogue.names_of(&self.id);
        if is_single(&names) && !self.force {
            self.refuse_while_used(&name)?;
        }
        let mut told = self.untag(std::slice::from_ref(&name));
        let mut left = self.catalogue.names_of(&self.id);
        left.retain(|other| other.repository() == name.repository());
        // What remains of a repository without a tag would be found by nobody.
        if name.tag().is_some() && left.iter().all(|other| other.tag().is_none()) {
            told.extend(self.untag(&left));
        }
        match self.catalogue.names_of(&self.id).is_empty() && self.users.is_empty() {
            true => self.delete(told),
            false => Ok(Told { told, layers: Vec::new() }),
        }
    }

    /// Takes an image away, with its names if they are of one repository.
    fn by_id(&mut self) -> Result<Told, ImageError> {
        let (short, names) = (short_id(&self.id), self.catalogue.names_of(&self.id));
        if let Some(user) = self.users.iter().find(|user| user.running) {
            return Err(ImageError::Conflict(format!(
                "unable to delete {short} (cannot be forced) - image is being used by running \
                 container {}",
                short_container(user)
            )));
        }
        if !self.force && !is_single(&names) {
            return Err(ImageError::Conflict(format!(
                "unable to delete {short} (must be forced) - image is referenced in multiple \
                 repositories"
            )));
        }
        if let (false, Some(user)) = (self.force, self.users.first()) {
            return Err(ImageError::Conflict(format!(
                "unable to delete {short} (must be forced) - image is being used by stopped \
                 container {}",
                short_container(user)
            )));
        }
        let told = self.untag(&names);
        match self.users.is_empty() {
            true => self.delete(told),
            // The container needs its layers; the image goes with the next prune after it.
            false => Ok(Told { told, layers: Vec::new() }),
        }
    }

    fn refuse_while_used(&self, name: &ImageReference) -> Result<(), ImageError> {
        let Some(user) = self.users.first() else { return Ok(()) };
        Err(ImageError::Conflict(format!(
            "unable to remove repository reference {:?} (must force) - container {} is using its \
             referenced image {}",
            name.familiar(),
            short_container(user),
            short_id(&self.id)
        )))
    }

    fn untag(&mut self, names: &[ImageReference]) -> Vec<Removed> {
        let mut told = Vec::new();
        for name in names {
            if self.catalogue.names.remove(&name.to_string()).is_some() {
                told.push(Removed::Untagged(name.familiar()));
            }
        }
        told
    }

    fn delete(&mut self, mut told: Vec<Removed>) -> Result<Told, ImageError> {
        // A configuration that is damaged is no reason to keep the image.
        let image = self.images.image(self.catalogue, &self.id);
        let layers = image.map(|image| image.layers).unwrap_or_default();
        self.catalogue.images.remove(&self.id);
        told.push(Removed::Deleted(self.id));
        Ok(Told { told, layers })
    }
}

/// Whether the names are of one repository, and one at most of them is a tag.
fn is_single(names: &[ImageReference]) -> bool {
    let mut repositories: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let tags = repositories.entry(name.repository().to_string()).or_default();
        *tags += usize::from(name.tag().is_some());
    }
    repositories.len() <= 1 && repositories.values().all(|tags| *tags <= 1)
}

fn users_of(users: &dyn ImageUsers, id: &Digest) -> Result<Vec<ImageUser>, ImageError> {
    users.users(id).map_err(|source| ImageError::System {
        doing: "look which containers use the image".to_owned(),
        source,
    })
}

fn short_id(id: &Digest) -> String {
    super::progress::short(id)
}

fn short_container(user: &ImageUser) -> String {
    user.container_id.chars().take(12).collect()
}
