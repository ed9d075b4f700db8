//! What the process is: its rights, its user, its limits, its descriptors.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::bundle::Bundle;

#[test]
#[ignore = "run by cargo xtask runner"]
fn capabilities_are_those_of_the_configuration_and_none_are_inherited() -> Result<()> {
    let only = json!(["CAP_CHOWN", "CAP_KILL"]);
    let bundle = Bundle::shell("grep Cap /proc/self/status")?.with(
        "/process/capabilities",
        json!({"bounding": only, "effective": only, "permitted": only}),
    );
    let expected = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000021\nCapEff:\t0000000000000021\n\
                    CapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\n";
    assert_eq!(bundle.says()?, expected);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_process_that_joins_has_no_inherited_capabilities_either() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    let ran = bundle.exec(&[], "grep -E 'CapInh|CapEff' /proc/self/status")?;
    assert_eq!(ran.said, "CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn another_user_than_root_has_no_capabilities_in_effect_but_ambient_ones() -> Result<()> {
    let bundle = Bundle::shell("id; grep -E 'CapEff|CapAmb' /proc/self/status")?
        .with("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [5, 6]}));
    let said = bundle.says()?;
    assert!(
        said.starts_with("uid=1000 gid=1000 groups=5,6\nCapEff:\t0000000000000000\n"),
        "{said}"
    );
    let one = json!(["CAP_NET_BIND_SERVICE"]);
    let bundle = bundle.with(
        "/process/capabilities",
        json!({"bounding": one, "effective": one, "permitted": one, "inheritable": one, "ambient": one}),
    );
    let said = bundle.says()?;
    assert!(said.contains("CapEff:\t0000000000000400\nCapAmb:\t0000000000000400\n"), "{said}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn limits_umask_and_directory_are_as_configured() -> Result<()> {
    let bundle = Bundle::shell("ulimit -n; ulimit -Hn; umask; pwd")?
        .with("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]))
        .with("/process/user/umask", json!(0o027))
        .with("/process/cwd", json!("/made/for/it"));
    assert_eq!(bundle.says()?, "100\n200\n0027\n/made/for/it\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn no_new_privileges_are_gained() -> Result<()> {
    let bundle = Bundle::shell("grep NoNewPrivs /proc/self/status")?;
    assert_eq!(bundle.says()?, "NoNewPrivs:\t0\n");
    assert_eq!(bundle.with("/process/noNewPrivileges", json!(true)).says()?, "NoNewPrivs:\t1\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_score_for_killing_is_set() -> Result<()> {
    let bundle =
        Bundle::shell("cat /proc/self/oom_score_adj")?.with("/process/oomScoreAdj", json!(321));
    assert_eq!(bundle.says()?, "321\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_program_that_cannot_be_executed_is_told_in_the_words_that_engines_look_for() -> Result<()> {
    for (program, words, code) in [
        ("nothere", "executable file not found in $PATH", 127),
        ("/bin/nothere", "no such file or directory", 127),
        ("/etc", "permission denied", 126),
        ("/etc/plain", "permission denied", 126),
    ] {
        let bundle = Bundle::new(&[program])?;
        fs::write(bundle.root().join("etc/plain"), "text")?;
        let refusal = bundle.refusal_by(code)?;
        assert!(refusal.contains(words), "{program}: {refusal}");
        assert!(refusal.contains(program), "{program}: {refusal}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn descriptors_of_the_caller_stay_outside_but_for_those_that_are_passed() -> Result<()> {
    let bundle = Bundle::shell("ls /proc/self/fd | wc -l; cat <&3")?;
    let passed = bundle.path().join("passed");
    fs::write(&passed, "passed")?;
    let run = bundle.making("run", &["--preserve-fds", "1"])?;
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 3<$0 4<$0 5<$0 6<$0"]).arg(&passed);
    let output = command.arg(run.get_program()).args(run.get_args()).output()?;
    // ls has the folder open, too: 0, 1, 2, 3 and that.
    assert_eq!(String::from_utf8(output.stdout)?, "5\npassed", "{:?}", output.stderr);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_is_not_supported_is_refused_by_name() -> Result<()> {
    for (pointer, value) in [
        ("/process/scheduler", json!({"policy": "SCHED_FIFO"})),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE"})),
        ("/process/apparmorProfile", json!("docker-default")),
        ("/linux/intelRdt", json!({"closID": "x"})),
        ("/linux/mountLabel", json!("system_u:object_r:svirt_sandbox_file_t:s0")),
    ] {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let refusal = Bundle::shell("true")?.with(pointer, value).refusal()?;
        assert!(refusal.contains(name), "{name}: {refusal}");
    }
    Ok(())
}
