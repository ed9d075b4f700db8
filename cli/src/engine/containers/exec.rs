//! `exec`.

use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::{ContainerError, ExecRequest};
use berth_runner::spec::parse;

use super::arguments::ExecArguments;
use super::{complain, engine};

pub(super) fn exec(arguments: ExecArguments) -> ExitCode {
    let done = || -> Result<u8> {
        let mut words = arguments.words.into_iter();
        // There are two at least, says the argument.
        let container = words.next().unwrap_or_default();
        let is_terminal = rustix::termios::isatty(rustix::stdio::stdin());
        if arguments.tty && arguments.interactive && !arguments.detach && !is_terminal {
            anyhow::bail!("the input device is not a TTY");
        }
        let request = ExecRequest {
            command: words.collect(),
            tty: arguments.tty,
            input: arguments.interactive,
            detach: arguments.detach,
            user: arguments.user,
            env: parse::variables(&arguments.env_file, &arguments.env)?,
            working_dir: arguments.workdir,
            privileged: arguments.privileged,
        };
        Ok(engine()?.exec(&container, &request)?)
    };
    match done() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let started = error.downcast_ref::<ContainerError>();
            let code = match started {
                Some(ContainerError::Start { code, .. }) => *code,
                _ => 1,
            };
            complain(&error, code)
        }
    }
}
