use std::io::{BufWriter, Stdout, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use berth_registry::control::{Ask, Told};
use berth_registry::{Retained, RetentionRun};

/// What was said on the command line.
pub(crate) struct RetentionOptions {
    pub(crate) dry_run: bool,
    pub(crate) repository: Option<String>,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

/// `berth retention`.
pub(crate) fn run(options: RetentionOptions, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    let repository = options.repository.as_deref().map(str::parse).transpose();
    let run = RetentionRun {
        policy: Box::new(config.policy.clone()),
        dry_run: options.dry_run,
        repository: repository.context("--repository")?,
    };
    if run.policy.retention.rules.is_empty() {
        bail!("there is no retention policy: policy.retention.rules is empty");
    }
    let mut page = Page { options, out: BufWriter::new(std::io::stdout()) };
    let code = super::ask::run(config, Ask::Retain(run), |told| page.show(&told))?;
    page.out.flush()?;
    Ok(code)
}

/// Prints what is told, a line each.
struct Page {
    options: RetentionOptions,
    out: BufWriter<Stdout>,
}

impl Page {
    fn show(&mut self, told: &Told) -> Result<()> {
        let is_detail = matches!(told, Told::Verdict { .. });
        if !self.options.json {
            return self.show_to_a_person(told);
        }
        if !(is_detail && self.options.quiet) {
            serde_json::to_writer(&mut self.out, told)?;
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn show_to_a_person(&mut self, told: &Told) -> Result<()> {
        match told {
            Told::Verdict { keep, name, reason } if !self.options.quiet => {
                let verdict = if *keep { "keep" } else { "delete" };
                writeln!(self.out, "{verdict:<6}  {name}  {reason}")?;
            }
            Told::Retained(retained) => writeln!(self.out, "{}", summary(retained))?,
            _ => {}
        }
        Ok(())
    }
}

fn summary(retained: &Retained) -> String {
    let Retained { repositories, kept_tags, deleted_tags, deleted_manifests, dry_run } = retained;
    match dry_run {
        true => format!(
            "{deleted_tags} tags and {deleted_manifests} untagged manifests would be deleted in \
             {repositories} repositories, {kept_tags} tags stay. Nothing was changed"
        ),
        false => format!(
            "{deleted_tags} tags and {deleted_manifests} untagged manifests deleted in \
             {repositories} repositories, {kept_tags} tags kept"
        ),
    }
}
