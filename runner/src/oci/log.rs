//! Where a command tells what went wrong: the standard error, and the file that its caller reads.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write as _;

use jiff::Timestamp;
use serde_json::json;

use super::Result;
use super::arguments::{Global, LogFormat};
use super::error::Doing as _;

/// The log of one command.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<RefCell<File>>,
    format: LogFormat,
    /// What begins each line of the standard error; nothing is told there without it.
    prefix: Option<String>,
}

impl Log {
    pub(super) fn open(global: &Global) -> Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        let file = match &global.log {
            None => None,
            Some(path) => Some(open(path).doing(|| format!("open the log {}", path.display()))?),
        };
        Ok(Self {
            file: file.map(RefCell::new),
            format: global.log_format,
            prefix: Some("berth oci".to_owned()),
        })
    }

    /// The standard error alone.
    pub(super) fn to_errors(prefix: &str) -> Self {
        Self { file: None, format: LogFormat::Text, prefix: Some(prefix.to_owned()) }
    }

    /// One for a caller that is told by what is given back to it.
    pub(super) fn silent() -> Self {
        Self { file: None, format: LogFormat::Text, prefix: None }
    }

    /// Why the command fails. Engines show the last of these to their users.
    pub(super) fn error(&self, message: &str) {
        if let Some(prefix) = &self.prefix {
            eprintln!("{prefix}: {message}");
        }
        self.write("error", message);
    }

    /// What was asked for and is not there, where the command goes on all the same.
    pub(super) fn warning(&self, message: &str) {
        self.write("warning", message);
        if let Some(prefix) = self.prefix.as_ref().filter(|_| self.file.is_none()) {
            eprintln!("{prefix}: warning: {message}");
        }
    }

    fn write(&self, level: &str, message: &str) {
        let Some(file) = &self.file else { return };
        let time = Timestamp::now();
        let line = match self.format {
            LogFormat::Json => {
                json!({"level": level, "msg": message, "time": time.to_string()}).to_string()
            }
            LogFormat::Text => format!("time=\"{time}\" level={level} msg={message:?}"),
        };
        // There is nobody left to tell that the log cannot be written.
        let _ = writeln!(file.borrow_mut(), "{line}");
    }
}
