//! The configuration through its public interface.

mod auth;
mod environment;
mod errors;
mod keys;
mod metadata;
mod mirror;
mod notifications;
mod policy;
mod properties;
mod reference;
mod registry2;
mod reload;
mod sections;
mod stores;
mod tls;

use berth_config::{Config, ConfigError, Loaded};

/// Names and values.
type Variables<'v> = &'v [(&'v str, &'v str)];

/// Variables as a process would have them.
fn env(variables: Variables<'_>) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(yaml: &str, variables: Variables<'_>) -> Result<Loaded, ConfigError> {
    Config::parse(yaml, env(variables))
}

fn config(yaml: &str) -> Config {
    parse(yaml, &[]).unwrap_or_else(|error| panic!("{yaml}: {error}")).config
}

fn with_env(variables: Variables<'_>) -> Config {
    parse("", variables).unwrap_or_else(|error| panic!("{variables:?}: {error}")).config
}

fn error(yaml: &str, variables: Variables<'_>) -> String {
    match parse(yaml, variables) {
        Ok(loaded) => panic!("{yaml} {variables:?} was accepted: {}", loaded.config.show()),
        Err(error) => error.to_string(),
    }
}
