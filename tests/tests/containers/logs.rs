//! What containers have said (N21).

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::Result;

use crate::host::{Host, IMAGE};

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_log_has_both_streams_and_is_cut_as_wanted() -> Result<()> {
    let host = Host::new()?;
    let script = "echo one; echo two >&2; printf three";
    host.ok(&["run", "--name", "box", "--network", "none", IMAGE, "sh", "-c", script])?;
    let ran = host.berth(&["logs", "box"])?;
    assert_eq!((ran.said.as_str(), ran.complained.as_str()), ("one\nthree", "two\n"));
    assert_eq!(host.ok(&["logs", "-n", "1", "box"])?, "three");
    let timed = host.ok(&["logs", "-t", "--tail", "1", "box"])?;
    let (time, text) = timed.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.len() == 30 && text == "three", "{timed}");
    assert_eq!(host.ok(&["logs", "--until", "2000-01-01", "box"])?, "");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn logs_are_bounded_and_followed_over_their_files() -> Result<()> {
    let host = Host::new()?;
    let script = "read go; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done";
    host.ok(&[
        "create",
        "-i",
        "--name",
        "box",
        "--network",
        "none",
        "--log-opt",
        "max-size=10k",
        "--log-opt",
        "max-file=100",
        IMAGE,
        "sh",
        "-c",
        script,
    ])?;
    host.ok(&["start", "box"])?;
    let mut follower = host.command(&["logs", "-f", "box"])?.stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut attached =
        host.command(&["attach", "box"])?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    {
        use std::io::Write as _;
        attached.stdin.take().unwrap().write_all(b"go\n")?;
    }
    let followed: Vec<String> = lines.collect::<Result<_, _>>()?;
    attached.wait()?;
    assert_eq!(follower.wait()?.code(), Some(0));
    let expected: Vec<String> = (0..3000).map(|number| format!("line {number}")).collect();
    assert_eq!(followed, expected);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn nothing_is_kept_where_nothing_is_wanted() -> Result<()> {
    let host = Host::new()?;
    host.ok(&[
        "run",
        "--name",
        "box",
        "--log-driver",
        "none",
        "--network",
        "none",
        IMAGE,
        "echo",
        "x",
    ])?;
    let ran = host.berth(&["logs", "box"])?;
    assert!(
        ran.complained.contains("configured logging driver does not support reading"),
        "{ran:?}"
    );
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn lines_say_what_was_asked_of_their_container() -> Result<()> {
    let host = Host::new()?;
    let options = [
        &["--label", "team=a b", "--label", "other=x", "-e", "STAGE=test"][..],
        &[
            "--log-opt",
            "labels=team,none",
            "--log-opt",
            "env=STAGE",
            "--log-opt",
            "tag={{.Name}}/{{.ImageName}}",
        ],
    ];
    let run = ["run", "--name", "box", "--network", "none"];
    host.ok(&[&run[..], &options.concat(), &[IMAGE, "echo", "said"]].concat())?;
    let told = "STAGE=test,tag=box%2Ftools,team=a%20b said\n";
    assert_eq!(host.ok(&["logs", "--details", "box"])?, told);
    assert_eq!(host.ok(&["logs", "box"])?, "said\n");
    let path = host.inspect("box")?["LogPath"].as_str().unwrap_or_default().to_owned();
    let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    assert_eq!(line["attrs"]["team"], "a b", "{line}");
    let wrong = ["--log-opt", "tag={{.Nothing", IMAGE, "true"];
    let ran = host.berth(&[&["run", "--rm"], &wrong[..]].concat())?;
    assert!(ran.code == 125 && ran.complained.contains("invalid value for tag"), "{ran:?}");
    host.ok(&["rm", "box"])?;
    host.is_clean()
}
