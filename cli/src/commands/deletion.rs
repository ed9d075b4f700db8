use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_registry::ContentName;
use berth_registry::control::{Ask, Told};

/// `berth delete`.
pub(crate) fn delete(name: ContentName, yes: bool, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    if name.reference.is_none() && !yes && !is_wanted(&name)? {
        return Ok(ExitCode::FAILURE);
    }
    super::ask::run(config, Ask::Delete(name), show)
}

/// `berth restore`.
pub(crate) fn restore(name: ContentName, file: Option<&Path>) -> Result<ExitCode> {
    super::ask::run(super::ask::config(file)?, Ask::Restore(name), show)
}

/// `berth restore --list`.
pub(crate) fn list(name: Option<ContentName>, file: Option<&Path>) -> Result<ExitCode> {
    let repository = match name {
        Some(ContentName { reference: Some(_), .. }) => {
            bail!("what can be had back is listed by repository: leave out the tag or the digest")
        }
        name => name.map(|name| name.repository),
    };
    super::ask::run(super::ask::config(file)?, Ask::Deletions(repository), show)
}

/// Asks whether a whole repository is meant.
fn is_wanted(name: &ContentName) -> Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!(
            "{name} is a whole repository, with all its tags; say --yes if it is to be deleted, or name a tag ({name}:TAG) or a manifest ({name}@DIGEST)"
        );
    }
    let mut out = std::io::stderr();
    write!(out, "Delete the whole repository {name}, with all its tags? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn show(told: Told) -> Result<()> {
    if let Told::Line(line) = told {
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
