use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use berth_config::{Config, Driver};
use berth_metadata::MetadataError;
use berth_registry::control::{self, Ask, Told};
use berth_registry::{Collected, Registry};
use tokio::sync::mpsc;

use super::stores;

/// How much may be told before it is printed.
const TOLD: usize = 64;

/// `berth garbage-collect`: in the process that has the database, or, where there is none, in this one.
pub(crate) fn run(ask: Ask, quiet: bool, file: Option<&Path>) -> Result<ExitCode> {
    let config = Arc::new(super::config::load(file)?.config);
    if config.storage.driver() == Driver::InMemory {
        bail!(
            "the blobs are in the memory of the berth that serves them, which collects by itself"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (tell, mut told) = mpsc::channel(TOLD);
        let dry_run = matches!(ask, Ask::Collect { dry_run: true, .. });
        let work = tokio::spawn(carry_out(config, ask, tell));
        let mut screen = Screen { quiet, dry_run, has_progress: false };
        let mut outcome = None;
        while let Some(told) = told.recv().await {
            outcome = screen.show(told)?.or(outcome);
        }
        work.await??;
        match outcome {
            Some(Ok(())) => Ok(ExitCode::SUCCESS),
            Some(Err(reason)) => Err(anyhow!(reason)),
            None => bail!("the work ended before it was done"),
        }
    })
}

/// Does what is asked in the process that has the database, or in this one.
pub(super) async fn carry_out(
    config: Arc<Config>,
    ask: Ask,
    tell: mpsc::Sender<Told>,
) -> Result<()> {
    let stores = match stores::open(&config).await {
        Ok(stores) => stores,
        Err(error) => {
            let in_use =
                matches!(error.downcast_ref::<MetadataError>(), Some(MetadataError::InUse { .. }));
            let Some(database) = config.database_path().filter(|_| in_use) else {
                return Err(error);
            };
            let socket = control::socket_path(&database);
            let asked = control::ask(&socket, &ask, tell).await;
            return asked.with_context(|| {
                format!("the berth that has the database cannot be asked at {}", socket.display())
            });
        }
    };
    let metadata = stores.metadata.clone();
    let registry = Registry::new(config, stores.blobs, stores.metadata);
    control::carry_out(&registry, ask, tell).await;
    metadata.close().await;
    Ok(())
}

/// Prints what is told: a line for each thing, and a line of progress where a person looks on.
struct Screen {
    quiet: bool,
    dry_run: bool,
    has_progress: bool,
}

impl Screen {
    /// The outcome, once it is told.
    fn show(&mut self, told: Told) -> Result<Option<Result<(), String>>> {
        match told {
            Told::Progress(collected) => self.progress(&collected)?,
            Told::Manifest { repository, digest } => {
                let what = if self.dry_run { "would delete" } else { "deleted" };
                self.line(&format!("{what} the untagged manifest {repository}@{digest}"))?;
            }
            Told::Link { repository, digest, size } => {
                let size = bytes(size);
                self.line(&format!("would let go of the blob {repository}@{digest} ({size})"))?;
            }
            Told::Done(collected) => {
                self.report(&collected)?;
                return Ok(Some(Ok(())));
            }
            // Told to those who ask for something else.
            Told::Verdict { .. } | Told::Retained(_) => {}
            Told::Failed(reason) => {
                self.end_progress()?;
                return Ok(Some(Err(reason)));
            }
        }
        Ok(None)
    }

    fn progress(&mut self, collected: &Collected) -> Result<()> {
        let mut out = std::io::stderr();
        if self.quiet || !out.is_terminal() {
            return Ok(());
        }
        let Collected { kept, unlinked, removed, freed_bytes, .. } = collected;
        let looked = kept + unlinked;
        let freed = bytes(*freed_bytes);
        write!(
            out,
            "\r\x1b[K{looked} links looked at, {unlinked} let go; {removed} blobs removed, {freed} freed"
        )?;
        out.flush()?;
        self.has_progress = true;
        Ok(())
    }

    fn end_progress(&mut self) -> Result<()> {
        if std::mem::take(&mut self.has_progress) {
            write!(std::io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.end_progress()?;
        if !self.quiet {
            writeln!(std::io::stdout(), "{text}")?;
        }
        Ok(())
    }

    fn report(&mut self, collected: &Collected) -> Result<()> {
        let Collected {
            untagged,
            kept,
            unlinked,
            released,
            released_bytes,
            removed,
            freed_bytes,
            failed,
        } = collected;
        let (released_bytes, freed) = (bytes(*released_bytes), bytes(*freed_bytes));
        if self.dry_run {
            return self.line(&format!(
                "{untagged} untagged manifests and {unlinked} links would go, {kept} links stay; \
                 {released} blobs ({released_bytes}) would be garbage. Nothing was changed"
            ));
        }
        self.line(&format!(
            "{untagged} untagged manifests deleted; {unlinked} links let go, {kept} kept"
        ))?;
        self.line(&format!(
            "{released} blobs ({released_bytes}) became garbage; their bytes go after the grace period"
        ))?;
        self.line(&format!("{removed} blobs removed, {freed} freed"))?;
        if *failed > 0 {
            self.line(&format!(
                "{failed} blobs could not be removed and are tried again later; the log says why"
            ))?;
        }
        Ok(())
    }
}

/// A number of bytes, for a person.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    // Precise enough for a person.
    #[allow(clippy::cast_precision_loss)]
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match unit {
        "bytes" => format!("{bytes} bytes"),
        _ => format!("{value:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_told_in_a_unit_that_fits() {
        let told = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes);
        assert_eq!(told, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 MiB", "16384.0 PiB"]);
    }
}
