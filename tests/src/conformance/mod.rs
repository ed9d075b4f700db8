//! The OCI's own conformance suites, which `cargo xtask setup` builds, with everything they can be asked to test asked
//! for. They look for the registry's headers on every answer, so blobs must not be redirects to a store.

mod current;
mod junit;
mod released;

use std::path::Path;

use crate::{Home, Launch};

pub use self::current::{current, current_with_login};
pub use self::released::{released, released_over_tls, released_with_login};

/// The same registry, where images and indexes may be sparse, which the suites can be asked to test.
#[must_use]
pub fn sparse(launch: Launch) -> Launch {
    launch
        .env("REGISTRY_VALIDATION_MANIFESTS_BLOBS", "optional")
        .env("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "none")
        .env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true")
}

/// Has a suite trust the authorities of a file, and log in with a name and a password.
fn log_in(home: &mut Home, authorities: &Path, (user, password): (&str, &str)) {
    home.set("SSL_CERT_FILE", authorities);
    home.set("OCI_USERNAME", user);
    home.set("OCI_PASSWORD", password);
}
