//! Images: their names, manifests and configurations, and how they come and go.
//!
//! [`ImageStore`] has them. They come by [`pull`] and [`load`], and go by [`push`], [`save`], [`remove`]
//! and [`prune`]. Layers are unpacked by the layer store while they come, or before that, by a registry on this
//! machine ([`LayersAhead`]).

mod ahead;
mod archive;
mod config;
mod error;
mod inspect;
mod login;
mod name;
mod platform;
mod progress;
mod pull;
mod push;
mod registry;
mod remove;
mod settings;
mod store;

pub use ahead::{AheadOptions, AheadWorker, LayersAhead, Made, StoredImage, Told};
pub use archive::{Loaded, load, save};
pub use config::{History, ImageConfig};
pub use error::ImageError;
pub use inspect::{inspect, size};
pub use login::{Kept, login, logout, server};
pub use name::ImageReference;
pub use platform::Target;
pub use progress::{Progress, Step, Unwatched};
pub use pull::{PullOptions, Pulled, pull, remote_tags};
pub use push::{Pushed, push};
pub use remove::{ImageUser, ImageUsers, NoUsers, PruneOptions, Pruned, Removed, prune, remove};
pub use settings::{RegistrySettings, Settings};
pub use store::{ContentLease, Image, ImageHold, ImageStore};
