use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::images::{Progress, Unwatched, push};

use super::arguments::PushArguments;
use super::progress::Screen;
use super::stores;

/// `berth push NAME`.
pub(super) fn run(arguments: &PushArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let name = images.name(&arguments.name)?;
    let screen = Screen::stdout();
    let progress: &dyn Progress = if arguments.quiet { &Unwatched } else { &screen };
    let names = match (arguments.all_tags, name.is_name_only()) {
        (true, false) => bail!("tag can't be used with --all-tags/-a"),
        (true, true) => {
            let names = images.tags(&name)?;
            if names.is_empty() {
                let repository = name.familiar_repository();
                bail!("An image does not exist locally with the tag: {repository}");
            }
            names
        }
        (false, is_name_only) => {
            if is_name_only {
                progress.line("Using default tag: latest");
            }
            vec![name.or_latest()]
        }
    };
    progress.line(&format!("The push refers to repository [{}]", name.repository()));
    for name in &names {
        let pushed = push(&images, &layers, name, progress)?;
        let tag = name.tag().map(|tag| tag.as_str()).unwrap_or_default();
        progress.line(&format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size));
    }
    if arguments.quiet {
        println!("{name}");
    }
    Ok(ExitCode::SUCCESS)
}
