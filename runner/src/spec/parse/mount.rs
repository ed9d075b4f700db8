//! `--mount`: pairs of names and values, as in a line of a CSV file.

use super::super::{BindOptions, Driver, Mount, MountKind, SpecError, TmpfsOptions, VolumeOptions};
use super::{check_destination, clean, size};

/// Reads `type=bind,source=/a,target=/b,readonly`.
///
/// # Errors
///
/// What is wrong.
pub fn mount(text: &str) -> Result<Mount, SpecError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(SpecError::invalid("value is empty"));
    }
    let mut mount = Mount {
        kind: MountKind::Volume,
        source: String::new(),
        target: String::new(),
        read_only: false,
        bind_options: None,
        volume_options: None,
        tmpfs_options: None,
    };
    for field in fields(text)? {
        read_field(&mut mount, &field)?;
    }
    check(&mount)?;
    mount.target = clean(&mount.target);
    Ok(mount)
}

/// Options that need no value.
const SWITCHES: [&str; 4] = ["readonly", "ro", "volume-nocopy", "bind-create-src"];

fn read_field(mount: &mut Mount, field: &str) -> Result<(), SpecError> {
    let refuse = |what: String| Err(SpecError::Invalid(what));
    let (key, value) = match field.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (field, None),
    };
    if key.trim() != key {
        let key = key.trim();
        return refuse(format!(
            "invalid option '{key}' in '{field}': option should not have whitespace"
        ));
    }
    if let Some(value) = value {
        if value.trim().is_empty() {
            return refuse(format!("invalid value for '{key}': value is empty"));
        }
        if value.trim() != value {
            return refuse(format!(
                "invalid value for '{key}' in '{field}': value should not have whitespace"
            ));
        }
    }
    let key = key.to_ascii_lowercase();
    if value.is_none() && !SWITCHES.contains(&key.as_str()) {
        return refuse(format!("invalid field '{field}' must be a key=value pair"));
    }
    let text = value.unwrap_or_default();
    let wrong = || SpecError::invalid(format!("invalid value for {key}: {text}"));
    match key.as_str() {
        "type" => mount.kind = kind(text)?,
        "source" | "src" => mount.source = absolute(text),
        "target" | "dst" | "destination" => text.clone_into(&mut mount.target),
        "readonly" | "ro" => mount.read_only = boolean(&key, value)?,
        // Of other systems' file sharing.
        "consistency" => {}
        "bind-propagation" => {
            bind(mount).propagation = text.to_ascii_lowercase().parse()?;
        }
        "bind-nonrecursive" => {
            return refuse(
                "bind-nonrecursive is deprecated, use bind-recursive=disabled instead".to_owned(),
            );
        }
        "bind-recursive" => match text {
            "enabled" => {}
            "disabled" => bind(mount).non_recursive = true,
            "writable" => bind(mount).read_only_non_recursive = true,
            "readonly" => bind(mount).read_only_force_recursive = true,
            _ => {
                return refuse(format!(
                    "invalid value for {key}: {text} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        },
        "bind-create-src" => bind(mount).create_mountpoint = boolean(&key, value)?,
        "volume-subpath" => text.clone_into(&mut volume(mount).subpath),
        "volume-nocopy" => volume(mount).no_copy = boolean(&key, value)?,
        "volume-label" => {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            volume(mount).labels.insert(name.to_owned(), value.to_owned());
        }
        "volume-driver" => text.clone_into(&mut driver(mount).name),
        "volume-opt" => {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            driver(mount).options.insert(name.to_owned(), value.to_owned());
        }
        "tmpfs-size" => tmpfs(mount).size_bytes = size(text).map_err(|_| wrong())?,
        "tmpfs-mode" => {
            let is_octal = text.bytes().all(|byte| byte.is_ascii_digit());
            let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
            tmpfs(mount).mode = mode.filter(|mode| *mode <= 0o7777).ok_or_else(wrong)?;
        }
        _ => return refuse(format!("unknown option '{key}' in '{field}'")),
    }
    Ok(())
}

fn kind(text: &str) -> Result<MountKind, SpecError> {
    match text.to_ascii_lowercase().as_str() {
        "bind" => Ok(MountKind::Bind),
        "volume" => Ok(MountKind::Volume),
        "tmpfs" => Ok(MountKind::Tmpfs),
        "image" => Err(SpecError::unsupported("mount type \"image\" is not supported yet")),
        other => Err(SpecError::invalid(format!("mount type unknown: \"{other}\""))),
    }
}

/// A path that begins with a dot is one of the folder that the command is run in.
fn absolute(source: &str) -> String {
    let path = if source.starts_with('.') { std::path::absolute(source).ok() } else { None };
    path.map_or_else(|| source.to_owned(), |path| clean(&path.to_string_lossy()))
}

fn check(mount: &Mount) -> Result<(), SpecError> {
    let kind = mount.kind;
    let refuse = |what: String| Err(SpecError::Invalid(what));
    for (there, own, name) in [
        (mount.bind_options.is_some(), MountKind::Bind, "bind"),
        (mount.volume_options.is_some(), MountKind::Volume, "volume"),
        (mount.tmpfs_options.is_some(), MountKind::Tmpfs, "tmpfs"),
    ] {
        if there && kind != own {
            return refuse(format!("cannot mix '{name}-*' options with mount type '{kind}'"));
        }
    }
    if let Some(options) = &mount.bind_options {
        if options.read_only_non_recursive && !mount.read_only {
            return refuse(
                "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"
                    .to_owned(),
            );
        }
        if options.read_only_force_recursive && !mount.read_only {
            return refuse(
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"
                    .to_owned(),
            );
        }
    }
    check_mount(mount)
}

/// What a client of the API can get wrong as well.
pub(in crate::spec) fn check_mount(mount: &Mount) -> Result<(), SpecError> {
    let kind = mount.kind;
    let refuse = |what: &str| {
        Err(SpecError::invalid(format!("invalid mount config for type \"{kind}\": {what}")))
    };
    if mount.target.is_empty() {
        return refuse("field Target must not be empty");
    }
    if let Err(error) = check_destination(&mount.target) {
        return refuse(&error.to_string());
    }
    match kind {
        MountKind::Bind if mount.source.is_empty() => refuse("field Source must not be empty"),
        MountKind::Bind if !mount.source.starts_with('/') => {
            refuse(&format!("invalid mount path: '{}' mount path must be absolute", mount.source))
        }
        MountKind::Tmpfs if !mount.source.is_empty() => {
            refuse("field Source must not be specified")
        }
        MountKind::Volume if !mount.source.is_empty() => {
            super::volume::check_volume_name(&mount.source)
        }
        _ => Ok(()),
    }
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut Driver {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn boolean(key: &str, value: Option<&str>) -> Result<bool, SpecError> {
    match value {
        None | Some("1" | "true") => Ok(true),
        Some("0" | "false") => Ok(false),
        Some(value) => Err(SpecError::invalid(format!(
            "invalid value for '{key}': invalid boolean value ({value:?}): must be one of \"true\", \"1\", \"false\", or \"0\" (default \"true\")"
        ))),
    }
}

/// Cuts a line at its commas; a field in quotes may have some, and a doubled quote is one.
fn fields(line: &str) -> Result<Vec<String>, SpecError> {
    let mut fields = Vec::new();
    let mut letters = line.chars().peekable();
    loop {
        let mut field = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') if letters.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(letter) => field.push(letter),
                    None => {
                        return Err(SpecError::invalid(
                            "parse error on line 1: extraneous or missing \" in quoted-field",
                        ));
                    }
                }
            }
            if letters.peek().is_some_and(|&letter| letter != ',') {
                return Err(SpecError::invalid(
                    "parse error on line 1: extraneous or missing \" in quoted-field",
                ));
            }
        }
        while let Some(letter) = letters.next_if(|&letter| letter != ',') {
            if letter == '"' {
                return Err(SpecError::invalid(
                    "parse error on line 1: bare \" in non-quoted-field",
                ));
            }
            field.push(letter);
        }
        fields.push(field);
        if letters.next().is_none() {
            return Ok(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_the_same() {
        for text in [
            "type=bind,source=/a,target=/b,readonly",
            "type=bind,src=/a,dst=/b,ro",
            "TYPE=Bind,src=/a,destination=/b/,readonly=true",
            "\"type=bind\",src=/a,dst=/b,ro=1",
        ] {
            let mount = mount(text).unwrap();
            assert_eq!((mount.kind, mount.read_only), (MountKind::Bind, true), "{text}");
            assert_eq!((mount.source.as_str(), mount.target.as_str()), ("/a", "/b"), "{text}");
        }
    }

    #[test]
    fn each_kind_has_options_of_its_own() {
        let bound =
            mount("type=bind,src=/a,dst=/b,bind-propagation=rshared,bind-recursive=disabled");
        let bound = bound.unwrap().bind_options.unwrap();
        assert!(bound.non_recursive && bound.propagation == crate::spec::Propagation::Rshared);
        let kept = mount(
            "src=box,dst=/b,volume-nocopy,volume-label=a=1,\"volume-opt=o=x,y\",volume-subpath=c",
        );
        let kept = kept.unwrap().volume_options.unwrap();
        assert!(kept.no_copy && kept.labels["a"] == "1" && kept.subpath == "c");
        assert_eq!(kept.driver_config.unwrap().options["o"], "x,y");
        let memory = mount("type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        let memory = memory.tmpfs_options.unwrap();
        assert_eq!((memory.size_bytes, memory.mode), (1 << 20, 0o1770));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "value is empty"),
            ("bind", "invalid field 'bind' must be a key=value pair"),
            ("type=", "invalid value for 'type': value is empty"),
            ("type=nfs,dst=/b", "mount type unknown: \"nfs\""),
            (
                "type=bind,dst=/b",
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                "type=bind,src=a,dst=/b",
                "invalid mount config for type \"bind\": invalid mount path: 'a'",
            ),
            (
                "type=bind,src=/a",
                "invalid mount config for type \"bind\": field Target must not be empty",
            ),
            (
                "type=bind,src=/a,dst=b",
                "invalid mount config for type \"bind\": invalid mount path: 'b'",
            ),
            (
                "type=tmpfs,src=/a,dst=/b",
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            ("type=tmpfs,dst=/", "invalid mount config for type \"tmpfs\": invalid specification"),
            (
                "type=tmpfs,dst=/b,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'tmpfs'",
            ),
            ("type=tmpfs,dst=/b,tmpfs-size=big", "invalid value for tmpfs-size: big"),
            ("type=tmpfs,dst=/b,tmpfs-mode=999", "invalid value for tmpfs-mode: 999"),
            ("dst=/b,ro=maybe", "invalid value for 'ro': invalid boolean value (\"maybe\")"),
            ("dst=/b,colour=red", "unknown option 'colour' in 'colour=red'"),
            ("dst=/b, ro", "invalid option 'ro' in ' ro'"),
            ("dst=/b,\"ro", "parse error on line 1"),
        ] {
            let error = mount(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{text}: {error}");
        }
    }
}
