use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use berth_config::ByteSize;
use berth_registry::control::{Ask, Told};
use berth_registry::{Damage, Scrubbed};

use super::garbage_collect::bytes;
use super::screen::Screen;

/// What `berth scrub` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ScrubOptions {
    /// Read every blob once, now. A running berth goes round by itself.
    #[arg(long, required_unless_present = "list")]
    once: bool,
    /// Only tell which blobs are known to be damaged.
    #[arg(long, conflicts_with_all = ["once", "rate"])]
    list: bool,
    /// Read no more than this a second: 50MiB. Without, as fast as disk and processor can.
    #[arg(long, value_name = "SIZE")]
    rate: Option<ByteSize>,
    /// Tell everything in JSON, an object a line.
    #[arg(long)]
    json: bool,
    /// Tell the summary alone.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// The configuration file.
    config: Option<PathBuf>,
}

/// `berth scrub`. Fails when damage is left.
pub(crate) fn run(options: &ScrubOptions) -> Result<ExitCode> {
    let config = super::ask::config(options.config.as_deref())?;
    let ask = match options.list {
        true => Ask::Damaged,
        false => Ask::Scrub { rate: options.rate.map(ByteSize::bytes) },
    };
    let mut report = Report { options, screen: Screen::new(false), left: false };
    let code = super::ask::run(config, ask, |told| report.show(told))?;
    Ok(if report.left { ExitCode::FAILURE } else { code })
}

struct Report<'a> {
    options: &'a ScrubOptions,
    screen: Screen,
    left: bool,
}

impl Report<'_> {
    fn show(&mut self, told: Told) -> Result<()> {
        let ScrubOptions { json, quiet, list, .. } = *self.options;
        match told {
            Told::Scrubbing(Scrubbed { blobs, bytes: size, damaged, .. }) if !quiet => {
                let size = bytes(size);
                self.screen.progress(&format!("{blobs} blobs read ({size}), {damaged} damaged"))?;
            }
            Told::Damaged(_) if quiet && !list => {}
            Told::Damaged(damage) if json => self.screen.line(&serde_json::to_string(&damage)?)?,
            Told::Damaged(damage) => self.damage(&damage)?,
            Told::Scrubbed(scrubbed) => {
                self.left = scrubbed.left > 0 || scrubbed.unreadable > 0;
                match json {
                    true => self.screen.line(&serde_json::to_string(&scrubbed)?)?,
                    false => self.summary(&scrubbed)?,
                }
            }
            _ => self.screen.end_progress()?,
        }
        Ok(())
    }

    fn damage(&mut self, Damage { digest, reason, repaired_from }: &Damage) -> Result<()> {
        let end = match repaired_from {
            Some(source) => format!("repaired from {source}"),
            None => "in quarantine: push it again to repair it".to_owned(),
        };
        self.screen.line(&format!("{digest} is damaged: {reason}; {end}"))
    }

    fn summary(&mut self, scrubbed: &Scrubbed) -> Result<()> {
        let Scrubbed { blobs, bytes: size, damaged, repaired, left, unreadable, links } = scrubbed;
        let size = bytes(*size);
        self.screen.line(&format!("{blobs} blobs ({size}) are what their digests say"))?;
        if *damaged > 0 {
            self.screen.line(&format!(
                "{damaged} blobs are damaged: {repaired} were repaired, {left} are in quarantine"
            ))?;
        }
        if *unreadable > 0 {
            self.screen.line(&format!("{unreadable} blobs could not be read; the log says why"))?;
        }
        if *links > 0 {
            self.screen.line(&format!("{links} link files were written anew"))?;
        }
        Ok(())
    }
}
