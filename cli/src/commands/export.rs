use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use berth_oci::RepositoryName;
use berth_registry::control::{Ask, Told};
use berth_registry::{Exported, Place};

use super::garbage_collect::bytes;
use super::screen::Screen;

/// What `berth export` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    /// Where to: a folder, which is made when it is missing, or a configuration file whose storage it goes into.
    #[arg(value_name = "DIR|FILE")]
    to: PathBuf,
    /// Write this repository as an OCI image layout, in place of everything as the tree of registry:2.
    #[arg(long, value_name = "REPOSITORY")]
    oci_layout: Option<RepositoryName>,
    /// Tell nothing but errors.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// The configuration file.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `berth export`. Fails when something was left out.
pub(crate) fn run(options: ExportOptions) -> Result<ExitCode> {
    let config = super::ask::config(options.config.as_deref())?;
    let ask = Ask::Export { to: Place::named(&options.to)?, layout_of: options.oci_layout };
    let mut screen = Screen::new(options.quiet);
    let mut left = 0;
    let code = super::ask::run(config, ask, |told| {
        match told {
            Told::Exporting(Exported { blobs, bytes: size, manifests, tags, .. }) => {
                let size = bytes(size);
                screen.progress(&format!(
                    "{blobs} blobs copied ({size}), {manifests} manifests, {tags} tags"
                ))?;
            }
            Told::Exported(exported) => {
                left = exported.left;
                report(&mut screen, &exported)?;
            }
            _ => screen.end_progress()?,
        }
        Ok(())
    })?;
    Ok(if left > 0 { ExitCode::FAILURE } else { code })
}

fn report(screen: &mut Screen, exported: &Exported) -> Result<()> {
    let Exported { blobs, bytes: size, manifests, tags, left } = exported;
    let size = bytes(*size);
    screen.line(&format!(
        "{manifests} manifests and {tags} tags written; {blobs} blobs copied ({size})"
    ))?;
    match left {
        0 => Ok(()),
        count => screen.line(&format!("{count} blobs were left out: they are damaged or gone")),
    }
}
