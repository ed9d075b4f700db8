//! The words that engines say, read without `clap`: to make what it knows of options takes it a fifth of a millisecond,
//! a thirtieth of all that a short container takes, and an engine says one of these lines for each step of each.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::{
    Arguments, Bundle, Command, Create, Exec, Global, LogFormat, ProcessOptions, ROOT, Run, SIGNAL,
};

/// Reads `words`, the program's name first, if there is nothing unusual in them. All else, and all that is wrong, is
/// for `clap` to read.
pub(super) fn read(words: &[OsString]) -> Option<Arguments> {
    let mut words = words.iter().skip(1).map(OsString::as_os_str);
    let (mut root, mut log, mut log_format) = (None, None, None);
    let command = loop {
        match words.next()?.to_str()? {
            "--root" => set(&mut root, words.next()?)?,
            "--log" => set(&mut log, words.next()?)?,
            "--log-format" => set(&mut log_format, words.next()?)?,
            command => break command,
        }
    };
    let command = match command {
        "create" => Command::Create(Create { bundle: bundle(words)? }),
        "run" => {
            let mut words = words.peekable();
            let detach = words.next_if(|word| *word == "--detach").is_some();
            Command::Run(Run { bundle: bundle(words)?, detach, keep: false })
        }
        "exec" => Command::Exec(exec(words)?),
        "start" => Command::Start { id: only(words)? },
        "state" => Command::State { id: only(words)? },
        "delete" => delete(words)?,
        "kill" => kill(words)?,
        _ => return None,
    };
    let log_format = match log_format.as_deref().map(OsStr::to_str) {
        None | Some(Some("text")) => LogFormat::Text,
        Some(Some("json")) => LogFormat::Json,
        Some(_) => return None,
    };
    let global = Global {
        root: root.unwrap_or_else(|| ROOT.into()).into(),
        log: log.map(PathBuf::from),
        log_format,
        debug: false,
        systemd_cgroup: false,
        rootless: None,
    };
    Some(Arguments { global, command })
}

fn bundle<'words>(mut words: impl Iterator<Item = &'words OsStr>) -> Option<Bundle> {
    let (mut bundle, mut config, mut id) = (None, None, None);
    let (mut console_socket, mut pid_file, mut pin_file) = (None, None, None);
    while let Some(word) = words.next() {
        match word.to_str()? {
            "--bundle" | "-b" => set(&mut bundle, words.next()?)?,
            "--config" | "-f" => set(&mut config, words.next()?)?,
            "--console-socket" => set(&mut console_socket, words.next()?)?,
            "--pid-file" => set(&mut pid_file, words.next()?)?,
            "--pin-file" => set(&mut pin_file, words.next()?)?,
            _ => set(&mut id, word)?,
        }
    }
    Some(Bundle {
        bundle: bundle.unwrap_or_else(|| ".".into()).into(),
        config: config.map(PathBuf::from),
        process: ProcessOptions {
            console_socket: console_socket.map(PathBuf::from),
            pid_file: pid_file.map(PathBuf::from),
            ..ProcessOptions::default()
        },
        pin_file: pin_file.map(PathBuf::from),
        no_pivot: false,
        no_new_keyring: false,
        id: id?.into_string().ok()?,
    })
}

/// With the process in a file: a program among the words may have options of its own.
fn exec<'words>(mut words: impl Iterator<Item = &'words OsStr>) -> Option<Exec> {
    let (mut detach, mut process) = (false, None);
    let (mut console_socket, mut pid_file) = (None, None);
    let id = loop {
        let word = words.next()?;
        match word.to_str()? {
            "--detach" if !detach => detach = true,
            "--process" => set(&mut process, words.next()?)?,
            "--console-socket" => set(&mut console_socket, words.next()?)?,
            "--pid-file" => set(&mut pid_file, words.next()?)?,
            _ => break plain(word)?.into_string().ok()?,
        }
    };
    words.next().is_none().then(|| Exec {
        options: ProcessOptions {
            console_socket: console_socket.map(PathBuf::from),
            pid_file: pid_file.map(PathBuf::from),
            ..ProcessOptions::default()
        },
        process: process.map(PathBuf::from),
        detach,
        id,
        ..Exec::default()
    })
}

fn delete<'words>(words: impl Iterator<Item = &'words OsStr>) -> Option<Command> {
    let mut words = words.peekable();
    let force = words.next_if(|word| *word == "--force" || *word == "-f").is_some();
    Some(Command::Delete { force, id: only(words)? })
}

fn kill<'words>(mut words: impl Iterator<Item = &'words OsStr>) -> Option<Command> {
    let id = plain(words.next()?)?;
    let signal = match words.next() {
        Some(signal) => plain(signal)?,
        None => SIGNAL.into(),
    };
    let (id, signal) = (id.into_string().ok()?, signal.into_string().ok()?);
    words.next().is_none().then_some(Command::Kill { all: false, id, signal })
}

/// The one word that is left.
fn only<'words>(mut words: impl Iterator<Item = &'words OsStr>) -> Option<String> {
    let word = plain(words.next()?)?.into_string().ok()?;
    words.next().is_none().then_some(word)
}

/// `None` where there is a value already.
fn set(place: &mut Option<OsString>, word: &OsStr) -> Option<()> {
    place.replace(plain(word)?).is_none().then_some(())
}

/// A word that cannot be taken for an option, or for none at all.
fn plain(word: &OsStr) -> Option<OsString> {
    let bytes = word.as_encoded_bytes();
    (!bytes.is_empty() && !bytes.starts_with(b"-")).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_read_is_what_clap_reads() {
        for line in [
            "berth create --bundle /b --pid-file /p --console-socket /c one",
            "berth create one -b /b",
            "berth --root /r --log /l --log-format json create --bundle /b --pid-file /p one",
            "berth --log-format text run one",
            "berth run --bundle . one",
            "berth run --detach --bundle . --pid-file pid --pin-file pin --config /c one",
            "berth create -f /c one",
            "berth --root /r exec --process /p one",
            "berth --log /l --log-format json exec --detach --process /p one",
            "berth exec --process /p --console-socket /c --detach --pid-file /f one",
            "berth exec one",
            "berth start one",
            "berth state one",
            "berth delete one",
            "berth delete --force one",
            "berth delete -f one",
            "berth kill one",
            "berth kill one 9",
            "berth kill one SIGTERM",
        ] {
            let words = words(line);
            let expected = Arguments::try_parse_from(&words).unwrap();
            assert_eq!(read(&words), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_clap() {
        for line in [
            "berth",
            "berth --help",
            "berth --version",
            "berth --root=/r state one",
            "berth --root",
            "berth --root /r --root /s state one",
            "berth --log-format xml state one",
            "berth --systemd-cgroup create one",
            "berth create",
            "berth create one two",
            "berth create --bundle /b --bundle /c one",
            "berth create --bundle --pid-file one",
            "berth create --no-pivot one",
            "berth create -- one",
            "berth run -d one",
            "berth state",
            "berth state ",
            "berth state one two",
            "berth state --help",
            "berth delete one --force",
            "berth kill --all one",
            "berth kill one -9",
            "berth kill one 9 9",
            "berth exec one true",
            "berth exec --tty one",
            "berth exec --detach --detach one",
            "berth exec --process /p one -- true",
            "berth exec --process /p",
            "berth unknown one",
        ] {
            assert_eq!(read(&words(line)), None, "{line}");
        }
    }
}
