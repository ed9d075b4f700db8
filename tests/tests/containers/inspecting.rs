//! `inspect`, with and without templates.

use anyhow::Result;
use serde_json::Value;

use crate::host::{Host, IMAGE};

#[test]
#[ignore = "run by cargo xtask runner"]
fn templates_say_what_docker_says_of_what_is_not_there() -> Result<()> {
    let host = Host::new()?;
    host.ok(&["create", "--name", "box", "--network", "none", "--label", "a=1", IMAGE])?;
    host.ok(&["create", "--name", "quiet", "--network", "none", "--log-driver", "none", IMAGE])?;
    host.ok(&["volume", "create", "stuff"])?;
    for (object, template, words) in [
        ("box", "{{.Config.Labels.a}} {{.Config.Labels.b}}", "1 <no value>"),
        ("box", "{{if .Config.Labels.b}}x{{else}}y{{end}}", "y"),
        ("box", "{{if .State.Health}}{{.State.Health.Status}}{{end}}.", "."),
        ("box", "{{.NetworkSettings.Networks.nowhere.IPAddress}}", "<no value>"),
        ("box", "{{.HostConfig.Sysctls}}{{.HostConfig.Mounts}}", "map[][]"),
        ("box", "{{.HostConfig.Runtime}} {{.HostConfig.LogConfig.Type}}", "berth json-file"),
        ("box", "{{.SizeRw}} {{.SizeRootFs}}", "<no value> <no value>"),
        ("quiet", "{{.LogPath}}.{{.HostConfig.LogConfig.Type}}", ".none"),
        (IMAGE, "{{.Config.Labels.b}} {{.Config.OnBuild}}", "<no value> []"),
        ("stuff", "{{.Name}} {{.Labels.b}} {{.Options.b}}", "stuff <no value> <no value>"),
    ] {
        let said = host.ok(&["inspect", "-f", template, object])?;
        assert_eq!(said, format!("{words}\n"), "{object}: {template}");
    }
    let id = host.idle(&["--name", "idle"])?;
    let key = host.ok(&["inspect", "-f", "{{.NetworkSettings.SandboxKey}}", &id])?;
    let own = std::fs::read_link("/proc/self/ns/net")?;
    assert_ne!(std::fs::read_link(key.trim())?, own, "{key}");
    let ran = host.berth(&["inspect", "-f", "{{.Nope}}", "box"])?;
    assert_eq!(ran.code, 1);
    assert!(ran.complained.contains("map has no entry for key \"Nope\""), "{ran:?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn everything_is_shown_as_a_list_whatever_the_format_is_called() -> Result<()> {
    let host = Host::new()?;
    let id = host.start(&["--name", "box"], "echo words > /file")?;
    host.ok(&["wait", "box"])?;
    host.ok(&["volume", "create", "stuff"])?;
    for command in [
        &["inspect", "box"][..],
        &["container", "inspect", "box"],
        &["image", "inspect", IMAGE],
        &["inspect", "stuff"],
        &["volume", "inspect", "stuff"],
    ] {
        let whole = host.ok(command)?;
        assert_eq!(host.ok(&[command, &["-f", ""]].concat())?, whole);
        let line = host.ok(&[command, &["-f", "json"]].concat())?;
        assert_eq!(line.lines().count(), 1, "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line)?, serde_json::from_str::<Value>(&whole)?);
    }
    let sizes = host.ok(&["inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", &id])?;
    let sizes: Vec<u64> = sizes.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    assert!(sizes[0] >= 4096 && sizes[1] > sizes[0] + 1_000_000, "{sizes:?}");
    assert!(host.inspect("box")?.get("SizeRw").is_none());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn only_what_is_asked_for_is_inspected() -> Result<()> {
    let host = Host::new()?;
    host.ok(&["volume", "create", "stuff"])?;
    let ran = host.berth(&["container", "inspect", IMAGE])?;
    assert_eq!((ran.code, ran.said.as_str()), (1, "[]\n"));
    assert_eq!(ran.complained, format!("berth: No such container: {IMAGE}\n"));
    host.ok(&["inspect", "--type", "volume", "stuff"])?;
    let ran = host.berth(&["inspect", "--type", "volume", IMAGE])?;
    assert!(ran.code == 1 && ran.complained.contains("no such volume"), "{ran:?}");
    assert_eq!(host.berth(&["inspect", "--type", "image", "stuff"])?.code, 1);
    assert_eq!(host.berth(&["container", "inspect", "--type", "image", IMAGE])?.code, 125);
    Ok(())
}
