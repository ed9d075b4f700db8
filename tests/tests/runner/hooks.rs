//! Programs that run at moments in the life of a container.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bundle::Bundle;

/// A hook that writes its name and the state that it was given into a file beside the bundle.
fn noting(bundle: &Bundle, name: &str) -> Value {
    let file = bundle.path().join("noted");
    let script = format!("echo {name} $(cat) >> {}", file.display());
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn hooks_run_in_their_order_and_are_told_the_state() -> Result<()> {
    let bundle = Bundle::shell("true")?;
    let names = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let hooks = names.iter().fold(json!({}), |mut hooks, name| {
        hooks[name] = noting(&bundle, name);
        hooks
    });
    let bundle = bundle.with("/hooks", hooks).with("/annotations", json!({"a": "b"}));
    bundle.says()?;
    let noted = fs::read_to_string(bundle.path().join("noted"))?;
    let lines: Vec<(&str, Value)> = noted
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, state)| Ok((name, serde_json::from_str(state)?)))
        .collect::<Result<_>>()?;
    assert_eq!(lines.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    let statuses: Vec<&Value> = lines.iter().map(|(_, state)| &state["status"]).collect();
    assert_eq!(statuses, ["creating", "creating", "creating", "running", "stopped"]);
    assert!(lines[0].1["pid"].as_i64() > Some(0));
    assert_eq!(lines[0].1["annotations"]["a"], "b");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_hook_in_the_container_runs_before_the_program() -> Result<()> {
    let hook = json!([{"path": "/bin/touch", "args": ["touch", "/tmp/prepared"]}]);
    let bundle = Bundle::shell("ls /tmp")?.with("/hooks", json!({"startContainer": hook}));
    assert_eq!(bundle.says()?, "prepared\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_hook_that_fails_stops_the_creation_with_what_it_said() -> Result<()> {
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo no network >&2; exit 3"]}]);
    for name in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let refusal = Bundle::shell("true")?.with("/hooks", json!({name: hook})).refusal()?;
        assert!(refusal.contains("exit status: 3: no network"), "{name}: {refusal}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_hook_that_takes_too_long_is_killed() -> Result<()> {
    let hook = json!([{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]);
    let refusal =
        Bundle::shell("true")?.with("/hooks", json!({"createRuntime": hook})).refusal()?;
    assert!(refusal.contains("timeout of 1 seconds"), "{refusal}");
    Ok(())
}
