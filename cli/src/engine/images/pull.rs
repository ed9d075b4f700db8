use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::images::{
    Image, ImageReference, ImageStore, Progress, PullOptions, Target, Unwatched, pull, remote_tags,
};
use berth_runner::layers::LayerStore;

use super::arguments::PullArguments;
use super::progress::Screen;
use super::stores;

/// `berth pull NAME`.
pub(super) fn run(arguments: &PullArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let name = images.name(&arguments.name)?;
    let options = options(arguments.platform.as_deref())?;
    let screen = Screen::stdout();
    let progress: &dyn Progress = if arguments.quiet { &Unwatched } else { &screen };
    if arguments.all_tags {
        if !name.is_name_only() {
            bail!("tag can't be used with --all-tags/-a");
        }
        for tag in remote_tags(&images, &name)? {
            watched(&images, &layers, &name.with_tag(tag), &options, progress)?;
        }
    } else {
        if name.is_name_only() {
            progress.line("Using default tag: latest");
        }
        watched(&images, &layers, &name.or_latest(), &options, progress)?;
    }
    // The name is for programs, as docker prints it last and alone with `--quiet`.
    println!("{}", if arguments.all_tags { name } else { name.or_latest() });
    Ok(ExitCode::SUCCESS)
}

/// The image that `create` and `run` were asked for and that is not here. What is told goes to the standard
/// error, as the container's output is not ours.
pub(crate) fn pull_missing(
    images: &ImageStore,
    layers: &LayerStore,
    name: &str,
    platform: Option<&str>,
    quiet: bool,
) -> Result<Image> {
    let name = images.name(name)?.or_latest();
    let options = options(platform)?;
    let screen = Screen::stderr();
    if quiet {
        return Ok(pull(images, layers, &name, &options, &Unwatched)?.image);
    }
    watched(images, layers, &name, &options, &screen)
}

fn options(platform: Option<&str>) -> Result<PullOptions> {
    let platform = platform.filter(|platform| !platform.is_empty());
    let platform = platform.map(str::parse::<Target>).transpose()?;
    Ok(PullOptions { platform, ..PullOptions::default() })
}

fn watched(
    images: &ImageStore,
    layers: &LayerStore,
    name: &ImageReference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Image> {
    let reference = name.reference().map(|reference| reference.to_string()).unwrap_or_default();
    progress.line(&format!("{reference}: Pulling from {}", name.path()));
    let pulled = pull(images, layers, name, options, progress)?;
    progress.line(&format!("Digest: {}", pulled.digest));
    progress.line(&match pulled.is_new {
        true => format!("Status: Downloaded newer image for {}", name.familiar()),
        false => format!("Status: Image is up to date for {}", name.familiar()),
    });
    Ok(pulled.image)
}
