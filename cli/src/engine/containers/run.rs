//! `run`, `create`, `start`, `attach`: whatever has a container speak here.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use berth_runner::containers::{
    Attachment, ContainerError, CreateRequest, Created, DetachKeys, Ending, Engine, Interaction,
};
use berth_runner::images::{Image, ImageError, ImageStore, Target};
use berth_runner::layers::LayerStore;
use berth_runner::spec::ContainerConfig;

use super::arguments::{AttachArguments, StartArguments};
use super::{complain, engine, warn};
use crate::engine::images::pull_missing;
use crate::engine::options::{CreateOptions, Pull, Request, RunOptions};

/// What a command exits with that has failed before there was a program.
const FAILED: u8 = 125;

pub(super) fn run(options: RunOptions) -> ExitCode {
    finish(try_run(options))
}

pub(super) fn create(options: CreateOptions) -> ExitCode {
    let created = || -> Result<ExitCode> {
        let request = options.container.request()?;
        let engine = engine()?;
        let created = make(&engine, request, false)?;
        warn(&created.warnings);
        println!("{}", created.id());
        Ok(ExitCode::SUCCESS)
    };
    created().unwrap_or_else(|error| complain(&error, 1))
}

pub(super) fn start(arguments: &StartArguments) -> ExitCode {
    if !arguments.attach && !arguments.interactive {
        let started = || -> Result<ExitCode> {
            let engine = engine()?;
            Ok(super::each(&arguments.containers, |name| {
                if let Some(attachment) = engine.start(name)? {
                    warn(&attachment.started()?);
                }
                println!("{name}");
                Ok(())
            }))
        };
        return started().unwrap_or_else(|error| complain(&error, 1));
    }
    finish(start_attached(arguments))
}

pub(super) fn attach(arguments: &AttachArguments) -> ExitCode {
    let attached = || -> Result<ExitCode> {
        let engine = engine()?;
        let keys = keys(arguments.detach_keys.as_deref())?;
        let (container, attachment) = engine.attach(&arguments.container)?;
        let config = &container.record.config;
        let how = Interaction {
            input: config.open_stdin && !arguments.no_stdin,
            output: true,
            errors: true,
            terminal: config.tty,
            detach_keys: keys,
            forward_signals: arguments.sig_proxy && !config.tty,
            redraw: true,
        };
        interact(&engine, container.record.id.as_str(), attachment, how)
    };
    attached().unwrap_or_else(|error| complain(&error, 1))
}

fn try_run(options: RunOptions) -> Result<ExitCode> {
    options.check()?;
    let RunOptions { container, detach, detach_keys, sig_proxy } = options;
    let keys = keys(detach_keys.as_deref())?;
    let mut request = container.request()?;
    let streams = attached_streams(&mut request.config, detach)?;
    let engine = engine()?;
    let created = make(&engine, request, true)?;
    warn(&created.warnings);
    let id = created.id().to_string();
    if detach {
        // One that cannot be started stays unless `--rm` was given: whoever asked has to know which it is.
        println!("{id}");
        warn(&created.start(&engine)?.started()?);
        return Ok(ExitCode::SUCCESS);
    }
    let attachment = created.start(&engine)?;
    let how = Interaction { detach_keys: keys, forward_signals: sig_proxy, ..streams };
    interact(&engine, &id, attachment, how)
}

/// Which streams are those of this process: none of a container in the background.
fn attached_streams(config: &mut ContainerConfig, detach: bool) -> Result<Interaction> {
    if detach {
        config.attach_stdin = false;
        config.attach_stdout = false;
        config.attach_stderr = false;
        config.stdin_once = false;
    }
    let is_terminal = rustix::termios::isatty(rustix::stdio::stdin());
    if config.tty && config.attach_stdin && !is_terminal {
        let message = "the input device is not a TTY".to_owned();
        bail!(ContainerError::Start { code: 1, message });
    }
    Ok(Interaction {
        input: config.attach_stdin,
        output: config.attach_stdout,
        errors: config.attach_stderr,
        terminal: config.tty,
        detach_keys: DetachKeys::default(),
        forward_signals: true,
        redraw: false,
    })
}

fn start_attached(arguments: &StartArguments) -> Result<ExitCode> {
    let [name] = arguments.containers.as_slice() else {
        bail!("you cannot start and attach multiple containers at once");
    };
    let engine = engine()?;
    let keys = keys(arguments.detach_keys.as_deref())?;
    let container = engine.find(name)?;
    let config = &container.record.config;
    let how = Interaction {
        input: arguments.interactive && config.open_stdin,
        output: true,
        errors: true,
        terminal: config.tty,
        detach_keys: keys,
        forward_signals: !config.tty,
        redraw: false,
    };
    let id = container.record.id.as_str();
    let attachment = match engine.start(id)? {
        Some(attachment) => attachment,
        None => engine.attach(id)?.1,
    };
    interact(&engine, id, attachment, how)
}

fn interact(
    engine: &Engine,
    id: &str,
    attachment: Attachment,
    how: Interaction,
) -> Result<ExitCode> {
    Ok(match attachment.interact(how)? {
        Ending::Exited(code) => ExitCode::from(code),
        Ending::Detached => ExitCode::SUCCESS,
        Ending::Lost => {
            eprintln!("berth: the monitor of the container was killed; what it says is in its log");
            ExitCode::from(engine.wait(id)?)
        }
    })
}

fn finish(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let code = error.downcast_ref::<ContainerError>().map_or(FAILED, ContainerError::exit_code);
        complain(&error, code)
    })
}

fn keys(text: Option<&str>) -> Result<DetachKeys> {
    Ok(text.map(str::parse).transpose()?.unwrap_or_default())
}

/// Makes a container, of an image that is pulled where it has to be; with `starts` to be started at once.
fn make(engine: &Engine, request: Request, starts: bool) -> Result<Created> {
    let images = ImageStore::open(engine.roots())?;
    let image = image(engine, &images, &request)?;
    let Request { name, cidfile, config, host_config, .. } = request;
    // Before there is a container: without a place for its id there shall be none.
    let id_file = cidfile.as_deref().map(IdFile::new).transpose()?;
    let hold = images.hold(&image.id)?;
    let created = engine.create(CreateRequest { name, config, host_config, starts }, &image)?;
    drop(hold);
    if let Some(file) = id_file {
        file.write(created.id().as_str())?;
    }
    Ok(created)
}

/// Where the id of a container is written to. The file goes when there is no container to write of.
struct IdFile<'path> {
    path: &'path Path,
    file: Option<File>,
}

impl<'path> IdFile<'path> {
    fn new(path: &'path Path) -> Result<Self> {
        match File::create_new(path) {
            Ok(file) => Ok(Self { path, file: Some(file) }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            ),
            Err(error) => {
                let doing = format!("failed to create the container ID file {}", path.display());
                Err(error).context(doing)
            }
        }
    }

    fn write(mut self, id: &str) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let written = file.write_all(id.as_bytes());
        written.with_context(|| format!("write the container ID file {}", self.path.display()))
    }
}

impl Drop for IdFile<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

fn image(engine: &Engine, images: &ImageStore, request: &Request) -> Result<Image> {
    let wanted = request.platform.as_deref().map(str::parse::<Target>).transpose()?;
    let found = match request.pull {
        Pull::Always => None,
        Pull::Missing | Pull::Never => match images.find(&request.image) {
            Ok(image) => Some(image),
            Err(ImageError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let found = found
        .filter(|image| wanted.as_ref().is_none_or(|wanted| wanted.runs(&image.config.platform())));
    if let Some(image) = found {
        return Ok(image);
    }
    if request.pull == Pull::Never {
        return Err(ImageError::NotFound(request.image.clone()).into());
    }
    if request.pull == Pull::Missing && !request.quiet {
        eprintln!(
            "Unable to find image '{}' locally",
            images.name(&request.image)?.or_latest().familiar()
        );
    }
    let layers = LayerStore::open(engine.roots())?;
    pull_missing(images, &layers, &request.image, request.platform.as_deref(), request.quiet)
}
