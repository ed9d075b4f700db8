//! Words that no command takes.

use anyhow::Result;

use crate::host::{Host, IMAGE};

/// A command, what it exits with, and what it says first.
const WRONG: [(&str, i32, &str); 36] = [
    ("restart --bogus", 125, "unknown flag: --bogus"),
    ("restart -b", 125, "unknown shorthand flag: 'b' in -b"),
    ("wait --bogus", 125, "unknown flag: --bogus"),
    ("start --bogus", 125, "unknown flag: --bogus"),
    ("rm --bogus", 125, "unknown flag: --bogus"),
    ("ps --bogus", 125, "unknown flag: --bogus"),
    ("run --bogus x", 125, "unknown flag: --bogus"),
    ("container run --bogus x", 125, "unknown flag: --bogus"),
    ("container rm --bogus", 125, "unknown flag: --bogus"),
    ("container prune --bogus", 125, "unknown flag: --bogus"),
    ("volume create --bogus", 125, "unknown flag: --bogus"),
    ("images --bogus", 125, "unknown flag: --bogus"),
    ("image ls --bogus", 125, "unknown flag: --bogus"),
    ("logs --since", 125, "flag needs an argument: --since"),
    (
        "ps -f x",
        125,
        "invalid argument \"x\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
    ),
    (
        "images -f x",
        125,
        "invalid argument \"x\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
    ),
    (
        "volume ls -f x",
        125,
        "invalid argument \"x\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
    ),
    (
        "login -u a -p b --password-stdin",
        1,
        "conflicting options: cannot specify both --password and --password-stdin",
    ),
    ("run", 1, "'berth run' requires at least 1 argument"),
    ("create", 1, "'berth create' requires at least 1 argument"),
    ("container run", 1, "'berth container run' requires at least 1 argument"),
    ("exec", 1, "'berth exec' requires at least 2 arguments"),
    ("exec x", 1, "'berth exec' requires at least 2 arguments"),
    ("stop", 1, "'berth stop' requires at least 1 argument"),
    ("restart", 1, "'berth restart' requires at least 1 argument"),
    ("logs a b", 1, "'berth logs' requires 1 argument"),
    ("ps x", 1, "'berth ps' accepts no arguments"),
    ("rename a", 1, "'berth rename' requires 2 arguments"),
    ("port", 1, "'berth port' requires at least 1 and at most 2 arguments"),
    ("top", 1, "'berth top' requires at least 1 argument"),
    ("images a b", 1, "'berth images' requires at most 1 argument"),
    ("tag a", 1, "'berth tag' requires 2 arguments"),
    ("volume rm", 1, "'berth volume rm' requires at least 1 argument"),
    ("volume create a b", 1, "'berth volume create' requires at most 1 argument"),
    ("volume bogus", 1, "unknown command: berth volume bogus"),
    ("container bogus", 1, "unknown command: berth container bogus"),
];

#[test]
#[ignore = "run by cargo xtask runner"]
fn options_that_are_not_known_and_arguments_that_are_too_many_are_told_apart() -> Result<()> {
    let host = Host::new()?;
    let mut wrong = Vec::new();
    for (command, code, words) in WRONG {
        let ran = host.berth(&command.split(' ').collect::<Vec<_>>())?;
        let first = ran.complained.lines().next().unwrap_or_default();
        if (ran.code, first) != (code, &format!("berth: {words}")) || !ran.said.is_empty() {
            wrong.push(format!("{command}: {ran:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn options_of_all_commands_may_be_repeated_and_switches_given_a_value() -> Result<()> {
    let host = Host::new()?;
    let id = host.ok(&["create", "--network", "none", IMAGE])?;
    for command in [
        "ps -q -a -a --no-trunc",
        "ps --all=false --all -q --no-trunc=1 -n 5 -n 1",
        "container ls -aq --no-trunc=true",
    ] {
        assert_eq!(host.ok(&command.split(' ').collect::<Vec<_>>())?, id, "{command}");
    }
    assert_eq!(host.ok(&["ps", "-q", "--all=false"])?, "");
    assert_eq!(host.ok(&["image", "ls", "-q", "-q=false", "-q"])?.lines().count(), 1);
    let ran = host.berth(&["ps", "--all=maybe"])?;
    let words = "berth: invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: ";
    assert!(ran.code == 125 && ran.complained.starts_with(words), "{ran:?}");
    assert_eq!(host.ok(&["ps", "-h"])?, host.ok(&["ps", "--help"])?);
    host.ok(&["rm", "-f=true", "-f", id.trim()]).map(drop)
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_terminal_is_needed_to_be_typed_at() -> Result<()> {
    let host = Host::new()?;
    host.idle(&["--name", "box"])?;
    for command in [&["run", "--rm", "-it", IMAGE, "sh"][..], &["exec", "-it", "box", "sh"]] {
        let ran = host.berth(command)?;
        let said = (ran.code, ran.complained.as_str());
        assert_eq!(said, (1, "berth: the input device is not a TTY\n"), "{command:?}");
    }
    Ok(())
}
