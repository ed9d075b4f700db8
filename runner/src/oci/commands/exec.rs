//! `exec`.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use super::super::Result;
use super::super::arguments::Exec;
use super::super::config::process::{Capabilities, Process as Specified};
use super::super::container::{ContainerId, Folder, Process, Status};
use super::super::error::{Doing as _, Error};
use super::super::init::Joining;
use super::super::launch;
use super::super::plan::ProcessPlan;
use super::create::listening_descriptors;
use super::foreground::Foreground;
use super::{Context, write_pid_file};

/// Its exit code.
pub(super) fn exec(context: &Context<'_>, exec: &Exec) -> Result<u8> {
    execute(context, exec, exec.process.as_deref().map(read).transpose()?)
}

/// The same, of a process that was read already.
pub(super) fn execute(
    context: &Context<'_>,
    exec: &Exec,
    process: Option<Specified>,
) -> Result<u8> {
    let id: ContainerId = exec.id.parse()?;
    let folder = Folder::open(context.root, &id)?;
    let record = folder.record()?;
    match folder.status(&record)? {
        Status::Running | Status::Created => {}
        Status::Paused if exec.ignore_paused => {}
        status => return Err(Error::Status { action: "exec in", status }),
    }
    let config = folder.config()?;
    let base = config.process.ok_or_else(|| Error::invalid("the container has no process"))?;
    let specified = specified(exec, process, base)?;
    let mut warnings = Vec::new();
    let seccomp = config.linux.seccomp.as_ref();
    let process = ProcessPlan::new(&specified, seccomp, &launch::facts()?, &mut warnings)?;
    warnings.iter().for_each(|warning| context.log.warning(warning));
    let identity = record.identity.as_ref().ok_or(Error::NotRunning)?;
    let member = Process::of(identity)?.ok_or(Error::NotRunning)?;
    let pid_namespace = File::open(format!("/proc/{}/ns/pid", identity.pid));
    let root = record.shared_mounts.map(|_| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(format!("/proc/{}/root", identity.pid), flags, Mode::empty())
    });
    let foreground = Foreground::prepare(exec.detach, exec.options.console_socket.is_some())?;
    let console = match &exec.options.console_socket {
        Some(path) => Some(launch::connect(path)?),
        None => foreground.console()?,
    };
    let joining = Joining {
        member: member.pidfd,
        pid_namespace: pid_namespace.doing(|| "open the pid namespace")?.into(),
        root: root.transpose().doing(|| "open the root of the container")?,
        namespaces: record.namespaces.clone(),
        console: console.filter(|_| process.terminal),
        preserved: exec.options.preserve_fds + listening_descriptors(),
    };
    let mut waiting = launch::joining(&process, joining, record.cgroup.entrance()?)?;
    if let Some(path) = &exec.options.pid_file {
        waiting = waiting.ready()?;
        let written = write_pid_file(path, waiting.child.pid.as_raw_nonzero().get());
        if let Err(error) = written {
            return Err(waiting.give_up(error));
        }
    }
    let child = waiting.execute()?;
    // Others may use the container while the process runs.
    drop(folder);
    foreground.wait(&child)
}

fn read(path: &Path) -> Result<Specified> {
    let text = fs::read(path).doing(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

/// What is to be executed: a process that was given is all of it; else it is the container's own process with another
/// command. The options come on top.
fn specified(exec: &Exec, given: Option<Specified>, base: Specified) -> Result<Specified> {
    let is_given = given.is_some();
    let mut process = given.unwrap_or_else(|| Specified {
        args: Vec::new(),
        terminal: false,
        console_size: None,
        ..base
    });
    if !exec.command.is_empty() {
        process.args.clone_from(&exec.command);
    }
    if !is_given || exec.tty {
        process.terminal = exec.tty;
    }
    if let Some(cwd) = &exec.cwd {
        process.cwd.clone_from(cwd);
    }
    process.env.extend(exec.env.iter().cloned());
    if let Some(user) = &exec.user {
        (process.user.uid, process.user.gid) = parse_user(user)?;
    }
    process.user.additional_gids.extend(&exec.additional_gids);
    process.no_new_privileges |= exec.no_new_privs;
    if let Some(profile) = &exec.apparmor {
        process.apparmor_profile.clone_from(profile);
    }
    if let Some(label) = &exec.process_label {
        process.selinux_label.clone_from(label);
    }
    if !exec.cap.is_empty() {
        let Capabilities { bounding, effective, permitted, .. } =
            process.capabilities.get_or_insert_default();
        for set in [bounding, effective, permitted] {
            set.extend(exec.cap.iter().cloned());
        }
    }
    Ok(process)
}

/// Reads `uid` or `uid:gid`: digits alone, so that nothing is taken for another number than it looks
/// like.
fn parse_user(text: &str) -> Result<(u32, u32)> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let number = |digits: &str| {
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|&id| is_plain && id != u32::MAX)
    };
    number(uid).zip(number(gid)).ok_or_else(|| {
        Error::invalid(format!("--user {text:?}: 1000 or 1000:1000, for example, and no names"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_are_plain_numbers() {
        assert_eq!(parse_user("0").unwrap(), (0, 0));
        assert_eq!(parse_user("1000:50").unwrap(), (1000, 50));
        assert_eq!(parse_user("4294967294").unwrap(), (4_294_967_294, 0));
        for text in [
            "",
            ":",
            "1:",
            ":1",
            "+1",
            "-1",
            "0x1",
            " 1",
            "1 ",
            "1:2:3",
            "root",
            "4294967295",
            "4294967296",
            "18446744073709551616",
            "1:+2",
            "1_0",
        ] {
            assert!(parse_user(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        /// Whatever is accepted means what it says: nothing becomes root that does not say so.
        #[test]
        fn what_is_accepted_is_the_number_that_is_written(text in "[-+0-9a-fx: ]{0,24}") {
            if let Ok((uid, gid)) = parse_user(&text) {
                let (first, second) = text.split_once(':').unwrap_or((&text, "0"));
                let plain = |digits: &str| {
                    let digits = digits.trim_start_matches('0');
                    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
                };
                prop_assert_eq!(uid.to_string(), plain(first));
                prop_assert_eq!(gid.to_string(), plain(second));
            }
        }
    }
}
