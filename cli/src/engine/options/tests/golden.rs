//! What the runtime is told, beside what Docker 28.5.2 tells its runtime for the same options.
//!
//! `docker.json` was recorded: a daemon with a runtime that keeps its `config.json` and fails, on a
//! host with cgroups of version 1 and without `CAP_SYS_RESOURCE`. It has the plain case whole and, of
//! the others, what is different. Left out is what is chance (ids, paths of the engine's) and the
//! filter of system calls, which is that of a later version here.

use std::collections::BTreeSet;
use std::fs;

use berth_runner::spec::{
    ContainerFiles, HostFacts, MountKind, NamespacePaths, SpecInput, mount_points, resolve_user,
    runtime_spec,
};
use serde_json::{Map, Value, json};

use super::run_words;

const ID: &str = "0123456789abcdef";

#[test]
fn the_runtime_is_told_what_docker_tells_it() {
    let recorded: Value = serde_json::from_str(include_str!("docker.json")).unwrap();
    let mut differences = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let arguments = case["arguments"].as_str().unwrap();
        let mut expected = recorded["plain"].clone();
        for (pointer, value) in case["changes"].as_object().unwrap() {
            set(&mut expected, pointer, value);
        }
        let ours = normalised(spec(arguments), arguments);
        let expected = without_nothing(expected);
        for member in ["process", "linux", "mounts", "root", "hostname", "annotations"] {
            compare(member, ours.get(member), expected.get(member), &mut |what| {
                differences.push(format!("{arguments}: {what}"));
            });
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Tells each member that is not the same, with our value first.
fn compare(path: &str, ours: Option<&Value>, docker: Option<&Value>, tell: &mut dyn FnMut(String)) {
    match (ours, docker) {
        (Some(Value::Object(ours)), Some(Value::Object(docker))) => {
            let names: BTreeSet<&String> = ours.keys().chain(docker.keys()).collect();
            for name in names {
                compare(&format!("{path}.{name}"), ours.get(name), docker.get(name), tell);
            }
        }
        (ours, docker) if ours != docker => tell(format!("{path}: {ours:?}, docker: {docker:?}")),
        _ => {}
    }
}

fn spec(arguments: &str) -> Value {
    let request = run_words(split(arguments)).unwrap();
    let (mut config, mut host_config) = (request.config, request.host_config);
    if config.hostname.is_empty() {
        "box".clone_into(&mut config.hostname);
    }
    if host_config.network_mode.is_empty() {
        "none".clone_into(&mut host_config.network_mode);
    }
    let host = HostFacts {
        capabilities: ((1 << 41) - 1) & !(1 << 24),
        kernel: (6, 18),
        ..HostFacts::default()
    };
    host_config.settle(&config, &host).unwrap();
    let mut mounts =
        mount_points(&config, &host_config, &mut || Ok("anonymous".to_owned())).unwrap();
    for mount in &mut mounts {
        if mount.kind == MountKind::Volume {
            mount.source = if mount.is_anonymous() {
                "VOLUME".to_owned()
            } else {
                format!("VOLUME {}", mount.name)
            };
        }
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/false\n";
    fs::write(root.path().join("etc/passwd"), passwd).unwrap();
    let group = "root:x:0:\nwheel:x:10:root\naudio:x:29:web\nwww:x:34:\n";
    fs::write(root.path().join("etc/group"), group).unwrap();
    let user = resolve_user(root.path(), &config.user, &host_config.group_add).unwrap();
    let file = || Some("FILE".into());
    runtime_spec(&SpecInput {
        id: ID,
        config: &config,
        host_config: &host_config,
        root: root.path(),
        user: &user,
        mounts: &mounts,
        namespaces: &NamespacePaths::default(),
        files: &ContainerFiles {
            hosts: file(),
            hostname: file(),
            resolv_conf: file(),
            shm: None,
            init: Some("INIT".into()),
        },
        host: &host,
    })
    .unwrap()
}

/// As a shell does: words, some of them in quotes.
fn split(text: &str) -> Vec<String> {
    text.split('"')
        .enumerate()
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Sets what the pointer leads to, and makes all above it; `null` removes it.
fn set(value: &mut Value, pointer: &str, new: &Value) {
    let mut here = value;
    let mut names = pointer.split('/').skip(1).peekable();
    while let Some(name) = names.next() {
        let name = name.replace("~1", "/").replace("~0", "~");
        let members = here.as_object_mut().unwrap();
        if names.peek().is_none() {
            members.insert(name, new.clone());
            return;
        }
        here = members.entry(name).or_insert_with(|| json!({}));
    }
}

/// Lists whose order means nothing are put in order, and lists with names become maps.
fn normalised(mut spec: Value, arguments: &str) -> Value {
    let root = spec["root"].as_object_mut().unwrap();
    root.remove("path");
    root.retain(|_, value| *value != json!(false));
    for set in ["bounding", "effective", "permitted"] {
        sort(&mut spec["process"]["capabilities"][set]);
    }
    // The daemon leaves it to the runtime.
    if !arguments.contains("HOME=") {
        let env = spec["process"]["env"].as_array_mut().unwrap();
        let home = env.pop().unwrap();
        assert!(home.as_str().unwrap().starts_with("HOME="), "{home}");
    }
    let mounts = by_name(&spec["mounts"], "destination");
    spec["mounts"] = mounts;
    for mount in spec["mounts"].as_object_mut().unwrap().values_mut() {
        sort(&mut mount["options"]);
    }
    let linux = &mut spec["linux"];
    linux["cgroupsPath"] = linux["cgroupsPath"].as_str().unwrap().replace(ID, "ID").into();
    if linux.get("seccomp").is_some() {
        linux["seccomp"] = "filter".into();
    }
    let namespaces = by_name(&linux["namespaces"], "type");
    linux["namespaces"] = namespaces
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (name.clone(), false.into()))
        .collect::<Map<_, _>>()
        .into();
    if arguments.contains("--privileged") {
        linux.as_object_mut().unwrap().remove("devices");
    } else if linux.get("devices").is_some() {
        linux["devices"] = by_name(&linux["devices"], "path");
    }
    for list in ["maskedPaths", "readonlyPaths"] {
        if let Some(paths) = linux.get_mut(list) {
            // Which processors tell of heat is a matter of the machine.
            paths
                .as_array_mut()
                .unwrap()
                .retain(|path| !path.as_str().unwrap().contains("thermal"));
            sort(paths);
        }
    }
    without_nothing(spec)
}

fn sort(list: &mut Value) {
    list.as_array_mut().unwrap().sort_by(|one, other| one.as_str().cmp(&other.as_str()));
}

fn by_name(list: &Value, name: &str) -> Value {
    let members = list.as_array().unwrap().iter().map(|member| {
        let mut member = member.as_object().unwrap().clone();
        let name = member.remove(name).unwrap();
        (name.as_str().unwrap().to_owned(), Value::Object(member))
    });
    members.collect::<Map<_, _>>().into()
}

fn without_nothing(value: Value) -> Value {
    let is_nothing = |value: &Value| {
        value.is_null() || *value == json!({}) || *value == json!([]) || *value == json!("")
    };
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, without_nothing(value)))
            .filter(|(_, value)| !is_nothing(value))
            .collect::<Map<_, _>>()
            .into(),
        value => value,
    }
}
