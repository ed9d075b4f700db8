//! The program, its arguments and its environment.

use serde_json::{Map, Value, json};

use super::super::{ContainerConfig, PidMode, SpecError};
use super::security::Security;
use super::{INIT, SpecInput};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn process(
    input: &SpecInput<'_>,
    capabilities: &[String],
    security: &Security<'_>,
) -> Result<Value, SpecError> {
    let SpecInput { config, host_config, user, .. } = *input;
    let mut args = command_line(config)?;
    if host_config.init == Some(true) && host_config.pid_mode == PidMode::Private {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let mut env = environment(config, &config.hostname, config.tty);
    if !env.iter().any(|pair| pair.starts_with("HOME=")) {
        env.push(format!("HOME={}", user.home));
    }
    let mut process = Map::new();
    if config.tty {
        process.insert("terminal".to_owned(), true.into());
        let [height, width] = host_config.console_size;
        if height != 0 || width != 0 {
            process.insert("consoleSize".to_owned(), json!({"height": height, "width": width}));
        }
    }
    process.insert(
        "user".to_owned(),
        json!({"uid": user.uid, "gid": user.gid, "additionalGids": user.groups}),
    );
    process.insert("args".to_owned(), args.into());
    process.insert("env".to_owned(), env.into());
    let cwd = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
    process.insert("cwd".to_owned(), cwd.into());
    process.insert(
        "capabilities".to_owned(),
        json!({"bounding": capabilities, "effective": capabilities, "permitted": capabilities}),
    );
    let limits = host_config.ulimits.iter().map(|limit| {
        // -1 is no limit, which is the highest number there.
        let [soft, hard] = [limit.soft, limit.hard].map(i64::cast_unsigned);
        let kind = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
        json!({"type": kind, "soft": soft, "hard": hard})
    });
    let limits: Vec<Value> = limits.collect();
    if !limits.is_empty() {
        process.insert("rlimits".to_owned(), limits.into());
    }
    process.insert("oomScoreAdj".to_owned(), host_config.oom_score_adj.into());
    if security.no_new_privileges {
        process.insert("noNewPrivileges".to_owned(), true.into());
    }
    if let Some(profile) = security.apparmor_profile {
        process.insert("apparmorProfile".to_owned(), profile.into());
    }
    Ok(process.into())
}

/// What is executed: the entry point, and after it the command.
///
/// # Errors
///
/// Neither the request nor the image says what.
pub fn command_line(config: &ContainerConfig) -> Result<Vec<String>, SpecError> {
    let words = [&config.entrypoint, &config.cmd];
    let words: Vec<String> = words.into_iter().flatten().flatten().cloned().collect();
    if words.is_empty() {
        return Err(SpecError::invalid("no command specified"));
    }
    Ok(words)
}

/// The environment without `HOME`: what docker gives to every container, and over it that of the
/// container. The last of two values of one variable counts, and a name alone takes it away.
#[must_use]
pub fn environment(config: &ContainerConfig, hostname: &str, tty: bool) -> Vec<String> {
    let mut env = vec![PATH.to_owned()];
    if !hostname.is_empty() {
        env.push(format!("HOSTNAME={hostname}"));
    }
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    for pair in &config.env {
        let name = pair.split_once('=').map_or(pair.as_str(), |(name, _)| name);
        let known = env
            .iter()
            .position(|known| known.split_once('=').is_some_and(|(known, _)| known == name));
        match (known, pair.contains('=')) {
            (Some(at), true) => env[at].clone_from(pair),
            (Some(at), false) => drop(env.remove(at)),
            (None, true) => env.push(pair.clone()),
            (None, false) => {}
        }
    }
    env
}
