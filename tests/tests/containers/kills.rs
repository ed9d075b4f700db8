//! `kill -9` of commands and monitors at random moments, again and again: what they leave the next command takes
//! away, what runs goes on, and what a program ended with is known.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use berth_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

use crate::host::{Host, IMAGE, lives, monitors};

/// How often: `BERTH_CRASHES` says otherwise.
const ROUNDS: u64 = 20;
/// Of the moments, so that a run can be done again.
const SEED: u64 = 20_261_126;

/// A port that is published all the time, and one that comes and goes.
const WEB: u16 = 18_080;
const MORTAL: u16 = 18_081;

/// How long the program of a container that ends by itself takes: one may have ended before the next command looks.
const BRIEF: [&str; 2] = ["0", "0.03"];

#[test]
#[ignore = "run by cargo xtask runner"]
fn whoever_is_killed_leaves_nothing_that_the_next_command_does_not_clean() -> Result<()> {
    let rounds = std::env::var("BERTH_CRASHES").ok().and_then(|text| text.parse().ok());
    let mut trial = Trial::new()?;
    for round in 0..rounds.unwrap_or(ROUNDS) {
        trial.round(round).with_context(|| format!("in round {round}"))?;
    }
    let lost = &trial.lost;
    ensure!(lost.is_empty() || !keeps_exit_codes(), "exit codes were lost: {lost:#?}");
    Ok(())
}

/// Whether this kernel knows how a process ended when its parent is gone: since Linux 6.15.
fn keeps_exit_codes() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 15)
}

struct Trial {
    host: Host,
    random: Random,
    marks: PathBuf,
    /// Where the cgroups of all containers are.
    parent: String,
    bystanders: Vec<Bystander>,
    /// How long a command takes that nobody kills.
    usual: Duration,
    /// Of programs that ended unseen, and nobody knows how, what is said of them.
    lost: Vec<String>,
}

/// A container that nothing is to happen to, and its first process.
struct Bystander {
    name: &'static str,
    id: String,
    process: i64,
}

impl Trial {
    fn new() -> Result<Self> {
        let host = Host::isolated()?;
        let marks = host.path().join("marks");
        fs::create_dir(&marks)?;
        let mut trial = Self {
            parent: format!("/berth-kills-{}", std::process::id()),
            host,
            random: Random(SEED),
            marks,
            bystanders: Vec::new(),
            usual: Duration::ZERO,
            lost: Vec::new(),
        };
        let web = format!("{WEB}:80");
        trial.add_bystander("web", &["-p", &web], &["httpd", "-f", "-p", "80", "-h", "/etc"])?;
        trial.add_bystander("idle", &["--network", "none"], &["sleep", "100000"])?;
        let again = trial.brief(42);
        trial.make(&["create", "--name", "again"], &[], &again)?;
        let start = Instant::now();
        trial.make(&["run", "--rm"], &[], "exit 0")?;
        trial.usual = start.elapsed();
        Ok(trial)
    }

    fn add_bystander(
        &mut self,
        name: &'static str,
        options: &[&str],
        program: &[&str],
    ) -> Result<()> {
        let args = ["run", "-d", "--name", name, "--cgroup-parent", &self.parent];
        let id = self.host.ok(&[&args, options, &[IMAGE], program].concat())?.trim().to_owned();
        let process = self.host.inspect(name)?["State"]["Pid"].as_i64().context("no process")?;
        self.bystanders.push(Bystander { name, id, process });
        Ok(())
    }

    /// The words of a command that makes a container which does `script`.
    fn words(&self, command: &[&str], options: &[&str], script: &str) -> Vec<String> {
        let marks = format!("{}:/marks", self.marks.display());
        let common = ["--cgroup-parent", &self.parent, "-v", &marks];
        let words = [command, &common, options, &[IMAGE, "sh", "-c", script]].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    fn make(&self, command: &[&str], options: &[&str], script: &str) -> Result<()> {
        let words = self.words(command, options, script);
        self.host.ok(&words.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
    }

    /// A program that says when it begins and when it ends.
    fn brief(&mut self, code: u64) -> String {
        let time = BRIEF[usize::from(self.random.below(2) == 1)];
        format!("touch /marks/begun; sleep {time}; touch /marks/ended; exit {code}")
    }

    fn has(&self, mark: &str) -> Result<bool> {
        Ok(fs::exists(self.marks.join(mark))?)
    }

    fn round(&mut self, round: u64) -> Result<()> {
        for mark in ["begun", "ended"] {
            let _ = fs::remove_file(self.marks.join(mark));
        }
        match round % 6 {
            0 => self.one_that_goes(&["--network", "none"]),
            1 => self.one_that_goes(&["-p", &format!("{MORTAL}:80"), "-v", "/anonymous"]),
            2 => self.one_that_stays(),
            3 => self.one_that_is_started_again(),
            4 => self.one_that_is_stopped(),
            _ => self.one_that_is_removed(),
        }?;
        self.is_clean()?;
        self.bystanders_go_on()
    }

    fn one_that_goes(&mut self, options: &[&str]) -> Result<()> {
        let program = self.brief(0);
        let words = self.words(&["run", "--rm"], options, &program);
        self.strike(&words)?;
        let others = self.bystanders.len() + 1;
        until("it is gone", || Ok(self.host.ok(&["ps", "-aq"])?.lines().count() == others))
    }

    fn one_that_stays(&mut self) -> Result<()> {
        let code = 1 + self.random.below(100);
        let mut command = vec!["run", "--name", "box"];
        if self.random.below(2) == 0 {
            command.push("-d");
        }
        let program = self.brief(code);
        let words = self.words(&command, &[], &program);
        self.strike(&words)?;
        if self.is_there("box")? {
            self.settles("box", code)?;
            self.host.ok(&["rm", "box"])?;
        }
        Ok(())
    }

    fn one_that_is_started_again(&mut self) -> Result<()> {
        self.strike(&["start", "-a", "again"].map(str::to_owned))?;
        self.settles("again", 42)
    }

    fn one_that_is_stopped(&mut self) -> Result<()> {
        self.make_idle()?;
        self.strike(&["stop", "-t", "60", "box"].map(str::to_owned))?;
        let state = self.host.inspect("box")?["State"].clone();
        if state["Status"] == "exited" {
            self.ended_with(&state, 143)?;
        } else {
            self.host.ok(&["stop", "-t", "60", "box"])?;
            self.ended_with(&self.host.inspect("box")?["State"].clone(), 143)?;
        }
        self.host.ok(&["rm", "box"]).map(drop)
    }

    fn one_that_is_removed(&mut self) -> Result<()> {
        self.make_idle()?;
        self.strike(&["rm", "-f", "-v", "box"].map(str::to_owned))?;
        if self.is_there("box")? {
            self.host.ok(&["rm", "-f", "-v", "box"])?;
        }
        Ok(())
    }

    fn make_idle(&self) -> Result<()> {
        let script =
            "trap 'exit 143' TERM; touch /marks/begun; while :; do sleep 1000 & wait; done";
        let mortal = format!("{MORTAL}:80");
        self.make(&["run", "-d", "--name", "box"], &["-p", &mortal], script)?;
        until("it begins", || self.has("begun"))
    }

    /// Starts a command, and at some moment kills it, or all monitors, or both.
    fn strike(&mut self, words: &[String]) -> Result<()> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.host.command(&words)?;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let most = u64::try_from(self.usual.as_micros())? * 3 / 2;
        std::thread::sleep(Duration::from_micros(self.random.below(most)));
        let victims = self.random.below(3);
        if victims != 1 {
            kill_process(Pid::from_child(&child), Signal::KILL)?;
        }
        if victims != 0 {
            let monitors = monitors(&self.host, Pid::from_child(&child))?;
            for monitor in &monitors {
                let _ = kill_process(*monitor, Signal::KILL);
            }
            // A process that is killed lives on until the kernel has time for it.
            until("they are dead", || Ok(!monitors.iter().any(|monitor| lives(*monitor))))?;
        }
        child.wait()?;
        Ok(())
    }

    fn is_there(&self, name: &str) -> Result<bool> {
        let names = self.host.ok(&["ps", "-a", "--format", "{{.Names}}"])?;
        Ok(names.lines().any(|line| line == name))
    }

    /// Waits until nothing of a container runs any more. Its program, if it has begun, has gone on to its end, and
    /// what it ended with is known.
    fn settles(&mut self, name: &str, code: u64) -> Result<()> {
        let run = self.host.run_folder().join("containers");
        let id = self.host.inspect(name)?["Id"].as_str().context("no id")?.to_owned();
        until("it ends", || {
            self.host.ok(&["ps"])?;
            Ok(!fs::exists(run.join(&id))?)
        })?;
        let state = self.host.inspect(name)?["State"].clone();
        let (begun, ended) = (self.has("begun")?, self.has("ended")?);
        ensure!(begun == ended, "the program was killed: {state}");
        if ended { self.ended_with(&state, code) } else { Ok(()) }
    }

    fn ended_with(&mut self, state: &serde_json::Value, code: u64) -> Result<()> {
        if state["ExitCode"] == 255 && state["Error"].as_str() != Some("") {
            self.lost.push(state.to_string());
            return Ok(());
        }
        ensure!(state["Status"] == "exited" && state["ExitCode"] == code, "not {code}: {state}");
        Ok(())
    }

    fn bystanders_go_on(&self) -> Result<()> {
        for Bystander { name, process, .. } in &self.bystanders {
            let state = &self.host.inspect(name)?["State"];
            ensure!(state["Status"] == "running" && state["Pid"] == *process, "{name}: {state}");
        }
        ensure!(answers(WEB)?, "the port of the one that goes on is not answered");
        Ok(())
    }

    /// Waits until nothing is left but what is the bystanders'.
    fn is_clean(&self) -> Result<()> {
        let kept: Vec<&str> = self.bystanders.iter().map(|it| it.id.as_str()).collect();
        let again = self.host.inspect("again")?["Id"].as_str().context("no id")?.to_owned();
        let left = || -> Result<Vec<String>> {
            let mut left = self.host.leftovers()?;
            left.extend(cgroups(&self.parent)?);
            left.retain(|it| !kept.iter().any(|kept| it.contains(kept)));
            // It does not run, so it has its folder and its name and nothing else.
            left.retain(|it| !it.ends_with(&format!("data/containers/{again}")));
            left.retain(|it| !it.ends_with(&format!("names/again {again}")));
            let links: Vec<String> =
                links()?.into_iter().filter(|it| it.starts_with("veth")).collect();
            if links.len() != 1 {
                left.push(format!("links: {links:?}"));
            }
            Ok(left)
        };
        let clean = until("nothing is left", || Ok(left()?.is_empty()));
        clean.with_context(|| {
            left().map_or_else(|it| it.to_string(), |left| format!("{left:#?}"))
        })?;
        ensure!(self.host.ok(&["volume", "ls", "-q"])?.is_empty(), "a volume is left");
        ensure!(!answers(MORTAL)?, "somebody answers at the port of one that is gone");
        Ok(())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        for Bystander { name, .. } in &self.bystanders {
            let _ = self.host.berth(&["rm", "-f", name]);
        }
        for folder in hierarchies() {
            let _ = fs::remove_dir(folder.join(self.parent.trim_start_matches('/')));
        }
    }
}

/// Numbers that are the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}

/// Whether a server of HTTP is at a port of the host; an error when the port goes to nobody who refuses.
fn answers(port: u16) -> Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(false),
        other => other.with_context(|| format!("port {port} leads to nobody"))?,
    };
    stream.write_all(b"GET /passwd HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1"))
}

/// The interfaces of this thread's network.
fn links() -> Result<Vec<String>> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = text.lines().filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// Where cgroups are, of either version.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(root.to_owned()).chain(below).collect()
}

/// The cgroups below one.
fn cgroups(parent: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(hierarchy.join(&parent[1..])).into_iter().flatten() {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path().display().to_string());
            }
        }
    }
    Ok(found)
}
