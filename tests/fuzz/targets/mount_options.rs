//! `-v`, `--mount`, `--tmpfs` and `--device`: what is mounted is below the root of the container.
#![no_main]

use berth_runner::spec::{ContainerConfig, HostConfig, mount_points, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse::device_mapping(text);
    let mounts = parse::mount(text).into_iter().collect();
    let (place, options) = text.split_once(':').unwrap_or((text, ""));
    for config in [
        HostConfig { mounts, ..HostConfig::default() },
        HostConfig { binds: vec![text.to_owned()], ..HostConfig::default() },
        HostConfig {
            tmpfs: [(place.to_owned(), options.to_owned())].into(),
            ..HostConfig::default()
        },
    ] {
        let mut name = || Ok("name".to_owned());
        if let Ok(points) = mount_points(&ContainerConfig::default(), &config, &mut name) {
            for point in points {
                let place = std::path::Path::new(&point.destination);
                assert!(place.is_absolute() && place.file_name().is_some());
                assert!(place.components().all(|part| part.as_os_str() != ".."));
            }
        }
    }
});
