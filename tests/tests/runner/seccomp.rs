//! Filters of system calls, in force.

use anyhow::Result;
use serde_json::{Value, json};

use crate::bundle::Bundle;

fn filtered(command: &str, seccomp: Value) -> Result<Bundle> {
    Ok(Bundle::shell(command)?.with("/linux/seccomp", seccomp))
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_call_that_is_not_allowed_gets_its_error() -> Result<()> {
    let seccomp = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    });
    let bundle = filtered("mkdir /tmp/x; grep -E 'Seccomp:|CapEff' /proc/self/status", seccomp)?;
    let ran = bundle.run()?;
    assert!(ran.complained.contains("No space left on device"), "{ran:?}");
    // The right that it takes to install it is not left behind.
    assert_eq!(ran.said, "CapEff:\t00000000a80425fb\nSeccomp:\t2\n");
    let ran = bundle.with("/process/noNewPrivileges", json!(true)).run()?;
    assert!(ran.complained.contains("No space left on device"), "{ran:?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_call_that_kills_kills() -> Result<()> {
    let seccomp = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}],
    });
    // 128 and SIGSYS.
    assert_eq!(filtered("mkdir /tmp/x; echo $?", seccomp)?.says()?.trim(), "159");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_process_that_joins_is_filtered_too() -> Result<()> {
    let seccomp = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    });
    let bundle = Bundle::idle()?.with("/linux/seccomp", seccomp).start()?;
    let ran = bundle.exec(&[], "mkdir /tmp/x")?;
    assert!(ran.complained.contains("Operation not permitted"), "{ran:?}");
    Ok(())
}
