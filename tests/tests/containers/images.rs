//! Which image a container is of: from here, from a registry, of another platform.

use std::fs;

use anyhow::Result;
use berth_tests::{Home, Server, fixtures};

use crate::host::{Host, Ran};

/// What `cat /etc/architecture` in a container of the image says.
fn run(host: &Host, options: &[&str], image: &str) -> Result<Ran> {
    let args = ["run", "--rm", "--network", "none"];
    host.berth(&[&args[..], options, &[image, "cat", "/etc/architecture"]].concat())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn an_image_is_pulled_when_that_is_asked_for() -> Result<()> {
    let (host, server, home) = (Host::new()?, Server::start()?, Home::new()?);
    let name = format!("{}/many:1", server.host());
    let layout = fixtures::multi_platform()?;
    home.run(&format!(
        "skopeo copy --quiet --all --dest-tls-verify=false {} docker://{name}",
        layout.oci()
    ))?;

    let never = run(&host, &["--pull", "never"], &name)?;
    assert_eq!((never.code, never.said.as_str()), (125, ""), "{never:?}");
    assert!(never.complained.contains(&format!("No such image: {name}")), "{never:?}");
    let unknown = run(&host, &["--pull", "sometimes"], &name)?;
    assert_eq!(unknown.code, 125);
    assert!(unknown.complained.contains("invalid pull option: 'sometimes'"), "{unknown:?}");

    let missing = run(&host, &[], &name)?;
    assert_eq!((missing.code, missing.said.as_str()), (0, "amd64"), "{missing:?}");
    let told = format!("Unable to find image '{name}' locally\n");
    assert!(missing.complained.starts_with(&told), "{missing:?}");
    for quiet in [&[][..], &["--pull", "missing"], &["--pull", "never"]] {
        let again = run(&host, quiet, &name)?;
        assert_eq!((again.code, again.complained.as_str()), (0, ""), "{again:?}");
    }
    let always = run(&host, &["--pull", "always"], &name)?;
    assert_eq!((always.code, always.said.as_str()), (0, "amd64"), "{always:?}");
    assert!(always.complained.contains("Status: Image is up to date"), "{always:?}");

    let other = run(&host, &["--platform", "linux/s390x"], &name)?;
    assert_eq!((other.code, other.said.as_str()), (125, ""), "{other:?}");
    assert!(other.complained.contains("no matching manifest for linux/s390x"), "{other:?}");
    let nonsense = run(&host, &["--platform", "lin/ux/a/b"], &name)?;
    assert_eq!(nonsense.code, 125);
    assert!(nonsense.complained.contains("invalid OS/architecture"), "{nonsense:?}");
    // What runs in it is no program of that platform, says the suite that makes it.
    let arm = run(&host, &["--platform", "linux/arm64"], &name)?;
    assert_eq!((arm.code, arm.said.as_str()), (0, "arm64"), "{arm:?}");
    host.is_clean()?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn an_image_that_is_nowhere_or_denied_is_told_of() -> Result<()> {
    let (host, server) = (Host::new()?, Server::start()?);
    let missing = format!("{}/missing:1", server.host());
    let ran = run(&host, &[], &missing)?;
    assert_eq!((ran.code, ran.said.as_str()), (125, ""), "{ran:?}");
    let told = format!("Unable to find image '{missing}' locally\n");
    assert!(ran.complained.starts_with(&told), "{ran:?}");
    assert!(
        ran.complained.contains("manifest unknown") || ran.complained.contains("not found"),
        "{ran:?}"
    );
    server.stop()?;
    let ran = run(&host, &[], &missing)?;
    assert_eq!(ran.code, 125, "{ran:?}");
    assert!(ran.complained.to_lowercase().contains("connection refused"), "{ran:?}");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_id_is_written_down_where_that_is_wanted() -> Result<()> {
    let host = Host::new()?;
    let file = host.path().join("id");
    let path = file.display().to_string();
    let create = |path: &str, name: &str| {
        let args = ["create", "--cidfile", path, "--name", name, "--network", "none"];
        host.berth(&[&args[..], &[crate::host::IMAGE, "true"]].concat())
    };
    let made = create(&path, "one")?;
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(fs::read_to_string(&file)?, made.said.trim());
    let again = create(&path, "two")?;
    assert_eq!(again.code, 1);
    assert!(again.complained.contains("container ID file found"), "{again:?}");
    // Where it cannot be written down there is no container, and where there is none no file.
    let nowhere = create("/nowhere/id", "three")?;
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.complained.contains("failed to create the container ID file"), "{nowhere:?}");
    fs::remove_file(&file)?;
    assert_eq!(create(&path, "one")?.code, 1);
    assert!(!file.exists());
    assert_eq!(host.ok(&["ps", "-a", "--format", "{{.Names}}"])?, "one\n");
    host.ok(&["rm", "one"])?;
    host.is_clean()
}
