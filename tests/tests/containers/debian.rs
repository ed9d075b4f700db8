//! A distribution with users and packages of its own, in place of one program (N11).

use anyhow::Result;
use berth_tests::fixtures;

use crate::host::{Host, Ran};

fn run(host: &Host, options: &[&str], command: &str) -> Result<Ran> {
    let args = ["run", "--rm", "--network", "none"];
    host.berth(&[&args[..], options, &["debian", "sh", "-c", command]].concat())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn users_are_added_by_whoever_may_give_files_away() -> Result<()> {
    let host = Host::new()?;
    host.load(&fixtures::debian()?, "debian")?;
    let added = run(&host, &[], "useradd -m test && id -un test && stat -c %U /home/test")?;
    assert_eq!((added.code, added.said.as_str()), (0, "test\ntest\n"), "{added:?}");
    for refused in [&["--cap-add=ALL", "--cap-drop=CHOWN"][..], &["--cap-drop", "ALL"]] {
        let ran = run(&host, refused, "useradd test")?;
        assert!(ran.code != 0 && ran.complained.contains("useradd: "), "{refused:?}: {ran:?}");
    }
    let enough = [
        "--cap-drop",
        "ALL",
        "--cap-add",
        "CHOWN",
        "--cap-add",
        "DAC_OVERRIDE",
        "--cap-add",
        "FOWNER",
    ];
    assert_eq!(run(&host, &enough, "useradd test")?.code, 0);
    let own = run(&host, &["-u", "www-data"], "id -un; id -gn; touch /etc/x 2>&1")?;
    assert!(own.said.starts_with("www-data\nwww-data\n"), "{own:?}");
    assert!(own.code != 0 && own.said.contains("Permission denied"), "{own:?}");
    host.is_clean()
}
