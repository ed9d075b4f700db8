use anyhow::Result;
use berth_tests::fixtures;

use crate::archives::load_busybox;
use crate::machine::Machine;

#[test]
#[ignore = "started by cargo xtask runner"]
fn an_image_goes_with_its_last_name_and_all_its_bytes_with_it() -> Result<()> {
    let machine = Machine::new()?;
    let id = load_busybox(&machine)?;
    machine.berth(&format!("tag {id} app:1"))?;
    machine.berth(&format!("tag {id} app:2"))?;
    assert_eq!(machine.berth("rmi app:1")?, "Untagged: app:1");
    let told = machine.berth("rmi app:2")?;
    assert!(told.starts_with(&format!("Untagged: app:2\nDeleted: {id}\n")), "{told}");
    assert_eq!(machine.berth("images -q")?, "");
    assert_eq!(machine.content()?, [] as [std::path::PathBuf; 0]);
    let refused = machine.refused("rmi app:2")?;
    assert!(refused.contains("No such image: app:2"), "{refused}");
    // Told, but no failure.
    assert_eq!(machine.berth("rmi -f app:2")?, "");
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn an_id_with_names_in_two_repositories_must_be_forced() -> Result<()> {
    let machine = Machine::new()?;
    let id = load_busybox(&machine)?;
    let short = &id["sha256:".len()..][..12];
    machine.berth(&format!("tag {id} one"))?;
    machine.berth(&format!("tag {short} two"))?;
    let refused = machine.refused(&format!("rmi {short}"))?;
    let words = format!(
        "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    );
    assert!(refused.contains(&words), "{refused}");
    let told = machine.berth(&format!("rmi -f {short}"))?;
    assert!(told.contains("Untagged: one:latest\nUntagged: two:latest\nDeleted: "), "{told}");
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn prune_takes_what_has_no_name_and_with_all_what_no_container_has() -> Result<()> {
    let machine = Machine::new()?;
    let id = load_busybox(&machine)?;
    assert_eq!(machine.berth("images -q --no-trunc --filter dangling=true")?, id);
    machine.berth(&format!("tag {id} kept"))?;
    assert_eq!(machine.berth("image prune -f")?, "Total reclaimed space: 0B");
    let asked = machine.home.run_with_input(&machine.line("image prune -a"), b"n\n")?;
    assert!(asked.contains("WARNING! This will remove all images without at least one container"));
    assert_eq!(machine.berth("images -q --no-trunc")?, id);
    let told = machine.berth("image prune -a -f --filter label!=keep")?;
    assert!(told.contains(&format!("untagged: kept:latest\ndeleted: {id}")), "{told}");
    assert!(!told.ends_with("Total reclaimed space: 0B"), "{told}");
    assert_eq!(machine.content()?, [] as [std::path::PathBuf; 0]);
    // It is the image of the suite, and not an empty one.
    fixtures::busybox().map(drop)
}
