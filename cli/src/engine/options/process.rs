//! The process: who it is, what it is given, how it ends.

use anyhow::{Result, bail};
use berth_runner::spec::{
    ContainerConfig, HostConfig, PidMode, RestartMode, RestartPolicy, UtsMode, parse,
};
use clap::Args;

/// Options of the process.
#[derive(Args, Debug)]
pub(super) struct ProcessOptions {
    /// Attach to STDIN, STDOUT or STDERR
    #[arg(long, short, value_name = "STREAM", value_parser = stream)]
    attach: Vec<Stream>,
    /// Keep STDIN open even if not attached
    #[arg(long, short)]
    interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(long, short)]
    tty: bool,
    /// Set environment variables
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    env_file: Vec<String>,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Working directory inside the container
    #[arg(long, short, value_name = "PATH")]
    workdir: Option<String>,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(long, short)]
    user: Option<String>,
    /// Add additional groups to join
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Container host name
    #[arg(long, short = 'h', value_name = "NAME")]
    hostname: Option<String>,
    /// Container NIS domain name
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Set meta data on a container
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Read in a line delimited file of labels
    #[arg(long, value_name = "FILE")]
    label_file: Vec<String>,
    /// Add an annotation to the container (passed through to the OCI runtime)
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Run an init inside the container that forwards signals and reaps processes
    #[arg(long)]
    init: bool,
    /// PID namespace to use
    #[arg(long, value_name = "MODE", value_parser = pid)]
    pid: Option<PidMode>,
    /// UTS namespace to use
    #[arg(long, value_name = "MODE", value_parser = uts)]
    uts: Option<UtsMode>,
    /// Automatically remove the container and its associated anonymous volumes when it exits
    #[arg(long)]
    rm: bool,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "POLICY", value_parser = parse::restart_policy)]
    restart: Option<RestartPolicy>,
    /// Signal to stop the container
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Timeout (in seconds) to stop a container
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    stop_timeout: Option<i64>,
    /// Runtime to use for this container
    #[arg(long)]
    runtime: Option<String>,
    /// Container isolation technology
    #[arg(long, hide = true)]
    isolation: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

fn stream(text: &str) -> Result<Stream, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(Stream::Stdin),
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        _ => Err("valid streams are STDIN, STDOUT and STDERR"),
    }
}

fn pid(text: &str) -> Result<PidMode, &'static str> {
    text.parse().map_err(|_| "invalid PID mode")
}

fn uts(text: &str) -> Result<UtsMode, &'static str> {
    text.parse().map_err(|_| "invalid UTS mode")
}

impl ProcessOptions {
    /// Whether streams are named that are to be attached.
    pub(super) fn names_streams(&self) -> bool {
        !self.attach.is_empty()
    }

    pub(super) fn apply(self, config: &mut ContainerConfig, host: &mut HostConfig) -> Result<()> {
        let is_attached = |stream| self.attach.contains(&stream);
        let all = self.attach.is_empty();
        config.attach_stdin = self.interactive || is_attached(Stream::Stdin);
        config.attach_stdout = all || is_attached(Stream::Stdout);
        config.attach_stderr = all || is_attached(Stream::Stderr);
        config.open_stdin = self.interactive;
        config.stdin_once = config.open_stdin && config.attach_stdin;
        config.tty = self.tty;
        config.env = parse::variables(&self.env_file, &self.env)?;
        // An empty one is a wish, too: not even the image's.
        config.entrypoint = self.entrypoint.map(|program| vec![program]);
        config.working_dir = self.workdir.unwrap_or_default();
        config.user = self.user.unwrap_or_default();
        config.hostname = self.hostname.unwrap_or_default();
        config.domainname = self.domainname.unwrap_or_default();
        config.labels = parse::labels(&self.label_file, &self.label)?;
        config.stop_signal = self.stop_signal.unwrap_or_default();
        config.stop_timeout = self.stop_timeout;

        host.group_add = self.group_add;
        host.annotations = parse::label_map(&self.annotation);
        host.init = self.init.then_some(true);
        host.pid_mode = self.pid.unwrap_or_default();
        host.uts_mode = self.uts.unwrap_or_default();
        host.auto_remove = self.rm;
        host.restart_policy = self.restart.unwrap_or_default();
        host.runtime = self.runtime.unwrap_or_default();
        if !matches!(self.isolation.as_deref(), None | Some("" | "default")) {
            bail!("invalid isolation '{}' on linux", self.isolation.unwrap_or_default());
        }
        if host.auto_remove && host.restart_policy.name != RestartMode::No {
            bail!("conflicting options: cannot specify both --restart and --rm");
        }
        if host.uts_mode == UtsMode::Host && !config.hostname.is_empty() {
            bail!("conflicting options: hostname and the UTS mode");
        }
        Ok(())
    }
}
