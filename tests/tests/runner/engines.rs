//! Real engines with `berth oci` as their runtime: a Docker daemon, and podman.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use berth_tests::process::Daemon;
use berth_tests::{Home, berth_binary, fixtures};

/// What waits for a signal, and says which it was.
const WAITS: &str = "trap 'exit 77' TERM; while :; do /bin/busybox sleep 0.1; done";

/// An engine, by its command line.
struct Engine {
    home: Home,
    program: &'static str,
    options: Vec<String>,
    image: &'static str,
    _daemon: Option<Daemon>,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    said: String,
}

impl Engine {
    fn docker() -> Result<Self> {
        let home = Home::new()?;
        let (socket, runtime) = (home.path("run/docker.sock"), runtime(&home)?);
        let line = format!(
            "dockerd --config-file {} --data-root {} --exec-root {} --pidfile {} --host unix://{} --iptables=false \
             --ip6tables=false --bridge=none --exec-opt native.cgroupdriver=cgroupfs --add-runtime berth={} \
             --default-runtime berth",
            empty(&home)?.display(),
            home.path("docker").display(),
            home.path("run/docker").display(),
            home.path("run/docker.pid").display(),
            socket.display(),
            runtime.display(),
        );
        let mut daemon = home.daemon("dockerd", &line)?;
        daemon.wait_until(|| UnixStream::connect(&socket).is_ok())?;
        Self {
            home,
            program: "docker",
            options: vec!["--host".into(), format!("unix://{}", socket.display())],
            image: "bench/judge:1",
            _daemon: Some(daemon),
        }
        .with_image()
    }

    fn podman() -> Result<Self> {
        let mut home = Home::new()?;
        // Its own defaults ask for more open files than every machine allows.
        let configuration = home.path("containers.conf");
        fs::write(&configuration, "[containers]\ndefault_ulimits = []\n")?;
        home.set("CONTAINERS_CONF", configuration);
        let option = |name: &str, path: PathBuf| format!("--{name}={}", path.display());
        let options = vec![
            option("root", home.path("podman")),
            option("runroot", home.path("run/podman")),
            option("runtime", runtime(&home)?),
            "--storage-driver=vfs".into(),
            "--cgroup-manager=cgroupfs".into(),
            "--events-backend=none".into(),
        ];
        let image = "docker.io/bench/judge:1";
        Self { home, program: "podman", options, image, _daemon: None }.with_image()
    }

    fn with_image(self) -> Result<Self> {
        let archive = self.home.path("image.tar");
        let (image, name) = (fixtures::busybox()?, self.image);
        let archive = archive.display();
        self.home.run(&format!("skopeo copy {} docker-archive:{archive}:{name}", image.oci()))?;
        self.says(&["load", "--input", &archive.to_string()])?;
        Ok(self)
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended> {
        println!("$ {} {arguments:?}", self.program);
        let mut command = self.home.command(self.program)?;
        let output = command.args(&self.options).args(arguments).output()?;
        print!("{}", String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().context("the engine was killed")?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Ended { code, said })
    }

    /// What a command says that must succeed.
    fn says(&self, arguments: &[&str]) -> Result<String> {
        let ended = self.run(arguments)?;
        ensure!(ended.code == 0, "{arguments:?} ended with {}: {}", ended.code, ended.said);
        Ok(ended.said)
    }

    /// A container that runs a command of the shell to its end.
    fn shell(&self, options: &[&str], command: &str) -> Result<Ended> {
        let container = ["run", "--rm", "--network=none"];
        let program = [self.image, "/bin/sh", "-c", command];
        self.run(&[&container, options, &program].concat())
    }

    /// One that goes on.
    fn start(&self, name: &str) -> Result<()> {
        let name = format!("--name={name}");
        self.says(&[
            "run",
            "--detach",
            &name,
            "--network=none",
            self.image,
            "/bin/sh",
            "-c",
            WAITS,
        ])?;
        Ok(())
    }
}

/// Engines start a runtime by the path of one program.
fn runtime(home: &Home) -> Result<PathBuf> {
    let path = home.path("berth-oci");
    fs::write(&path, format!("#!/bin/sh\nexec {} oci \"$@\"\n", berth_binary()?.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn empty(home: &Home) -> Result<PathBuf> {
    let path = home.path("daemon.json");
    fs::write(&path, "{}")?;
    Ok(path)
}

fn of_both(test: impl Fn(&Engine) -> Result<()>) -> Result<()> {
    for start in [Engine::docker, Engine::podman] {
        let engine = start()?;
        test(&engine).with_context(|| engine.program)?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn containers_end_as_their_program_does() -> Result<()> {
    of_both(|engine| {
        let ended = engine.shell(&[], "echo said; exit 3")?;
        ensure!(ended.code == 3 && ended.said == "said", "{ended:?}");
        let missing =
            engine.run(&["run", "--rm", "--network=none", engine.image, "/no/program"])?;
        ensure!(missing.code == 127, "{missing:?}");
        let forbidden =
            engine.run(&["run", "--rm", "--network=none", engine.image, "/etc/architecture"])?;
        ensure!(forbidden.code == 126, "{forbidden:?}");
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn commands_are_executed_in_containers_that_run_until_they_are_stopped() -> Result<()> {
    of_both(|engine| {
        engine.start("one")?;
        let ended = engine.run(&["exec", "one", "/bin/sh", "-c", "cat /proc/1/comm; exit 5"])?;
        ensure!(ended.code == 5 && ended.said == "sh", "{ended:?}");
        let user = engine.says(&["exec", "--user=7:8", "one", "/bin/busybox", "id"])?;
        ensure!(user.contains("uid=7") && user.contains("gid=8"), "{user}");
        engine.says(&["pause", "one"])?;
        let state = engine.says(&["inspect", "--format", "{{.State.Status}}", "one"])?;
        ensure!(state == "paused", "{state}");
        engine.says(&["unpause", "one"])?;
        engine.says(&["stop", "one"])?;
        let code = engine.says(&["inspect", "--format", "{{.State.ExitCode}}", "one"])?;
        ensure!(code == "77", "it was not asked to end: {code}");
        engine.says(&["start", "one"])?;
        engine.says(&["kill", "one"])?;
        ensure!(engine.says(&["wait", "one"])? == "137");
        engine.says(&["rm", "one"])?;
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_terminal_is_one() -> Result<()> {
    of_both(|engine| {
        let ended = engine.shell(&["--tty"], "[ -t 0 ] && [ -t 1 ] && echo a terminal")?;
        ensure!(ended.code == 0 && ended.said == "a terminal", "{ended:?}");
        let ended = engine.shell(&[], "[ -t 1 ] || echo none")?;
        ensure!(ended.said == "none", "{ended:?}");
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn limits_are_those_that_were_asked_for() -> Result<()> {
    of_both(|engine| {
        // Of one version of cgroups or the other.
        let read = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null; \
                    cat pids/pids.max pids.max 2>/dev/null";
        let ended = engine.shell(&["--memory=64m", "--pids-limit=23"], read)?;
        let lines: Vec<_> = ended.said.lines().collect();
        ensure!(lines == ["67108864", "23"], "{ended:?}");
        // podman asks for a number of processes, too, if nobody else does: more than some machines allow.
        let files = ["--ulimit=nofile=100:100", "--ulimit=nproc=1000:1000"];
        let ended = engine.shell(&files, "ulimit -n")?;
        ensure!(ended.said == "100", "{ended:?}");
        let eater = "/bin/busybox tail /dev/zero";
        let ended = engine.shell(&["--memory=16m", "--memory-swap=16m"], eater)?;
        ensure!(ended.code == 137, "{ended:?}");
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn rights_are_those_of_the_engine() -> Result<()> {
    of_both(|engine| {
        let chown = "/bin/busybox chown 1:1 /etc/architecture";
        ensure!(engine.shell(&[], chown)?.code == 0);
        ensure!(engine.shell(&["--cap-drop=CHOWN"], chown)?.code == 1);
        let write = "echo x > /etc/file";
        ensure!(
            engine
                .shell(&["--read-only", "--read-only-tmpfs=false"][..readonly(engine)], write)?
                .code
                != 0
        );
        let seccomp = engine.shell(&[], "/bin/busybox unshare -m true")?;
        ensure!(seccomp.code != 0, "{seccomp:?}");
        Ok(())
    })
}

/// podman's mount of what stays writable has an option that is not there.
fn readonly(engine: &Engine) -> usize {
    if engine.program == "podman" { 2 } else { 1 }
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn nothing_is_left_of_what_was_removed() -> Result<()> {
    of_both(|engine| {
        engine.start("one")?;
        let id = engine.says(&["inspect", "--format", "{{.Id}}", "one"])?;
        ensure!(!cgroups(Path::new("/sys/fs/cgroup"), &id)?.is_empty(), "it has no cgroup");
        engine.says(&["rm", "--force", "one"])?;
        let left = cgroups(Path::new("/sys/fs/cgroup"), &id)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

/// The cgroups of a container, of every controller.
fn cgroups(folder: &Path, id: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type()?.is_dir() {
            if entry.file_name().to_string_lossy().contains(id) {
                found.push(entry.path());
            } else {
                found.extend(cgroups(&entry.path(), id)?);
            }
        }
    }
    Ok(found)
}
