//! Terminals (N1): typed at, made larger, let go of.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::host::{Host, IMAGE};

/// A command at a terminal.
pub(crate) struct Typed {
    pub(crate) terminal: File,
    inner: File,
    pub(crate) child: Child,
}

impl Typed {
    pub(crate) fn new(mut command: Command) -> Result<Self> {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outer)?;
        unlockpt(&outer)?;
        let inner = ioctl_tiocgptpeer(
            &outer,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )?;
        let inner = File::from(inner);
        tcsetwinsize(&inner, Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 })?;
        let end = || inner.try_clone().map(Stdio::from);
        let child = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
        Ok(Self { terminal: outer.into(), inner, child })
    }

    pub(crate) fn read_until(&mut self, end: &str) -> Result<String> {
        let mut text = String::new();
        while !text.contains(end) {
            let mut bytes = [0; 1024];
            let length =
                self.terminal.read(&mut bytes).with_context(|| format!("after {text:?}"))?;
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        Ok(text)
    }
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn somebody_at_a_terminal_is_understood_and_gets_it_back() -> Result<()> {
    let host = Host::new()?;
    let mut typed =
        Typed::new(host.command(&["run", "-it", "--rm", "--network", "none", IMAGE, "sh"])?)?;
    let before = tcgetattr(&typed.inner)?;
    typed.terminal.write_all(b"stty size; tty; echo e''nd\n")?;
    let text = typed.read_until("end\r\n")?;
    assert!(text.contains("33 77\r\n") && text.contains("/dev/pts/0\r\n"), "{text}");
    typed.terminal.write_all(b"exit 9\n")?;
    assert_eq!(typed.child.wait()?.code(), Some(9));
    let after = tcgetattr(&typed.inner)?;
    assert_eq!(before.local_modes, after.local_modes);
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn somebody_lets_go_and_comes_back() -> Result<()> {
    let host = Host::new()?;
    let mut typed = Typed::new(host.command(&[
        "run",
        "-it",
        "--name",
        "box",
        "--network",
        "none",
        IMAGE,
        "sh",
    ])?)?;
    typed.terminal.write_all(b"X=kept; echo o''ne\n")?;
    typed.read_until("one\r\n")?;
    typed.terminal.write_all(&[16, 17])?;
    assert_eq!(typed.child.wait()?.code(), Some(0));
    assert_eq!(host.status("box")?, "running");
    let mut typed = Typed::new(host.command(&["attach", "box"])?)?;
    typed.terminal.write_all(b"echo $X; exit 4\n")?;
    typed.read_until("kept\r\n")?;
    assert_eq!(typed.child.wait()?.code(), Some(4));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn another_program_has_a_terminal_of_its_own() -> Result<()> {
    let host = Host::new()?;
    host.idle(&["--name", "box"])?;
    let mut typed = Typed::new(host.command(&["exec", "-it", "box", "sh"])?)?;
    typed.terminal.write_all(b"stty size; exit 6\n")?;
    typed.read_until("33 77\r\n")?;
    assert_eq!(typed.child.wait()?.code(), Some(6));
    Ok(())
}
