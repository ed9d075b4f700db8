use std::io::{BufWriter, Stdout, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use berth_config::Driver;
use berth_registry::control::{Ask, Told};
use berth_registry::{Retained, RetentionRun};
use tokio::sync::mpsc;

use super::garbage_collect::carry_out;

/// How much may be told before it is printed.
const TOLD: usize = 1024;

/// What was said on the command line.
pub(crate) struct RetentionOptions {
    pub(crate) dry_run: bool,
    pub(crate) repository: Option<String>,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

/// `berth retention`: in the process that has the database, or, where there is none, in this one.
pub(crate) fn run(options: RetentionOptions, file: Option<&Path>) -> Result<ExitCode> {
    let config = Arc::new(super::config::load(file)?.config);
    if config.storage.driver() == Driver::InMemory {
        bail!(
            "the names are in the memory of the berth that serves them, which no command reaches"
        );
    }
    let repository = options.repository.as_deref().map(str::parse).transpose();
    let run = RetentionRun {
        policy: Box::new(config.policy.clone()),
        dry_run: options.dry_run,
        repository: repository.context("--repository")?,
    };
    if run.policy.retention.rules.is_empty() {
        bail!("there is no retention policy: policy.retention.rules is empty");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (tell, mut told) = mpsc::channel(TOLD);
        let work = tokio::spawn(carry_out(config, Ask::Retain(run), tell));
        let mut page = Page { options, out: BufWriter::new(std::io::stdout()) };
        let mut outcome = None;
        while let Some(told) = told.recv().await {
            outcome = page.show(told)?.or(outcome);
        }
        page.out.flush()?;
        work.await??;
        match outcome {
            Some(Ok(())) => Ok(ExitCode::SUCCESS),
            Some(Err(reason)) => Err(anyhow!(reason)),
            None => bail!("the work ended before it was done"),
        }
    })
}

/// Prints what is told, a line each.
struct Page {
    options: RetentionOptions,
    out: BufWriter<Stdout>,
}

impl Page {
    /// The outcome, once it is told.
    fn show(&mut self, told: Told) -> Result<Option<Result<(), String>>> {
        let is_detail = matches!(told, Told::Verdict { .. });
        if self.options.json && !(is_detail && self.options.quiet) {
            serde_json::to_writer(&mut self.out, &told)?;
            writeln!(self.out)?;
        } else if !self.options.json {
            self.show_to_a_person(&told)?;
        }
        Ok(match told {
            Told::Retained(_) => Some(Ok(())),
            Told::Failed(reason) => Some(Err(reason)),
            _ => None,
        })
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
