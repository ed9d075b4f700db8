//! Values of options that are empty, or look like options themselves.

use anyhow::Result;
use berth_tests::wait::until;

use crate::host::{Host, IMAGE};

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_comes_after_an_option_is_its_value() -> Result<()> {
    let host = Host::new()?;
    let ran = host.shell(&["--hostname", "-bad_"], "hostname")?;
    assert_eq!((ran.code, ran.said.as_str()), (0, "-bad_\n"), "{ran:?}");
    for (options, code, words) in [
        (&["-m", "-1"][..], 125, "invalid argument \"-1\" for \"-m, --memory\" flag"),
        (&["--name", "-x"], 125, "Invalid container name (-x)"),
        (&["-u", "-1"], 125, "-1"),
    ] {
        let ran = host.shell(options, "true")?;
        assert!(ran.code == code && ran.complained.contains(words), "{options:?}: {ran:?}");
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn empty_values_are_none() -> Result<()> {
    let host = Host::new()?;
    let ran = host.shell(&["--platform", "", "--pull", "never"], "echo words")?;
    assert_eq!((ran.code, ran.said.as_str()), (0, "words\n"), "{ran:?}");
    host.idle(&["--name", "box"])?;
    until("it says that it is ready", || Ok(host.ok(&["logs", "box"])? == "ready\n"))?;
    assert_eq!(host.ok(&["logs", "--since", "", "--until", "", "box"])?, "ready\n");
    host.ok(&["kill", "--signal=", "box"])?;
    assert_eq!(host.ok(&["wait", "box"])?, "137\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_longer_forms_of_names_are_understood() -> Result<()> {
    let host = Host::new()?;
    assert_eq!(host.ok(&["volume", "create", "--name", "nn"])?, "nn\n");
    let ran = host.berth(&["volume", "create", "--name", "nn", "mm"])?;
    assert!(ran.code == 1 && ran.complained.contains("conflicting options"), "{ran:?}");
    host.ok(&["create", "--name", "box", "--network", "name=none", IMAGE])?;
    assert_eq!(host.inspect("box")?["HostConfig"]["NetworkMode"], "none");
    host.ok(&["create", "--name", "other", "--network", "name=bridge", IMAGE])?;
    assert_eq!(host.inspect("other")?["HostConfig"]["NetworkMode"], "bridge");
    for (network, words) in [
        ("name=bridge,alias=web", "alias is not supported yet"),
        ("colour=red", "invalid field key colour"),
        ("ip=1.2.3.4", "ip is not supported yet"),
    ] {
        let ran = host.berth(&["create", "--network", network, IMAGE])?;
        assert!(ran.code == 125 && ran.complained.contains(words), "{network}: {ran:?}");
    }
    Ok(())
}
