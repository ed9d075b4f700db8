//! From a file and the environment to a checked configuration.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use yaml_serde::Value;

use crate::document::{self, Position, SyntaxError};
use crate::environment::{self, Setting, Settings};
use crate::error::ConfigError;
use crate::path::KeyPath;
use crate::root::{DATABASE, ROOT_WITH_FILE, ROOT_WITHOUT_FILE};
use crate::schema;
use crate::{Config, auth, check, driver, notice};

/// A configuration that was accepted.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Lines that the operator should see: keys of `registry:2` that mean nothing here, variables that are no setting.
    pub notices: Vec<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a configuration came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file, when there was one.
    pub file: Option<PathBuf>,
    /// The environment variables that set something.
    pub variables: Vec<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("defaults")?,
        }
        match self.variables.as_slice() {
            [] => Ok(()),
            variables => write!(f, " and {}", variables.join(", ")),
        }
    }
}

impl Config {
    /// Reads a file, or the one that `REGISTRY_CONFIGURATION_PATH` names, or none; lays the environment over it; and
    /// checks the result. [`variables`](crate::variables) gives the environment of the process.
    ///
    /// # Errors
    /// [`ConfigError`] says where (`file:line:column`, or the variable), which key, and what to do.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let env: Vec<_> = env.into_iter().collect();
        let named = env
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(environment::CONFIGURATION_PATH))
            .map(|(_, path)| Path::new(path));
        let path = file.or(named.filter(|path| !path.as_os_str().is_empty()));
        let text = path.map(read).transpose()?;
        Source { path, text: text.as_deref(), settings: environment::read(&env)? }.load()
    }

    /// As [`load`](Self::load), from a text in place of a file.
    ///
    /// # Errors
    /// As [`load`](Self::load); the file is called `config.yml`.
    pub fn parse(
        yaml: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let env: Vec<_> = env.into_iter().collect();
        let path = Some(Path::new("config.yml"));
        Source { path, text: Some(yaml), settings: environment::read(&env)? }.load()
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// What a configuration is made of; knows where each key came from.
pub(crate) struct Source<'s> {
    path: Option<&'s Path>,
    text: Option<&'s str>,
    settings: Settings,
}

impl Source<'_> {
    fn load(self) -> Result<Loaded, ConfigError> {
        let mut value = self.merged()?;
        check::keys(&value, &self)?;
        check::drivers(&value, &self)?;
        let mut notices = self.settings.notices.clone();
        notices.extend(notice::of_ignored_keys(&value));
        driver::drop_empty_texts(&mut value);
        self.fill_in_places(&mut value)?;
        let config: Config = serde_path_to_error::deserialize(&value).map_err(|error| {
            let path = KeyPath::from(error.path());
            self.invalid(&path, &error.into_inner().to_string())
        })?;
        check::values(&config, &self)?;
        notices.extend(notice::of_values(&config));
        Ok(Loaded { config, notices, origin: self.origin() })
    }

    fn merged(&self) -> Result<Value, ConfigError> {
        let mut value = document::parse(self.text.unwrap_or_default(), schema::tree())
            .map_err(|error| self.syntax(error))?;
        driver::expand(&mut value).map_err(|message| self.invalid(&driver::section(), &message))?;
        let auth = KeyPath::of("auth");
        auth::expand(&mut value, None).map_err(|message| self.invalid(&auth, &message))?;
        for setting in &self.settings.settings {
            environment::apply(&mut value, setting)?;
        }
        Ok(value)
    }

    /// Defaults that depend on whether there is a file, so that `berth config show` tells which they are.
    fn fill_in_places(&self, value: &mut Value) -> Result<(), ConfigError> {
        let root = if self.path.is_some() { ROOT_WITH_FILE } else { ROOT_WITHOUT_FILE };
        let (key, place) = match driver::chosen(value).first() {
            None | Some(("filesystem", _)) => ("storage.filesystem.rootdirectory", root.to_owned()),
            Some(("inmemory", _)) => return Ok(()),
            Some(_) if KeyPath::of("metadata.url").find(value).is_some() => return Ok(()),
            Some(_) => ("metadata.sqlite.path", format!("{root}/{DATABASE}")),
        };
        let path = KeyPath::of(key);
        if path.find(value).is_some() {
            return Ok(());
        }
        let value_there = Value::from(place);
        environment::apply(value, &Setting { path, variable: String::new(), value: value_there })
    }

    /// Where a key was set: a variable, or a place in the file. For a key that was not set itself it is what set
    /// something below it, or else the nearest parent.
    pub(crate) fn at(&self, path: &KeyPath) -> String {
        let mut settings = self.settings.settings.iter().rev();
        if let Some(setting) = settings.clone().find(|setting| setting.covers(path)) {
            return setting.variable.clone();
        }
        let locate = |path: &KeyPath| self.text.and_then(|text| document::locate(text, path));
        if let Some(position) = locate(path) {
            return self.position(Some(position));
        }
        match settings.find(|setting| setting.path.starts_with(path)) {
            Some(setting) => setting.variable.clone(),
            None => self.position(path.parents().find_map(|parent| locate(&parent))),
        }
    }

    pub(crate) fn invalid(&self, path: &KeyPath, message: &str) -> ConfigError {
        ConfigError::Invalid {
            at: self.at(path),
            key: path.to_string(),
            message: message.to_owned(),
        }
    }

    fn syntax(&self, error: SyntaxError) -> ConfigError {
        ConfigError::Syntax { at: self.position(error.position), message: error.message }
    }

    fn position(&self, position: Option<Position>) -> String {
        let file = self.path.map(|path| path.display().to_string());
        match (file, position) {
            (Some(file), Some(Position { line, column })) => format!("{file}:{line}:{column}"),
            (Some(file), None) => file,
            (None, _) => "configuration".to_owned(),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            file: self.path.map(Path::to_owned),
            variables: self
                .settings
                .settings
                .iter()
                .map(|setting| setting.variable.clone())
                .collect(),
        }
    }
}
