use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use berth_config::{Config, Filesystem};
use berth_oci::RepositoryName;
use berth_registry::control::{Ask, Told};
use berth_registry::{Imported, Place};

use super::garbage_collect::bytes;
use super::screen::Screen;

/// The folder in which `registry:2` keeps its tree.
const TREE: &str = "docker/registry/v2";

/// What `berth import` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportOptions {
    /// The directory of the old registry, which its configuration calls rootdirectory; or a configuration file, as
    /// with --config: then the storage that it names.
    #[arg(value_name = "DIR|FILE")]
    folder: Option<PathBuf>,
    /// Copy the images of this OCI image layout, or of all layouts below this folder, or of all in the storage
    /// that this configuration file names.
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "folder")]
    oci_layout: Option<PathBuf>,
    /// The repository that a single layout goes to; without, each goes to one called as its folder is.
    #[arg(long, value_name = "REPOSITORY", requires = "oci_layout")]
    name: Option<RepositoryName>,
    /// Tell everything in JSON, an object a line.
    #[arg(long)]
    json: bool,
    /// Tell the summary alone.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// The configuration file.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `berth import`.
pub(crate) fn run(options: ImportOptions) -> Result<ExitCode> {
    let (folder, file) = match options.folder {
        Some(file) if options.config.is_none() && file.is_file() => (None, Some(file)),
        folder => (folder, options.config),
    };
    let config = super::ask::config(file.as_deref())?;
    let config = match &folder {
        Some(folder) => Arc::new(in_folder((*config).clone(), folder)?),
        None => config,
    };
    let ask = match options.oci_layout {
        Some(path) => Ask::ImportLayouts { from: Place::named(&path)?, name: options.name },
        None => Ask::Import,
    };
    let mut report = Report::new(options.json, options.quiet);
    super::ask::run(config, ask, |told| report.show(told))
}

/// The same configuration over the tree in another directory.
fn in_folder(mut config: Config, folder: &Path) -> Result<Config> {
    if config.storage.remote().is_some() {
        bail!(
            "the configuration keeps blobs in an object store, and a folder is adopted where it is: leave out the configuration, or the folder"
        );
    }
    if !folder.join(TREE).is_dir() {
        bail!(
            "{} holds no {TREE}: name the directory that the old registry's configuration calls rootdirectory",
            folder.display()
        );
    }
    let filesystem = Filesystem { rootdirectory: Some(folder.to_owned()), ..Filesystem::default() };
    config.storage.filesystem = Some(filesystem);
    Ok(config)
}

/// Tells of an import.
pub(super) struct Report {
    json: bool,
    quiet: bool,
    screen: Screen,
}

impl Report {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, screen: Screen::new(false) }
    }

    pub(super) fn show(&mut self, told: Told) -> Result<()> {
        match told {
            Told::Importing(imported) if !self.quiet => {
                let Imported { blobs, files, links, manifests, tags, .. } = imported;
                self.screen.progress(&format!(
                    "{blobs} blobs found, {files} files looked at; {links} links, {manifests} manifests, {tags} tags taken"
                ))?;
            }
            Told::Found(_) if self.quiet => {}
            Told::Found(finding) if self.json => {
                self.screen.line(&serde_json::to_string(&finding)?)?;
            }
            Told::Found(finding) => self.screen.line(&finding.to_string())?,
            Told::Imported(imported) if self.json => {
                self.screen.line(&serde_json::to_string(&imported)?)?;
            }
            Told::Imported(imported) => self.summary(&imported)?,
            _ => self.screen.end_progress()?,
        }
        Ok(())
    }

    fn summary(&mut self, imported: &Imported) -> Result<()> {
        let Imported { blobs, bytes: size, links, manifests, tags, findings, .. } = imported;
        let size = bytes(*size);
        self.screen.line(&format!(
            "{blobs} blobs ({size}) lie in the tree; {manifests} manifests, {tags} tags and {links} links were new"
        ))?;
        if imported.stale_links > 0 {
            let count = imported.stale_links;
            self.screen.line(&format!(
                "{count} links lead to blobs that are gone, as the old registry's garbage collection leaves them"
            ))?;
        }
        if imported.orphans > 0 {
            let size = bytes(imported.orphan_bytes);
            let count = imported.orphans;
            self.screen.line(&format!(
                "{count} blobs ({size}) belong to no image and were left as they are"
            ))?;
        }
        if imported.uploads > 0 {
            let count = imported.uploads;
            self.screen
                .line(&format!("{count} unfinished uploads of the old registry were left alone"))?;
        }
        match findings {
            0 => self.screen.line("everything was as it should be"),
            count => {
                self.screen.line(&format!("{count} things were not as they should be; see above"))
            }
        }
    }
}
