use super::super::{MountDetails, MountKind, Propagation};
use super::*;

/// A container to be: whatever a test does not say is as plain as can be.
struct Scene {
    config: ContainerConfig,
    host_config: HostConfig,
    user: User,
    mounts: Vec<MountPoint>,
    namespaces: NamespacePaths,
    files: ContainerFiles,
    host: HostFacts,
}

impl Scene {
    fn new() -> Self {
        Self {
            config: ContainerConfig {
                cmd: Some(vec!["true".to_owned()]),
                hostname: "box".to_owned(),
                ..ContainerConfig::default()
            },
            host_config: HostConfig::default(),
            user: User { groups: vec![0], home: "/root".to_owned(), ..User::default() },
            mounts: Vec::new(),
            namespaces: NamespacePaths::default(),
            files: ContainerFiles::default(),
            host: HostFacts { capabilities: (1 << 41) - 1, kernel: (6, 1), ..HostFacts::default() },
        }
    }

    fn spec(&mut self) -> Value {
        self.host_config.settle(&self.config, &self.host).unwrap();
        let spec = runtime_spec(&SpecInput {
            id: "0123456789abcdef",
            config: &self.config,
            host_config: &self.host_config,
            root: Path::new("/root/of/it"),
            user: &self.user,
            mounts: &self.mounts,
            namespaces: &self.namespaces,
            files: &self.files,
            host: &self.host,
        });
        let spec = spec.unwrap();
        // Whatever a test is about, the runtime has to take it.
        crate::oci::check_configuration(spec.to_string().as_bytes()).unwrap();
        spec
    }

    fn mount(&mut self, place: &str) -> Option<Value> {
        let spec = self.spec();
        let mounts = spec["mounts"].as_array().unwrap();
        mounts.iter().find(|mount| mount["destination"] == place).cloned()
    }
}

fn options(mount: &Value) -> Vec<&str> {
    mount["options"].as_array().unwrap().iter().map(|option| option.as_str().unwrap()).collect()
}

fn volume(place: &str) -> MountPoint {
    MountPoint {
        kind: MountKind::Volume,
        name: "box".to_owned(),
        source: "/volumes/box/_data".to_owned(),
        destination: place.to_owned(),
        driver: "local".to_owned(),
        mode: String::new(),
        rw: true,
        propagation: Propagation::Default,
        details: MountDetails::default(),
    }
}

#[test]
fn a_plain_container_has_dockers_defaults() {
    let spec = Scene::new().spec();
    assert_eq!(spec["process"]["args"], json!(["true"]));
    assert_eq!(
        spec["process"]["env"],
        json!([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME=box",
            "HOME=/root"
        ])
    );
    assert_eq!(spec["process"]["cwd"], "/");
    assert_eq!(spec["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(spec["process"]["capabilities"].get("inheritable"), None);
    assert_eq!(spec["linux"]["cgroupsPath"], "/berth/0123456789abcdef");
    assert_eq!(
        spec["linux"]["maskedPaths"].as_array().unwrap()[..12],
        MASKED_PATHS.map(Value::from)
    );
    let kinds: Vec<&Value> =
        spec["linux"]["namespaces"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(kinds, ["mount", "network", "uts", "pid", "ipc"]);
    assert!(spec["linux"]["seccomp"]["syscalls"].is_array());
}

#[test]
fn a_privileged_one_sees_and_writes_everything() {
    let mut scene = Scene::new();
    scene.host_config.privileged = true;
    let spec = scene.spec();
    for member in ["maskedPaths", "readonlyPaths", "seccomp"] {
        assert_eq!(spec["linux"].get(member), None, "{member}");
    }
    assert_eq!(spec["linux"]["resources"]["devices"], json!([{"allow": true, "access": "rwm"}]));
    let devices = spec["linux"]["devices"].as_array().unwrap();
    assert!(devices.iter().any(|device| device["path"] == "/dev/null"));
    assert!(!options(&scene.mount("/sys").unwrap()).contains(&"ro"));
}

#[test]
fn a_volume_takes_the_place_of_what_would_be_there() {
    let mut scene = Scene::new();
    scene.files.hosts = Some("/c/hosts".into());
    assert_eq!(scene.mount("/etc/hosts").unwrap()["source"], "/c/hosts");
    scene.mounts = vec![volume("/etc/hosts"), volume("/dev")];
    assert_eq!(scene.mount("/etc/hosts").unwrap()["source"], "/volumes/box/_data");
    assert_eq!(scene.mount("/dev/pts"), None);
}

#[test]
fn what_is_mounted_below_something_comes_after_it() {
    let mut scene = Scene::new();
    scene.mounts = vec![volume("/a/b/c"), volume("/a"), volume("/a/b")];
    let spec = scene.spec();
    let places: Vec<&str> = spec["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["destination"].as_str().unwrap())
        .filter(|place| place.starts_with("/a"))
        .collect();
    assert_eq!(places, ["/a", "/a/b", "/a/b/c"]);
}

#[test]
fn a_volume_with_a_device_is_mounted_in_the_container_alone() {
    let mut scene = Scene::new();
    let driver_options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,mode=700")];
    let driver_options =
        driver_options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let details = MountDetails { driver_options, ..MountDetails::default() };
    scene.mounts = vec![MountPoint { details, ..volume("/data") }];
    let mount = scene.mount("/data").unwrap();
    assert_eq!((&mount["type"], &mount["source"]), (&json!("tmpfs"), &json!("tmpfs")));
    assert_eq!(options(&mount), ["size=1m", "mode=700"]);
}

#[test]
fn a_read_only_root_leaves_volumes_writable() {
    let mut scene = Scene::new();
    scene.host_config.readonly_rootfs = true;
    scene.files.hosts = Some("/c/hosts".into());
    scene.mounts = vec![volume("/data"), MountPoint { rw: false, ..volume("/fixed") }];
    assert_eq!(scene.spec()["root"]["readonly"], true);
    assert_eq!(options(&scene.mount("/data").unwrap()), ["rbind"]);
    assert_eq!(options(&scene.mount("/fixed").unwrap()), ["rbind", "rro"]);
    assert!(options(&scene.mount("/etc/hosts").unwrap()).contains(&"rro"));
    assert!(!options(&scene.mount("/dev/shm").unwrap()).contains(&"ro"));
}
