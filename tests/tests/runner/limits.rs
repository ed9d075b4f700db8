//! Cgroups: limits hold, can be changed, and what is used is told.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bundle::Bundle;

const MIB: i64 = 1 << 20;

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_process_that_uses_more_memory_than_it_may_is_killed() -> Result<()> {
    // All that is written to a tmpfs is memory.
    let bundle = Bundle::new(&["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=40"])?
        .with("/linux/resources/memory", json!({"limit": 16 * MIB}));
    assert_eq!(bundle.run()?.code, 137);
    assert!(bundle.is_gone()?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn no_more_processes_are_there_than_may_be() -> Result<()> {
    let bundle =
        Bundle::shell("sleep 0 & sleep 0 & sleep 0 & sleep 0 & sleep 0 & sleep 0 & wait; echo no")?
            .with("/linux/resources/pids", json!({"limit": 3}));
    let ran = bundle.run()?;
    assert!(ran.complained.contains("can't fork"), "{ran:?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn limits_are_written_and_can_be_changed() -> Result<()> {
    let bundle = Bundle::idle()?
        .with("/linux/resources/memory", json!({"limit": 64 * MIB, "reservation": 32 * MIB}))
        .with(
            "/linux/resources/cpu",
            json!({"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0"}),
        )
        .start()?;
    let id = bundle.id.as_str();
    let read = |controller: &str, file: &str| -> Result<String> {
        Ok(fs::read_to_string(bundle.cgroup(controller)?.join(file))?.trim().to_owned())
    };
    let v2 = bundle.cgroup("memory")?.join("memory.max").exists();
    let limit =
        || if v2 { read("", "memory.max") } else { read("memory", "memory.limit_in_bytes") };
    assert_eq!(limit()?, (64 * MIB).to_string());
    let quota = || if v2 { read("", "cpu.max") } else { read("cpu", "cpu.cfs_quota_us") };
    assert!(quota()?.starts_with("50000"));
    assert_eq!(read("cpuset", "cpuset.cpus")?, "0");

    bundle.command(&[
        "update",
        "--memory",
        &(128 * MIB).to_string(),
        "--cpu-quota",
        "20000",
        id,
    ])?;
    assert_eq!(limit()?, (128 * MIB).to_string());
    assert!(quota()?.starts_with("20000"));

    let resources = bundle.path().join("resources.json");
    fs::write(&resources, json!({"pids": {"limit": 77}}).to_string())?;
    bundle.command(&["update", "--resources", resources.to_str().unwrap(), id])?;
    assert_eq!(read("pids", "pids.max")?, "77");
    assert_eq!(limit()?, (128 * MIB).to_string());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_is_used_is_told() -> Result<()> {
    let bundle = Bundle::idle()?.with("/linux/resources/pids", json!({"limit": 50})).start()?;
    let event: Value = serde_json::from_str(&bundle.command(&["events", "--stats", &bundle.id])?)?;
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], bundle.id.as_str());
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64() > Some(0), "{event}");
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64() > Some(0), "{event}");
    assert!(event["data"]["pids"]["current"].as_u64() >= Some(1), "{event}");
    assert_eq!(event["data"]["pids"]["limit"], 50);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_place_of_a_cgroup_is_as_configured() -> Result<()> {
    let bundle = Bundle::idle()?;
    let path = format!("/berth-tests/{}", bundle.id);
    let bundle = bundle.with("/linux/cgroupsPath", json!(path)).start()?;
    assert!(bundle.cgroup("memory")?.ends_with(&path[1..]));
    for taken in ["/../../x", "/", path.as_str()] {
        let refusal = Bundle::shell("true")?.with("/linux/cgroupsPath", json!(taken)).refusal()?;
        assert!(refusal.contains("linux.cgroupsPath"), "{refusal}");
    }
    // Nobody who was there has noticed.
    assert_eq!(bundle.state()?["status"], "running");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_limit_that_the_kernel_refuses_is_named_and_leaves_nothing() -> Result<()> {
    let refusal =
        Bundle::shell("true")?.with("/linux/resources/cpu", json!({"cpus": "0-9999"})).refusal()?;
    assert!(refusal.contains("cpuset.cpus"), "{refusal}");
    Ok(())
}
