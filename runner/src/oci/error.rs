//! What goes wrong in a runtime, by what a person can do about it.

use std::io;

use super::container::Status;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing has this name. Engines look for the words `does not exist`.
    #[error("container {0} does not exist")]
    NotFound(String),
    /// The name is taken.
    #[error("container {0} exists already: delete it first, or choose another name")]
    Exists(String),
    /// The name could not be that of a folder.
    #[error(
        "{0:?} is no container id: letters, digits and any of + _ - . are, at most 1024 of them, \
         and not . or .. alone"
    )]
    Id(String),
    /// The container is in a state in which this cannot be done.
    #[error("cannot {action}: the container is {status}")]
    Status {
        /// What was asked for.
        action: &'static str,
        /// What it is.
        status: Status,
    },
    /// There is no process to send a signal to. Engines look for the words `container not running`.
    #[error("container not running")]
    NotRunning,
    /// The configuration of the bundle, or an argument, means nothing or contradicts itself.
    #[error("{0}")]
    Invalid(String),
    /// It means something that this runtime, or this host, does not have.
    #[error("{0}")]
    Unsupported(String),
    /// The kernel refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
    /// The container's process said why it could not become what it should.
    #[error("{0}")]
    Init(String),
}

/// How it begins when the working directory cannot be entered.
pub(super) const WORKING_DIRECTORY: &str = "enter the working directory";

impl Error {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// What the command exits with: as of a shell where there is no such program, or it may not be
    /// executed. A working directory counts as part of it, as docker has it.
    pub(super) fn exit_code(&self) -> u8 {
        let message = self.to_string().to_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        let is_of_program = ["exec:", WORKING_DIRECTORY].iter().any(|it| message.starts_with(it));
        match self {
            Self::Init(_) if !is_of_program => 1,
            Self::Init(_) if says(&["executable file not found", "no such file or directory"]) => {
                127
            }
            Self::Init(_) if says(&["permission denied", "exec format error"]) => 126,
            _ => 1,
        }
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported(message.into())
    }
}

/// Says what was being done when the kernel refused.
pub(super) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Error> {
        self.map_err(|error| Error::System { doing: what().into(), source: error.into() })
    }
}
