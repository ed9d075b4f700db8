//! What cannot be is refused in docker's words, with docker's exit codes, and leaves nothing.

use anyhow::Result;

use crate::host::{Host, IMAGE};

#[test]
#[ignore = "run by cargo xtask runner"]
fn programs_that_cannot_be_started_have_exit_codes_of_their_own() -> Result<()> {
    let host = Host::new()?;
    for (program, code, words) in [
        ("nothing", 127, "exec: \"nothing\": executable file not found in $PATH"),
        ("/nothing", 127, "exec: \"/nothing\": stat /nothing: no such file or directory"),
        ("/etc", 126, "permission denied"),
        ("/etc/passwd", 126, "permission denied"),
    ] {
        let ran = host.berth(&["run", "--rm", "--network", "none", IMAGE, program])?;
        assert_eq!((ran.code, ran.said.as_str()), (code, ""), "{program}: {ran:?}");
        assert!(ran.complained.contains(words), "{program}: {ran:?}");
        assert_eq!(ran.complained.lines().count(), 1, "{program}: {ran:?}");
    }
    host.is_clean()?;
    let ran =
        host.berth(&["run", "-d", "--name", "left", "--network", "none", IMAGE, "nothing"])?;
    assert_eq!((ran.code, ran.said.as_str()), (127, ""), "{ran:?}");
    let state = &host.inspect("left")?["State"];
    assert_eq!(
        (state["Status"].as_str(), state["ExitCode"].as_i64()),
        (Some("created"), Some(127))
    );
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_makes_no_sense_is_refused_and_leaves_nothing() -> Result<()> {
    let host = Host::new()?;
    for (args, code, words) in [
        (&["run", "--pull", "never", "missing"][..], 125, "No such image: missing"),
        (&["run", "--nothing", IMAGE], 125, "unknown flag: --nothing"),
        (&["run", "--restart", "always", IMAGE, "true"], 125, "restart policies are not there yet"),
        (&["run", "--network", "nowhere", IMAGE, "true"], 125, "network nowhere not found"),
        (&["run", "--name", "a/b", IMAGE, "true"], 125, "Invalid container name (a/b)"),
        (
            &["run", "--log-driver", "syslog", IMAGE, "true"],
            125,
            "no log driver named 'syslog' is registered",
        ),
        (
            &["run", "-u", "nobody-here", "--network", "none", IMAGE, "true"],
            125,
            "unable to find user nobody-here: no matching entries in passwd file",
        ),
        (
            &["run", "--detach-keys", "ctrl-1", IMAGE, "true"],
            125,
            "invalid detach keys (ctrl-1) provided",
        ),
        (&["run", "-m", "1m", IMAGE, "true"], 125, "Minimum memory limit allowed is 6MB"),
        (&["start", "nobody"], 1, "No such container: nobody"),
        (&["inspect", "nobody"], 1, "No such object: nobody"),
        (&["kill", "-s", "NOTHING", "nobody"], 1, "nvalid signal: NOTHING"),
        (&["ps", "--filter", "colour=red"], 1, "invalid filter 'colour'"),
        (&["logs", "nobody"], 1, "No such container: nobody"),
    ] {
        let ran = host.berth(args)?;
        assert_eq!(
            (ran.code, ran.said.trim_start_matches("[]").trim()),
            (code, ""),
            "{args:?}: {ran:?}"
        );
        assert!(ran.complained.contains(words), "{args:?}: {ran:?}");
    }
    let ids = host.ok(&["ps", "-aq"])?;
    for id in ids.lines() {
        host.ok(&["rm", id])?;
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_name_is_one_containers() -> Result<()> {
    let host = Host::new()?;
    let id = host.idle(&["--name", "web"])?;
    let ran = host.berth(&["create", "--name", "web", IMAGE])?;
    assert_eq!(ran.code, 1);
    assert!(
        ran.complained.contains(&format!(
            "Conflict. The container name \"/web\" is already in use by container \"{id}\""
        )),
        "{ran:?}"
    );
    assert_eq!(host.ok(&["ps", "-aq"])?.lines().count(), 1);
    Ok(())
}
