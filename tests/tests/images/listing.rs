use anyhow::Result;

use crate::archives::load_busybox;
use crate::machine::Machine;

#[test]
#[ignore = "started by cargo xtask runner"]
fn images_are_listed_filtered_and_formatted_as_docker_does() -> Result<()> {
    let machine = Machine::new()?;
    let id = load_busybox(&machine)?;
    machine.berth(&format!("tag {id} team/app:1"))?;
    let listed = machine.berth("images")?;
    let words: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(words[..6], ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert_eq!(words[6..9], ["team/app", "1", &id["sha256:".len()..][..12]]);
    for (filter, found) in [
        ("reference=team/*", true),
        ("reference=*", false),
        ("dangling=true", false),
        ("label=absent", false),
        ("until=1h", true),
    ] {
        let listed = machine.berth(&format!("images --no-trunc -q --filter {filter}"))?;
        assert_eq!(listed == id, found, "{filter}: {listed}");
    }
    assert!(machine.refused("images --filter colour=red")?.contains("invalid filter 'colour'"));
    let formatted = machine.berth_with("images --format", "{{.Repository}}:{{.Tag}}")?;
    assert_eq!(formatted, "team/app:1");
    assert_eq!(machine.inspect("team/app:1", "{{.Id}} {{len .RootFS.Layers}}")?, format!("{id} 2"));
    assert_eq!(machine.inspect(&id[7..15], "{{index .Config.Cmd 0}}")?, "/bin/sh");
    let history = machine.berth("history --no-trunc team/app:1")?;
    assert_eq!(history.lines().count(), 3, "{history}");
    assert!(history.contains(&id) && history.contains("<missing>"), "{history}");
    assert!(machine.refused("image inspect absent")?.contains("No such image: absent:latest"));
    Ok(())
}
