//! A private home directory, and the outside programs a test runs in it.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::process::Daemon;

/// Debian's own programs come before what else a machine may have on its PATH, so that every machine tests the same.
const DEBIAN_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// No client needs longer for the images here; one that does is stuck.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(10);

/// The directory `cargo xtask setup` fills: tools in `bin/`, prepared images in `fixtures/`.
pub fn cache() -> Result<PathBuf> {
    env::var_os("BERTH_CACHE")
        .map(PathBuf::from)
        .context("BERTH_CACHE is not set: these tests are started by `cargo xtask conformance` and `cargo xtask clients`")
}

/// A temporary home for the programs of one test: their configuration, credentials and temporary files stay in it.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl Home {
    /// An empty home.
    pub fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut home = Self { directory, environment: Vec::new() };
        for (name, folder) in [
            ("HOME", "home"),
            ("TMPDIR", "tmp"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CACHE_HOME", "home/.cache"),
            ("XDG_CONFIG_HOME", "home/.config"),
            ("XDG_DATA_HOME", "home/.local/share"),
            ("DOCKER_CONFIG", "home/.docker"),
        ] {
            let path = home.path(folder);
            fs::create_dir_all(&path)?;
            home.set(name, path);
        }
        let auth_file = home.path("home/auth.json");
        fs::write(&auth_file, "{}")?;
        home.set("REGISTRY_AUTH_FILE", auth_file);
        home.set("LC_ALL", "C.UTF-8");
        home.set("PATH", search_path()?);
        Ok(home)
    }

    /// A path in this home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sets a variable for every program run from now on.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.environment.push((name.into(), value.into()));
    }

    /// Runs a command line and returns what it printed on its standard output, trimmed; an error if it fails.
    ///
    /// The line is split at white space, so no argument can hold any: use [`Home::command`] for those.
    pub fn run(&self, line: &str) -> Result<String> {
        self.expect_success(line, None)
    }

    /// The same, with `input` on its standard input.
    pub fn run_with_input(&self, line: &str, input: &[u8]) -> Result<String> {
        self.expect_success(line, Some(input))
    }

    /// Runs a command line that must fail, and returns what it printed on both outputs.
    pub fn refused(&self, line: &str) -> Result<String> {
        self.expect_failure(line, None)
    }

    /// The same, with `input` on its standard input.
    pub fn refused_with_input(&self, line: &str, input: &[u8]) -> Result<String> {
        self.expect_failure(line, Some(input))
    }

    /// Runs a command line in `directory` and says whether it succeeded, whatever it printed.
    pub fn succeeds_in(&self, directory: &Path, line: &str) -> Result<bool> {
        let mut command = self.command(line)?;
        command.current_dir(directory);
        Ok(self.wait(line, command, None)?.status.success())
    }

    /// Starts a long-running program; its log is `<name>.log` in this home.
    pub fn daemon(&self, name: &str, line: &str) -> Result<Daemon> {
        println!("$ {line} &");
        Daemon::start(name, self.command(line)?, &self.path(&format!("{name}.log")))
    }

    /// The command of a line, split at white space, with this home's environment and no other.
    pub fn command(&self, line: &str) -> Result<Command> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command line")?;
        let mut command = Command::new(find(program)?);
        command.args(words).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.path("home"));
        Ok(command)
    }

    fn expect_success(&self, line: &str, input: Option<&[u8]>) -> Result<String> {
        let finished = self.finish(line, input)?;
        let Finished { status, stdout, stderr } = &finished;
        ensure!(status.success(), "`{line}` failed with {status}:\n{stdout}{stderr}");
        Ok(stdout.trim().to_owned())
    }

    fn expect_failure(&self, line: &str, input: Option<&[u8]>) -> Result<String> {
        let finished = self.finish(line, input)?;
        ensure!(
            !finished.status.success(),
            "`{line}` should fail and did not:\n{}{}",
            finished.stdout,
            finished.stderr
        );
        Ok(finished.stdout + &finished.stderr)
    }

    fn finish(&self, line: &str, input: Option<&[u8]>) -> Result<Finished> {
        println!("$ {line}");
        self.wait(line, self.command(line)?, input)
    }

    /// Runs `command`, called `name` in errors, for as long as is reasonable.
    fn wait(&self, name: &str, mut command: Command, input: Option<&[u8]>) -> Result<Finished> {
        let output = tempfile::tempdir_in(self.path("tmp"))?;
        let (stdin, stdout, stderr) = (
            output.path().join("stdin"),
            output.path().join("stdout"),
            output.path().join("stderr"),
        );
        fs::write(&stdin, input.unwrap_or_default())?;
        let mut child = command
            .stdin(Stdio::from(File::open(&stdin)?))
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("cannot start `{name}`"))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!(
                    "`{name}` did not end within {PATIENCE:?}:\n{}{}",
                    text(&stdout)?,
                    text(&stderr)?
                );
            }
            sleep(POLL);
        };
        Ok(Finished { status, stdout: text(&stdout)?, stderr: text(&stderr)? })
    }
}

struct Finished {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn text(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

fn search_path() -> Result<OsString> {
    let mut folders = vec![cache()?.join("bin")];
    folders.extend(env::split_paths(DEBIAN_PATH));
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    Ok(env::join_paths(folders)?)
}

fn find(program: &str) -> Result<PathBuf> {
    env::split_paths(&search_path()?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .with_context(|| format!("{program} is not installed: run `cargo xtask setup`"))
}
