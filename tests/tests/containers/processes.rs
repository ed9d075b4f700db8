//! `top`, with the options of `ps`.

use anyhow::Result;
use berth_tests::wait::until;

use crate::host::Host;

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_only_ps_of_the_host_knows_is_asked_of_it() -> Result<()> {
    let host = Host::new()?;
    let id = host.idle(&["--name", "box"])?;
    host.idle(&["--name", "other"])?;
    // The shell, and what it waits for.
    until("both run", || Ok(host.ok(&["top", "box"])?.lines().count() == 3))?;
    let pid = host.inspect("box")?["State"]["Pid"].to_string();
    for (options, titles) in [
        (&["aux"][..], "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        (&["axo", "pid,ppid,cmd"], "PID PPID CMD"),
        (&["-o", "pid,nlwp,args"], "PID NLWP COMMAND"),
        (&["--forest"], "PID TTY TIME CMD"),
        (&["-ef", "--sort", "pid"], "UID PID PPID C STIME TTY TIME CMD"),
    ] {
        let said = host.ok(&[&["top", "box"], options].concat())?;
        let rows: Vec<Vec<&str>> =
            said.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0].join(" "), titles, "{options:?}");
        let place = rows[0].iter().position(|title| *title == "PID").unwrap_or_default();
        // None of the other container.
        assert_eq!(rows.len(), 3, "{options:?}: {said}");
        assert!(rows.iter().any(|row| row[place] == pid), "{options:?}: {said}");
    }
    for (options, words) in [
        (&["-o", "comm"][..], "Couldn't find PID field in ps output"),
        (&["-eo", "comm,nlwp"], "Couldn't find PID field in ps output"),
        (&["-o", "nothing"], "ps: error: unknown user-defined format specifier \"nothing\""),
    ] {
        let ran = host.berth(&[&["top", "box"], options].concat())?;
        assert_eq!((ran.code, ran.said.as_str()), (1, ""), "{options:?}");
        assert_eq!(ran.complained, format!("berth: {words}\n"));
    }
    host.ok(&["kill", "box"])?;
    host.ok(&["wait", "box"])?;
    let ran = host.berth(&["top", "box", "aux"])?;
    assert_eq!(ran.complained, format!("berth: container {id} is not running\n"));
    Ok(())
}
