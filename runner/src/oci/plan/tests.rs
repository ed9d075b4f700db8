//! Plans of configurations, on a host that is made up.

use serde_json::{Value, json};

use super::super::cgroups::Layout;
use super::super::kernel::mount::{ATIME, Attributes, Setting};
use super::*;

const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOATIME: u64 = 0x10;

fn host() -> Host {
    Host {
        cgroups: Layout::without_controllers(),
        capabilities: (1 << 41) - 1,
        apparmor: false,
        selinux: false,
    }
}

fn config(changes: Value) -> Value {
    let mut config = json!({
        "ociVersion": "1.2.0",
        "process": {"args": ["true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}]},
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn plan(changes: Value) -> Result<Plan> {
    let config = Config::parse(config(changes).to_string().as_bytes())?;
    Plan::new(&config, Path::new("/bundle"), &"id".parse()?, &host())
}

fn refusal(changes: Value) -> String {
    plan(changes).unwrap_err().to_string()
}

fn mounted(mount: Value) -> MountPlan {
    plan(json!({"mounts": [mount]})).unwrap().root.mounts.remove(0)
}

#[test]
fn a_root_and_sources_that_are_not_absolute_are_in_the_bundle() {
    assert_eq!(plan(json!({})).unwrap().root.path, Path::new("/bundle/rootfs"));
    let mount = mounted(json!({"destination": "/x", "source": "data", "options": ["rbind"]}));
    assert_eq!(mount.source, Source::Bind { path: "/bundle/data".into(), recursive: true });
}

#[test]
fn options_of_mounts_are_attributes_and_settings() {
    let mount = mounted(json!({"destination": "/x", "type": "tmpfs", "source": "tmpfs",
        "options": ["nosuid", "noatime", "mode=755", "ro", "size=64k", "nr_inodes=5", "sync"]}));
    let attributes = Attributes { set: NOSUID | NOATIME | RDONLY, clear: ATIME, propagation: 0 };
    assert_eq!(mount.attributes, attributes);
    let value = |key: &str, value: &str| Setting::Value(key.to_owned(), value.to_owned());
    let settings = vec![
        value("mode", "755"),
        value("size", "64k"),
        value("nr_inodes", "5"),
        Setting::Flag("sync".to_owned()),
    ];
    let Source::FileSystem { settings: planned, .. } = mount.source else { panic!() };
    assert_eq!(planned, settings);
}

#[test]
fn the_last_of_two_options_counts() {
    let mount = mounted(json!({"destination": "/x", "source": "/y",
        "options": ["bind", "ro", "rw", "dev", "nodev", "rprivate", "rslave"]}));
    assert_eq!(mount.attributes.set, NODEV);
    assert_eq!(mount.attributes.clear, RDONLY);
    assert_eq!(mount.recursive_attributes.propagation, libc::MS_SLAVE);
}

#[test]
fn what_is_bound_is_private_and_only_recursive_words_reach_below() {
    let mount = mounted(
        json!({"destination": "/x", "source": "/y", "options": ["rbind", "ro", "rnosuid"]}),
    );
    assert_eq!(
        mount.attributes,
        Attributes { set: RDONLY, clear: 0, propagation: libc::MS_PRIVATE }
    );
    let all = Attributes { set: NOSUID, clear: 0, propagation: libc::MS_PRIVATE };
    assert_eq!(mount.recursive_attributes, all);
}

#[test]
fn mounts_that_make_no_sense_are_refused() {
    for (mount, words) in [
        (json!({"destination": "/", "type": "tmpfs"}), "hide the container's root"),
        (json!({"destination": "/x", "options": ["bind"]}), "no source"),
        (json!({"destination": "/x"}), "no type"),
        (json!({"destination": "/x", "type": "tmpfs", "options": ["tmpcopyup"]}), "tmpcopyup"),
        (json!({"destination": "/x", "source": "/y", "options": ["bind", "idmap"]}), "uidMappings"),
    ] {
        let refusal = refusal(json!({"mounts": [mount]}));
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn namespaces_are_there_once_and_with_what_they_need() {
    for (namespaces, words) in [
        (json!([{"type": "mount"}, {"type": "mount"}]), "there twice"),
        (json!([{"type": "mount"}, {"type": "user"}]), "uidMappings"),
        (json!([{"type": "mount"}, {"type": "network", "path": "relative"}]), "not absolute"),
    ] {
        let refusal = refusal(json!({"linux": {"namespaces": namespaces}}));
        assert!(refusal.contains(words), "{refusal}");
    }
    let linux = json!({"namespaces": [{"type": "mount"}], "uidMappings":
        [{"containerID": 0, "hostID": 1, "size": 1}]});
    assert!(refusal(json!({"linux": linux})).contains("there is none"));
    assert!(refusal(json!({"hostname": "x"})).contains("uts"));
}

#[test]
fn the_user_namespace_is_joined_first() {
    let join = |kind: &str| json!({"type": kind, "path": format!("/ns/{kind}")});
    let namespaces = json!([{"type": "mount"}, join("network"), join("ipc"), join("user")]);
    let plan = plan(json!({"linux": {"namespaces": namespaces}})).unwrap();
    let kinds: Vec<_> =
        plan.namespaces.joined.iter().map(|(kind, _)| format!("{kind:?}")).collect();
    assert_eq!(kinds, ["User", "Network", "Ipc"]);
}

#[test]
fn devices_of_the_configuration_stand_in_for_those_of_every_container() {
    let device =
        json!({"path": "/dev/null", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600});
    let linux = json!({"namespaces": [{"type": "mount"}], "devices": [device]});
    let nodes = plan(json!({"linux": linux})).unwrap().root.nodes;
    let null: Vec<_> = nodes.iter().filter(|node| node.path == Path::new("/dev/null")).collect();
    assert_eq!((nodes.len(), null.len(), null[0].mode), (6, 1, 0o600));
}

#[test]
fn processes_that_cannot_be_are_refused() {
    for (process, words) in [
        (json!({"args": [], "cwd": "/"}), "args is empty"),
        (json!({"args": ["a"], "cwd": "x"}), "cwd"),
        (json!({"args": ["a\0b"], "cwd": "/"}), "zero byte"),
        (json!({"args": ["a"], "cwd": "/", "user": {"uid": 4_294_967_295_u32}}), "uid"),
        (
            json!({"args": ["a"], "cwd": "/", "rlimits":
            [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}),
            "RLIMIT_X",
        ),
        (
            json!({"args": ["a"], "cwd": "/", "rlimits":
            [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}),
            "above",
        ),
        (json!({"args": ["a"], "cwd": "/", "apparmorProfile": "x"}), "AppArmor"),
    ] {
        let refusal = refusal(json!({"process": process}));
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn capabilities_that_the_host_does_not_have_are_left_out_and_said() {
    let names = json!(["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_TO_COME"]);
    let process = json!({"args": ["a"], "cwd": "/", "capabilities": {"bounding": names}});
    let config = Config::parse(config(json!({"process": process})).to_string().as_bytes()).unwrap();
    let host = Host { capabilities: !(1 << 24), ..host() };
    let plan = Plan::new(&config, Path::new("/"), &"id".parse().unwrap(), &host).unwrap();
    assert_eq!(plan.process.capabilities.bounding, 1);
    assert!(plan.warnings[0].contains("CAP_SYS_RESOURCE, CAP_TO_COME"), "{:?}", plan.warnings);
}
