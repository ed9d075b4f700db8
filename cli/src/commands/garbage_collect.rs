use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use berth_registry::Collected;
use berth_registry::control::{Ask, Told};

/// `berth garbage-collect`.
pub(crate) fn run(ask: Ask, quiet: bool, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    let dry_run = matches!(ask, Ask::Collect { dry_run: true, .. });
    let mut screen = Screen { quiet, dry_run, has_progress: false };
    super::ask::run(config, ask, |told| screen.show(told))
}

/// Prints what is told: a line for each thing, and a line of progress where a person looks on.
struct Screen {
    quiet: bool,
    dry_run: bool,
    has_progress: bool,
}

impl Screen {
    fn show(&mut self, told: Told) -> Result<()> {
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
            Told::Line(line) => self.line(&line)?,
            Told::Done(collected) => self.report(&collected)?,
            // Told to those who ask for something else.
            Told::Verdict { .. }
            | Told::Retained(_)
            | Told::Answered(_)
            | Told::Importing(_)
            | Told::Found(_)
            | Told::Imported(_)
            | Told::Exporting(_)
            | Told::Exported(_)
            | Told::Scrubbing(_)
            | Told::Damaged(_)
            | Told::Scrubbed(_) => {}
            Told::Finished | Told::Failed(_) => self.end_progress()?,
        }
        Ok(())
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
pub(super) fn bytes(bytes: u64) -> String {
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
