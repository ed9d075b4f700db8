use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use berth_client::{
    ClientOptions, CopyStep, DockerConfig, ImageCopy, ImageName, Place, RegistryClient,
};

/// `berth copy SOURCE TARGET`.
pub(crate) fn run(source: &ImageName, target: &ImageName, quiet: bool) -> Result<ExitCode> {
    let runtime = super::runtime::start()?;
    runtime.block_on(copy(source, target, quiet))
}

async fn copy(source: &ImageName, target: &ImageName, quiet: bool) -> Result<ExitCode> {
    let logins = match DockerConfig::path() {
        Some(path) => DockerConfig::read(&path)?,
        None => DockerConfig::default(),
    };
    let (from, to) = (place(source, &logins)?, place(target, &logins)?);
    let screen = Arc::new(Mutex::new(Screen::new(quiet)));
    let shown = screen.clone();
    let copy = ImageCopy::new(from, to, move |step| {
        shown.lock().unwrap_or_else(PoisonError::into_inner).show(step);
    });
    let copied = copy.run(&source.reference, &target.reference).await;
    let screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
    screen.clear();
    let digest = copied.with_context(|| format!("{source} could not be copied to {target}"))?;
    if !quiet {
        writeln!(std::io::stdout(), "{target} is {digest}{}", screen.summary())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn place(name: &ImageName, logins: &DockerConfig) -> Result<Place> {
    let credentials = logins.credentials(&name.host);
    let options = ClientOptions { credentials, ..ClientOptions::default() };
    let client = RegistryClient::new(name.registry.clone(), options)?;
    Ok(Place { client, repository: name.repository.clone() })
}

/// A line of progress, where a person looks on.
#[derive(Debug)]
struct Screen {
    is_shown: bool,
    blobs: u64,
    present: u64,
    manifests: u64,
    bytes: u64,
    of_bytes: u64,
}

impl Screen {
    fn new(quiet: bool) -> Self {
        let is_shown = !quiet && std::io::stderr().is_terminal();
        Self { is_shown, blobs: 0, present: 0, manifests: 0, bytes: 0, of_bytes: 0 }
    }

    fn show(&mut self, step: CopyStep) {
        match step {
            CopyStep::Begun(size) => {
                self.blobs += 1;
                self.of_bytes += size;
            }
            CopyStep::Bytes(bytes) => self.bytes += bytes,
            CopyStep::Present => self.present += 1,
            CopyStep::Manifest => self.manifests += 1,
        }
        if self.is_shown {
            let (done, all) = (self.bytes >> 20, self.of_bytes >> 20);
            let line = format!("\r\x1b[K{done} of {all} MiB in {} blobs", self.blobs);
            // A terminal that is gone is no reason to stop.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }

    fn summary(&self) -> String {
        let Self { blobs, present, manifests, bytes, .. } = self;
        format!(
            "; {blobs} blobs of {bytes} bytes copied, {present} were there, {manifests} manifests stored"
        )
    }
}
