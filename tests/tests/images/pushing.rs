use anyhow::Result;
use berth_tests::{Server, fixtures};

use crate::machine::{Machine, publish};

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_was_pulled_is_pushed_with_the_same_digest_and_no_byte_twice() -> Result<()> {
    let (server, machine, layout) = (Server::start()?, Machine::new()?, fixtures::busybox()?);
    let (from, to) =
        (format!("{}/from/app:1", server.host()), format!("{}/to/app:2", server.host()));
    publish(&machine, &layout, &from)?;
    machine.berth(&format!("pull {from}"))?;
    machine.berth(&format!("tag {from} {to}"))?;
    let told = machine.berth(&format!("push {to}"))?;
    assert!(told.starts_with(&format!("The push refers to repository [{}/to/app]", server.host())));
    assert_eq!(told.matches(": Mounted from from/app").count(), 2, "{told}");
    assert!(told.contains(&format!("2: digest: {} size: ", layout.digest)), "{told}");
    assert_eq!(server.registry().verify("to/app", "2")?.0, layout.digest);
    let again = machine.berth(&format!("push {to}"))?;
    assert_eq!(again.matches(": Layer already exists").count(), 2, "{again}");
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn an_image_goes_to_an_empty_registry_whole_and_with_all_its_tags() -> Result<()> {
    let (source, target, machine) = (Server::start()?, Server::start()?, Machine::new()?);
    let from = format!("{}/app", source.host());
    publish(&machine, &fixtures::busybox()?, &from)?;
    machine.berth(&format!("pull {from}"))?;
    let to = format!("{}/app", target.host());
    for tag in ["1", "2"] {
        machine.berth(&format!("tag {from} {to}:{tag}"))?;
    }
    let told = machine.berth(&format!("push -a {to}"))?;
    assert_eq!(told.matches(": Pushed").count(), 2, "{told}");
    for tag in ["1", "2"] {
        target.registry().verify("app", tag)?;
    }
    source.stop()?;
    target.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_is_not_here_cannot_be_pushed_nor_tagged() -> Result<()> {
    let machine = Machine::new()?;
    let refused = machine.refused("push localhost:5000/absent:1")?;
    let words = "An image does not exist locally with the tag: localhost:5000/absent";
    assert!(refused.contains(words), "{refused}");
    let refused = machine.refused("tag absent other")?;
    assert!(refused.contains("No such image: absent:latest"), "{refused}");
    Ok(())
}
