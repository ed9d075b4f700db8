use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use berth_runner::images::{self, ImageStore, Loaded, Target};
use berth_runner::layers::{LayerStore, Limits};

use super::arguments::{LoadArguments, SaveArguments};
use super::stores;
use crate::engine::say;

/// `berth save IMAGE…`.
pub(super) fn save(arguments: &SaveArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    match &arguments.output {
        Some(path) => save_to(&images, &layers, &arguments.images, path)?,
        None if std::io::stdout().is_terminal() => {
            bail!("cowardly refusing to save to a terminal. Use the -o flag or redirect");
        }
        None => images::save(&images, &layers, &arguments.images, &mut Output)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The standard output, as commands write to it.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).inspect_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                say::end();
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A file that is there stays as it is until the new one is whole.
fn save_to(images: &ImageStore, layers: &LayerStore, names: &[String], path: &Path) -> Result<()> {
    // What is no file, `/dev/stdout` for one, is written as it is.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let mut file = File::options().write(true).open(path)?;
        return Ok(images::save(images, layers, names, &mut file)?);
    }
    let mut name = path.file_name().context("the path of the file has no name")?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let unfinished = path.with_file_name(name);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        // As docker has it: images may hold secrets.
        .mode(0o600)
        .open(&unfinished)
        .with_context(|| format!("invalid output path: {}", path.display()))?;
    let saved = images::save(images, layers, names, &mut file).map_err(anyhow::Error::from);
    let renamed = saved.and_then(|()| Ok(fs::rename(&unfinished, path)?));
    if renamed.is_err() {
        // The error before says more.
        let _ = fs::remove_file(&unfinished);
    }
    renamed
}

/// `berth load`.
pub(super) fn load(arguments: &LoadArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let mut input: Box<dyn Read> = match &arguments.input {
        Some(path) => {
            Box::new(File::open(path).with_context(|| format!("open {}", path.display()))?)
        }
        None if std::io::stdin().is_terminal() => {
            bail!("requested load from stdin, but stdin is empty");
        }
        None => Box::new(std::io::stdin().lock()),
    };
    let target = arguments.platform.as_deref().map(str::parse::<Target>).transpose()?;
    let limits = Limits::default();
    let loaded = images::load(&images, &layers, target.as_ref(), &limits, &mut input)?;
    loaded.iter().for_each(print);
    Ok(ExitCode::SUCCESS)
}

fn print(loaded: &Loaded) {
    for (name, id) in &loaded.renamed {
        println!(
            "The image {name} already exists, renaming the old one with ID {id} to empty string"
        );
    }
    match loaded.names.is_empty() {
        true => println!("Loaded image ID: {}", loaded.id),
        false => loaded.names.iter().for_each(|name| println!("Loaded image: {name}")),
    }
}
