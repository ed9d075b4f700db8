//! The real binary over TLS: what it offers, whom it lets in, how it takes over certificates, and what it says of bad
//! ones.
//!
//! The tests need the optimised build. So they are ignored unless `cargo xtask faults` asks for them by name.

mod clients;
mod connection;
mod hostile;
mod offers;
mod replacement;
mod start;
mod traffic;

use anyhow::Result;
use berth_tests::authority::{Authority, Pair};
use berth_tests::{Launch, Server};
use tempfile::TempDir;

/// A registry with a certificate of an authority of its own.
struct Tls {
    authority: Authority,
    folder: TempDir,
    pair: Pair,
    server: Server,
}

impl Tls {
    /// With more settings.
    fn start(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(|_, _, launch| {
            Ok(settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value)))
        })
    }

    /// With a launch that the authority and the folder of the files have a part in.
    fn start_with(
        prepare: impl FnOnce(&Authority, &TempDir, Launch) -> Result<Launch>,
    ) -> Result<Self> {
        let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
        let pair = authority.server()?.write(folder.path(), "server")?;
        let launch = Launch::temporary()?.tls(&pair, authority.trust());
        let server = prepare(&authority, &folder, launch)?.start()?;
        Ok(Self { authority, folder, pair, server })
    }
}
