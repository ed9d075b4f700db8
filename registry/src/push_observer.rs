use std::fmt::Debug;

use berth_oci::{Digest, ManifestKind, RepositoryName};

/// Somebody in this process who is told of what clients push, to do something of their own with it.
pub trait PushObserver: Debug + Send + Sync {
    /// A client has pushed a manifest, which is stored with all that it demands. The client is answered after this
    /// returns, so it must not wait for anything.
    fn pushed(&self, repository: &RepositoryName, digest: &Digest, manifest: &ManifestKind);
}
