//! `ps`.

use anyhow::Result;

use crate::host::{Host, IMAGE};

/// Waits to be told to end.
const IDLE: &str = "trap 'exit 143' TERM; while :; do sleep 1000 & wait; done";

#[test]
#[ignore = "run by cargo xtask runner"]
fn ports_are_listed_whether_published_or_not_and_found_by_filters() -> Result<()> {
    let host = Host::isolated()?;
    let ports = ["-p", "8001:80", "-p", "8003-8004:8003-8004", "-p", "127.0.0.1:53:5353/udp"];
    let exposed = ["--expose", "77", "--expose", "90-92", "--expose", "80/udp"];
    let program = [IMAGE, "sh", "-c", IDLE];
    host.ok(&[&["run", "-d", "--name", "web"][..], &ports, &exposed, &program].concat())?;
    assert_eq!(
        host.ok(&["ps", "--format", "{{.Ports}}"])?,
        "77/tcp, 90-92/tcp, 80/udp, 0.0.0.0:8003-8004->8003-8004/tcp, [::]:8003-8004->8003-8004/tcp, \
         0.0.0.0:8001->80/tcp, [::]:8001->80/tcp, 127.0.0.1:53->5353/udp\n"
    );
    for (filter, is_found) in [
        ("publish=8001", true),
        ("publish=8001/tcp", true),
        ("publish=80", false),
        ("publish=8001/udp", false),
        ("publish=53/udp", true),
        ("publish=8004-8010", true),
        ("publish=8005-8010/tcp", false),
        ("expose=80", true),
        ("expose=77", true),
        ("expose=85-90", true),
        ("expose=85-89", false),
    ] {
        let said = host.ok(&["ps", "-f", filter, "--format", "{{.Names}}"])?;
        assert_eq!(said, if is_found { "web\n" } else { "" }, "{filter}");
    }
    let ran = host.berth(&["ps", "-f", "publish=80:80"])?;
    assert!(ran.code == 1 && ran.complained.contains("should not contain ':'"), "{ran:?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn commands_are_quoted_and_sizes_are_those_of_the_whole_too() -> Result<()> {
    let host = Host::new()?;
    let script = "head -c 100000 /dev/zero > /file";
    let id = host.start(&["--name", "box", "--label", "a=1", "--label", "b=2"], script)?;
    host.ok(&["wait", &id])?;
    host.ok(&["create", "--name", "odd", "--network", "none", IMAGE, "sh", "-c", "exit 3"])?;
    let create = ["create", "--name", "quoted", "--network", "none", IMAGE];
    host.ok(&[&create[..], &["echo", "\"x\"", "\ty"]].concat())?;
    let shown = |options: &[&str], name: &str| {
        let filter = format!("name={name}");
        host.ok(&[&["ps", "-a", "-f", &filter], options].concat())
    };
    let command = ["--format", "{{.Command}}"];
    assert_eq!(shown(&command, "odd")?, "\"sh -c 'exit 3'\"\n");
    assert_eq!(shown(&command, "quoted")?, "\"echo \\\"x\\\" \\ty\"\n");
    assert_eq!(shown(&command, "box")?, "\"sh -c 'head -c 1000…\"\n");
    let whole = ["--no-trunc", "--format", "{{.Command}}"];
    assert_eq!(shown(&whole, "box")?, format!("\"sh -c '{script}'\"\n"));

    let size = shown(&["--format", "{{.Size}}"], "box")?;
    assert!(
        size.starts_with("10") && size.contains("kB (virtual ") && size.ends_with("MB)\n"),
        "{size}"
    );
    let table = shown(&["-s"], "box")?;
    assert!(table.trim_end().ends_with(size.trim_end()), "{table}");
    let labels = ["--format", "{{.Label \"a\"}}.{{.Label \"c\"}}"];
    assert_eq!(shown(&labels, "box")?, "1.\n");
    let head = shown(&["--format", "table {{.Names}}\t{{.Label \"a\"}}"], "box")?;
    assert!(head.lines().nth(1).is_some_and(|row| row.ends_with("1")), "{head}");
    assert!(!shown(&["--format", "json"], "box")?.contains("\"Label\""));
    Ok(())
}
