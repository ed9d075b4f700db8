//! What the commands for accounts and grants have in common: each asks the API, and shows what it answers.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use berth_config::GoDuration;
use berth_registry::control::{Ask, Told};
use berth_registry::http::{ApiAnswer, ApiRequest};
use clap::Args;
use serde_json::{Map, Value};

/// What each of them takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration file.
    #[arg(long, short = 'c', value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Tell everything in JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// What a table shows of an object: the title and the name of the member.
pub(super) type Column = (&'static str, &'static str);

impl Common {
    /// Asks for something, and gives the body of the answer.
    pub(super) fn ask(&self, method: &str, target: &str, body: Option<Value>) -> Result<Value> {
        Ok(self.answer(method, target, body)?.body)
    }

    /// Has something done, and says so.
    pub(super) fn done(
        &self,
        method: &str,
        target: &str,
        body: Option<Value>,
        done: &str,
    ) -> Result<ExitCode> {
        let told = self.ask(method, target, body)?;
        match self.json {
            true if told.is_null() => {}
            true => drop(print_json(&told)?),
            false => writeln!(std::io::stdout(), "{done}")?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Has something done whose answer holds a secret, and shows the secret alone on the standard output.
    pub(super) fn drawn(
        &self,
        method: &str,
        target: &str,
        body: Option<Value>,
        secret: &str,
    ) -> Result<ExitCode> {
        let told = self.ask(method, target, body)?;
        if self.json {
            return print_json(&told);
        }
        eprintln!("The token, which is not shown again:");
        self.secret(told.pointer(secret).and_then(Value::as_str).unwrap_or_default())
    }

    /// Shows a secret by itself, for other programs to take.
    pub(super) fn secret(&self, secret: &str) -> Result<ExitCode> {
        writeln!(std::io::stdout(), "{secret}")?;
        Ok(ExitCode::SUCCESS)
    }

    /// Shows an object, a member a line.
    pub(super) fn show(&self, target: &str) -> Result<ExitCode> {
        let told = self.ask("GET", target, None)?;
        if self.json {
            return print_json(&told);
        }
        let mut out = std::io::stdout().lock();
        for (name, value) in told.as_object().into_iter().flatten() {
            writeln!(out, "{:<14}{}", name.replace('_', " "), text(value))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shows a whole list, as a table.
    pub(super) fn list(&self, target: &str, columns: &[Column]) -> Result<ExitCode> {
        let entries = self.all(target)?;
        match self.json {
            true => print_json(&Value::from(entries)),
            false => print_table(&entries, columns),
        }
    }

    /// The entries of a list, page by page.
    pub(super) fn all(&self, target: &str) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        let mut next = Some(target.to_owned());
        while let Some(target) = next {
            let answer = self.answer("GET", &target, None)?;
            if let Value::Array(page) = answer.body {
                entries.extend(page);
            }
            next = answer.next;
        }
        Ok(entries)
    }

    /// The first page of a list, as a table.
    pub(super) fn page(&self, target: &str, columns: &[Column]) -> Result<ExitCode> {
        let told = self.ask("GET", target, None)?;
        match (self.json, told) {
            (false, Value::Array(entries)) => print_table(&entries, columns),
            (_, told) => print_json(&told),
        }
    }

    /// Whether answers are told in JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    fn answer(&self, method: &str, target: &str, body: Option<Value>) -> Result<ApiAnswer> {
        let config = super::ask::config(self.config.as_deref())?;
        let request = ApiRequest { method: method.to_owned(), target: target.to_owned(), body };
        let mut answered = None;
        super::ask::run(config, Ask::Administer(request), |told| {
            if let Told::Answered(answer) = told {
                answered = Some(answer);
            }
            Ok(())
        })?;
        let answer = answered.context("nothing was answered")?;
        match answer.status {
            200..300 => Ok(answer),
            status => match answer.body.get("detail").and_then(Value::as_str) {
                Some(detail) => bail!("{detail}"),
                None => bail!("it was not done (status {status})"),
            },
        }
    }
}

pub(super) fn print_json(value: &Value) -> Result<ExitCode> {
    writeln!(std::io::stdout(), "{value:#}")?;
    Ok(ExitCode::SUCCESS)
}

fn print_table(entries: &[Value], columns: &[Column]) -> Result<ExitCode> {
    let mut rows = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect::<Vec<_>>()];
    rows.extend(
        entries.iter().map(|entry| columns.iter().map(|(_, name)| text(&entry[*name])).collect()),
    );
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = std::io::stdout().lock();
    for row in &rows {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A value for a person.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The members of a body that are there.
pub(super) fn body<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

/// A piece of a path or of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// The time so long from now, as the API takes it.
pub(super) fn from_now(time: Option<GoDuration>) -> Result<Option<Value>> {
    time.map(|time| at(SystemTime::now().checked_add(time.get()))).transpose()
}

/// The time so long ago.
pub(super) fn ago(time: GoDuration) -> Result<Value> {
    at(SystemTime::now().checked_sub(time.get()))
}

fn at(time: Option<SystemTime>) -> Result<Value> {
    let time = time.context("the time is too far away")?;
    let time = jiff::Timestamp::try_from(time).context("the time is too far away")?;
    Ok(Value::from(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}
