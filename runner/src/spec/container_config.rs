//! What runs in a container, whatever machine it is on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::nullable::{self, null_is_default};

/// The member `Config` of a container, and of the configuration of an image.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the Engine API says what its members mean")]
pub struct ContainerConfig {
    pub hostname: String,
    pub domainname: String,
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    /// As in `80/tcp`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    /// `NAME=value`; a name alone takes the variable away.
    #[serde(with = "nullable")]
    pub env: Vec<String>,
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// As it was named.
    pub image: String,
    /// Where anonymous volumes are mounted.
    #[serde(with = "nullable")]
    pub volumes: BTreeMap<String, Empty>,
    pub working_dir: String,
    /// With one empty word: none, not even the image's.
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub network_disabled: bool,
    #[serde(with = "nullable")]
    pub on_build: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

impl ContainerConfig {
    /// Takes from the image what was not asked for.
    pub fn take_from_image(&mut self, image: &Self) {
        or(&mut self.user, &image.user);
        or(&mut self.working_dir, &image.working_dir);
        or(&mut self.stop_signal, &image.stop_signal);
        add(&mut self.exposed_ports, &image.exposed_ports);
        add(&mut self.volumes, &image.volumes);
        add(&mut self.labels, &image.labels);
        let is_set = |name: &str| self.env.iter().any(|pair| variable_name(pair) == name);
        let missing = image.env.iter().filter(|pair| !is_set(variable_name(pair)));
        let missing: Vec<String> = missing.cloned().collect();
        self.env.extend(missing);
        // Who says what is executed says with which arguments, too.
        if self.entrypoint.as_ref().is_none_or(Vec::is_empty) {
            if self.cmd.as_ref().is_none_or(Vec::is_empty) {
                self.cmd.clone_from(&image.cmd);
            }
            if self.entrypoint.is_none() {
                self.entrypoint.clone_from(&image.entrypoint);
            }
        }
        if self.entrypoint.as_deref() == Some(&[String::new()]) {
            self.entrypoint = None;
        }
        match (&mut self.healthcheck, &image.healthcheck) {
            (Some(own), Some(image)) => own.take_from_image(image),
            (own @ None, Some(image)) => *own = Some(image.clone()),
            (_, None) => {}
        }
    }
}

fn variable_name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

fn or(own: &mut String, other: &str) {
    if own.is_empty() {
        other.clone_into(own);
    }
}

fn add<T: Clone>(own: &mut BTreeMap<String, T>, other: &BTreeMap<String, T>) {
    for (key, value) in other {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// `{}`, the value of every member of a set.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Empty {}

/// How to find out whether a container is well; times are in nanoseconds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the Engine API says what its members mean")]
pub struct Healthcheck {
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

impl Healthcheck {
    fn take_from_image(&mut self, image: &Self) {
        if self.test.is_empty() {
            self.test.clone_from(&image.test);
        }
        for (own, image) in [
            (&mut self.interval, image.interval),
            (&mut self.timeout, image.timeout),
            (&mut self.start_period, image.start_period),
            (&mut self.start_interval, image.start_interval),
            (&mut self.retries, image.retries),
        ] {
            if *own == 0 {
                *own = image;
            }
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// What is executed in an image with an entry point and a command.
    fn executed(entrypoint: Option<&[&str]>, cmd: Option<&[&str]>) -> Result<Vec<String>, String> {
        let image = ContainerConfig {
            entrypoint: Some(words(&["entry"])),
            cmd: Some(words(&["image", "command"])),
            ..ContainerConfig::default()
        };
        let mut config = ContainerConfig {
            entrypoint: entrypoint.map(words),
            cmd: cmd.map(words),
            ..ContainerConfig::default()
        };
        config.take_from_image(&image);
        super::super::command_line(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn who_says_what_is_executed_says_with_which_arguments() {
        for (entrypoint, cmd, expected) in [
            (None, None, &["entry", "image", "command"][..]),
            (None, Some(&["own"][..]), &["entry", "own"]),
            (Some(&["other"][..]), None, &["other"]),
            (Some(&["other"]), Some(&["own"]), &["other", "own"]),
            // The command line's empty one, and the API's.
            (Some(&[""]), Some(&["own"]), &["own"]),
            (Some(&[]), None, &["image", "command"]),
        ] {
            assert_eq!(executed(entrypoint, cmd).unwrap(), expected, "{entrypoint:?} {cmd:?}");
        }
        assert_eq!(executed(Some(&[""]), None).unwrap_err(), "no command specified");
    }

    #[test]
    fn what_was_asked_for_goes_before_what_the_image_says() {
        let image: ContainerConfig = serde_json::from_str(
            r#"{"Env": ["A=image", "B=image"], "User": "web", "Volumes": {"/data": {}},
                "Labels": null, "WorkingDir": "/srv", "Healthcheck": {"Retries": 3}}"#,
        )
        .unwrap();
        let mut config = ContainerConfig {
            env: words(&["A=own", "C"]),
            user: "root".to_owned(),
            ..ContainerConfig::default()
        };
        config.take_from_image(&image);
        assert_eq!(config.env, ["A=own", "C", "B=image"]);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("root", "/srv"));
        assert!(config.volumes.contains_key("/data"));
        assert_eq!(config.healthcheck.unwrap().retries, 3);
    }

    #[test]
    fn nothing_is_null_where_clients_expect_that() {
        let shown = serde_json::to_value(ContainerConfig::default()).unwrap();
        for member in ["Env", "Cmd", "Entrypoint", "Volumes", "OnBuild"] {
            assert!(shown[member].is_null(), "{member}");
        }
        assert_eq!(shown["Labels"], serde_json::json!({}));
        let read: ContainerConfig = serde_json::from_value(shown).unwrap();
        assert_eq!(read, ContainerConfig::default());
    }
}
