//! The program of `--init`: 3 KB of system calls that run in any image, whatever it has or has not.
//!
//! A program that is mounted into a container finds none of its libraries there, so `build.rs`
//! compiles `runner/init/` with nothing linked to it. The runtime itself could do this work as well,
//! but then each such container would keep the whole of it in memory, and no other runtime would do
//! in its place.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::SpecError;
use crate::Roots;

const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// Where the program is on the host, put there if it is not, or is another version's.
///
/// # Errors
///
/// When it cannot be written.
pub fn place_init(roots: &Roots) -> Result<PathBuf, SpecError> {
    let path = roots.run().join("init");
    if fs::read(&path).is_ok_and(|there| there == PROGRAM) {
        return Ok(path);
    }
    match place(roots.run(), &path) {
        Ok(()) => Ok(path),
        Err(source) => Err(SpecError::File { path, source }),
    }
}

/// Containers that have the old one keep it.
fn place(folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = folder.join(format!(".init-{}", std::process::id()));
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&new);
    written.and_then(|mut file| file.write_all(PROGRAM))?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};
    use tempfile::TempDir;

    use super::*;

    fn init(arguments: &[&str]) -> (TempDir, Command) {
        let folder = tempfile::tempdir().unwrap();
        let path = place_init(&Roots::new(folder.path(), folder.path().join("run"))).unwrap();
        let mut command = Command::new(path);
        command.arg("--").args(arguments).stderr(Stdio::null());
        (folder, command)
    }

    #[test]
    fn it_ends_as_the_program_ends() {
        for (arguments, status) in [
            (&["sh", "-c", "exit 7"][..], 7),
            (&["sh", "-c", "kill -9 $$"], 137),
            (&["no-such-program"], 127),
            (&["/etc"], 126),
        ] {
            let (_folder, mut command) = init(arguments);
            assert_eq!(command.status().unwrap().code(), Some(status), "{arguments:?}");
        }
    }

    #[test]
    fn arguments_and_environment_go_through() {
        let (_folder, mut command) = init(&["sh", "-c", "echo \"$A $1\"", "sh", "two words"]);
        let output = command.env("A", "one").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "one two words\n");
    }

    #[test]
    fn signals_go_to_the_program() {
        let script = "trap 'exit 3' TERM; echo ready; while :; do read line; done";
        let (_folder, mut command) = init(&["sh", "-c", script]);
        let command = command.stdout(Stdio::piped()).stdin(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }

    #[test]
    fn another_version_is_put_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::new(folder.path(), folder.path());
        let path = place_init(&roots).unwrap();
        fs::write(&path, "old").unwrap();
        assert_eq!(fs::read(place_init(&roots).unwrap()).unwrap(), PROGRAM);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
