//! What is mounted where: `-v`, `--mount`, `--tmpfs` and the image's volumes, as one list.

use super::mount::{Mount, MountDetails, MountKind, MountPoint, Propagation, TmpfsOptions};
use super::parse::{VolumeOption, check_destination, check_mount, clean, tmpfs_options, volume};
use super::{ContainerConfig, HostConfig, SpecError};

/// All mounts that two configurations ask for. Volumes have no source yet, and those without a name
/// get one of `new_name`.
///
/// # Errors
///
/// What is wrong with which of them, and two at one place.
pub fn mount_points(
    config: &ContainerConfig,
    host_config: &HostConfig,
    new_name: &mut dyn FnMut() -> Result<String, SpecError>,
) -> Result<Vec<MountPoint>, SpecError> {
    let mut points: Vec<MountPoint> = Vec::new();
    let mut add = |point: MountPoint| {
        if points.iter().any(|known| known.destination == point.destination) {
            return Err(SpecError::invalid(format!(
                "Duplicate mount point: {}",
                point.destination
            )));
        }
        points.push(point);
        Ok(())
    };
    for (place, options) in &host_config.tmpfs {
        add(memory(place, options)?)?;
    }
    for bind in &host_config.binds {
        add(from_option(volume(bind)?))?;
    }
    for mount in &host_config.mounts {
        check_mount(mount)?;
        add(from_mount(mount, new_name)?)?;
    }
    for place in config.volumes.keys() {
        let place = volume(place)?.target;
        // What was asked for takes the place of what the image wants.
        if points.iter().all(|known| known.destination != place) {
            points.push(anonymous(place, new_name()?));
        }
    }
    Ok(points)
}

fn memory(place: &str, options: &str) -> Result<MountPoint, SpecError> {
    check_destination(place)?;
    let tmpfs = tmpfs_options(options)?;
    let rw = tmpfs.iter().all(|option| option != "ro");
    let details = MountDetails { tmpfs, hidden: true, ..MountDetails::default() };
    Ok(MountPoint { rw, details, ..empty(MountKind::Tmpfs, clean(place)) })
}

fn from_option(option: VolumeOption) -> MountPoint {
    let details = MountDetails {
        make_source: option.kind == MountKind::Bind,
        no_copy: option.no_copy,
        ..MountDetails::default()
    };
    let point = MountPoint { rw: !option.read_only, details, ..empty(option.kind, option.target) };
    match option.kind {
        MountKind::Bind => MountPoint {
            source: option.source,
            mode: option.mode,
            propagation: or_private(option.propagation),
            ..point
        },
        _ => MountPoint {
            name: option.source,
            driver: "local".to_owned(),
            // As docker shows it: what everybody may use has the label of everybody.
            mode: if option.mode.is_empty() { "z".to_owned() } else { option.mode },
            ..point
        },
    }
}

fn from_mount(
    mount: &Mount,
    new_name: &mut dyn FnMut() -> Result<String, SpecError>,
) -> Result<MountPoint, SpecError> {
    let point = MountPoint { rw: !mount.read_only, ..empty(mount.kind, clean(&mount.target)) };
    Ok(match mount.kind {
        MountKind::Bind => {
            let options = mount.bind_options.clone().unwrap_or_default();
            MountPoint {
                source: clean(&mount.source),
                propagation: or_private(options.propagation),
                details: MountDetails {
                    make_source: options.create_mountpoint,
                    non_recursive: options.non_recursive,
                    read_only_non_recursive: options.read_only_non_recursive,
                    ..MountDetails::default()
                },
                ..point
            }
        }
        MountKind::Volume => {
            let options = mount.volume_options.clone().unwrap_or_default();
            let driver = options.driver_config.unwrap_or_default();
            if !matches!(driver.name.as_str(), "" | "local") {
                return Err(SpecError::unsupported(format!(
                    "error looking up volume plugin {0}: plugin \"{0}\" not found",
                    driver.name
                )));
            }
            let is_anonymous = mount.source.is_empty();
            MountPoint {
                name: if is_anonymous { new_name()? } else { mount.source.clone() },
                driver: "local".to_owned(),
                mode: "z".to_owned(),
                details: MountDetails {
                    anonymous: is_anonymous,
                    no_copy: options.no_copy,
                    subpath: options.subpath,
                    labels: options.labels,
                    driver_options: driver.options,
                    ..MountDetails::default()
                },
                ..point
            }
        }
        MountKind::Tmpfs => {
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            let tmpfs = tmpfs_options(&words(&options, mount.read_only))?;
            MountPoint { details: MountDetails { tmpfs, ..MountDetails::default() }, ..point }
        }
    })
}

fn words(options: &TmpfsOptions, read_only: bool) -> String {
    let mut words = Vec::new();
    if read_only {
        words.push("ro".to_owned());
    }
    if options.mode != 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    if options.size_bytes != 0 {
        words.push(format!("size={}", with_unit(options.size_bytes)));
    }
    words.join(",")
}

/// As docker writes it: in the greatest unit that it is a whole number of.
fn with_unit(bytes: i64) -> String {
    for (unit, size) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes % size == 0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

fn anonymous(place: String, name: String) -> MountPoint {
    MountPoint {
        name,
        driver: "local".to_owned(),
        details: MountDetails { anonymous: true, ..MountDetails::default() },
        ..empty(MountKind::Volume, place)
    }
}

fn empty(kind: MountKind, destination: String) -> MountPoint {
    MountPoint {
        kind,
        name: String::new(),
        source: String::new(),
        destination,
        driver: String::new(),
        mode: String::new(),
        rw: true,
        propagation: Propagation::Default,
        details: MountDetails::default(),
    }
}

fn or_private(propagation: Propagation) -> Propagation {
    if propagation == Propagation::Default { Propagation::Rprivate } else { propagation }
}

#[cfg(test)]
mod tests {
    use super::super::Empty;
    use super::super::parse::mount;
    use super::*;

    fn points(host_config: &HostConfig, volumes: &[&str]) -> Result<Vec<MountPoint>, String> {
        let volumes = volumes.iter().map(|&place| (place.to_owned(), Empty {})).collect();
        let config = ContainerConfig { volumes, ..ContainerConfig::default() };
        let mut count = 0;
        let mut new_name = || {
            count += 1;
            Ok(format!("new{count}"))
        };
        mount_points(&config, host_config, &mut new_name).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_asked_for_takes_the_place_of_the_images_volume() {
        let host_config =
            HostConfig { binds: vec!["box:/data".to_owned()], ..HostConfig::default() };
        let all = points(&host_config, &["/data/", "/logs"]).unwrap();
        let shown: Vec<_> =
            all.iter().map(|point| (point.name.as_str(), point.is_anonymous())).collect();
        assert_eq!(shown, [("box", false), ("new1", true)]);
        assert_eq!(all[0].inspect()["Mode"], "z");
        assert_eq!(all[0].inspect().get("Details"), None);
    }

    #[test]
    fn two_at_one_place_are_refused() {
        let host_config = HostConfig {
            binds: vec!["box:/data".to_owned(), "/a:/data/".to_owned()],
            ..HostConfig::default()
        };
        assert_eq!(points(&host_config, &[]).unwrap_err(), "Duplicate mount point: /data");
    }

    #[test]
    fn memory_has_safe_options_and_those_that_were_given() {
        let host_config = HostConfig {
            tmpfs: [("/run".to_owned(), "exec,size=1m".to_owned())].into(),
            mounts: vec![mount("type=tmpfs,dst=/b,tmpfs-mode=770,ro").unwrap()],
            ..HostConfig::default()
        };
        let all = points(&host_config, &[]).unwrap();
        assert_eq!(all[0].details.tmpfs, ["nosuid", "nodev", "rprivate", "exec", "size=1m"]);
        assert!(all[0].details.hidden && !all[1].details.hidden && !all[1].rw);
        assert_eq!(
            all[1].details.tmpfs,
            ["noexec", "nosuid", "nodev", "rprivate", "ro", "mode=770"]
        );
    }

    #[test]
    fn only_a_bind_of_v_makes_its_source() {
        let host_config = HostConfig {
            binds: vec!["/a:/b".to_owned()],
            mounts: vec![mount("type=bind,src=/a,dst=/c").unwrap()],
            ..HostConfig::default()
        };
        let all = points(&host_config, &[]).unwrap();
        assert_eq!([all[0].details.make_source, all[1].details.make_source], [true, false]);
        assert_eq!(all[1].inspect()["Propagation"], "rprivate");
    }
}
