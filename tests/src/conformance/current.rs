//! The redesigned suite of 2026, on the state of the specification that comes after 1.1.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use yaml_serde::{Mapping, Value};

use super::junit::Report;
use super::log_in;
use crate::Home;

/// Every switch of the suite's configuration, whatever its default.
const SWITCHES: [&str; 31] = [
    "OCI_API_PING",
    "OCI_API_PULL",
    "OCI_API_PUSH",
    "OCI_API_BLOBS_ATOMIC",
    "OCI_API_BLOBS_DELETE",
    "OCI_API_BLOBS_DIGEST_HEADER",
    "OCI_API_BLOBS_MOUNT_ANONYMOUS",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_ATOMIC",
    "OCI_API_MANIFESTS_DELETE",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
    "OCI_API_TAGS_ATOMIC",
    "OCI_API_TAGS_DELETE",
    "OCI_API_TAGS_LIST",
    "OCI_API_REFERRER",
    "OCI_DATA_IMAGE",
    "OCI_DATA_INDEX",
    "OCI_DATA_INDEX_LIST",
    "OCI_DATA_SPARSE",
    "OCI_DATA_ARTIFACT",
    "OCI_DATA_SUBJECT",
    "OCI_DATA_SUBJECT_MISSING",
    "OCI_DATA_ARTIFACT_LIST",
    "OCI_DATA_SUBJECT_LIST",
    "OCI_DATA_DATA_FIELD",
    "OCI_DATA_NONDISTRIBUTABLE",
    "OCI_DATA_CUSTOM_FIELDS",
    "OCI_DATA_NO_LAYERS",
    "OCI_DATA_EMPTY_BLOB",
    "OCI_DATA_SHA512",
];
/// The groups that the suite has today; fewer in its report means that it did not run whole.
const API_GROUPS: usize = 28;
const DATA_GROUPS: usize = 24;

/// Runs the suite against the registry at `host`, prints what ran, and returns what was not as it should be, told with
/// the `name` of the registry. The full report goes into the folder `results`.
pub fn current(name: &str, host: &str, results: &Path) -> Result<Vec<String>> {
    let mut home = Home::new()?;
    home.set("OCI_TLS", "disabled");
    run(home, name, host, results)
}

/// As [`current`], over TLS and with a name and a password. Who has signed the registry's certificate stands in the
/// file `authorities`.
pub fn current_with_login(
    name: &str,
    host: &str,
    authorities: &Path,
    login: (&str, &str),
    results: &Path,
) -> Result<Vec<String>> {
    let mut home = Home::new()?;
    home.set("OCI_TLS", "enabled");
    log_in(&mut home, authorities, login);
    let complaints = run(home, name, host, results)?;
    Ok(complaints.into_iter().filter(|complaint| !is_of_a_mount_from_anywhere(complaint)).collect())
}

/// A mount that names no repository needs a token for all of them, which the suite does not ask for.
fn is_of_a_mount_from_anywhere(complaint: &str) -> bool {
    complaint.contains("Blob anonymous mount: Skip")
        || complaint.contains("/mount anonymous/blob-mount-anonymous: registry returned status 202")
}

fn run(mut home: Home, name: &str, host: &str, results: &Path) -> Result<Vec<String>> {
    home.set("OCI_REGISTRY", host);
    home.set("OCI_VERSION", "dev");
    home.set("OCI_LOG", "error");
    home.set("OCI_RESULTS_DIR", results);
    for switch in SWITCHES {
        home.set(switch, "true");
    }
    let succeeded = home.succeeds_in(results, "oci-conformance-current")?;
    let outcome: Value = yaml_serde::from_str(&fs::read_to_string(results.join("results.yaml"))?)?;
    let cases = Report::read(&results.join("junit.xml"))?;
    let mut complaints = Vec::new();
    complaints.extend(off_switches(&outcome["config"], "config"));
    println!("\nThe current conformance suite on {name}: full report in {}", results.display());
    complaints.extend(show_groups("API", &outcome["apis"], API_GROUPS)?);
    complaints.extend(show_groups("data", &outcome["data"], DATA_GROUPS)?);
    println!(
        "  tests: {} passed, {} failed, {} skipped",
        cases.passed,
        cases.failed.len(),
        cases.skipped.len()
    );
    for case in cases.failed.iter().chain(&cases.skipped) {
        complaints.push(format!("{}: {}", case.name, case.message));
    }
    if !succeeded && complaints.is_empty() {
        complaints.push("the suite failed without saying why".to_owned());
    }
    Ok(complaints.into_iter().map(|complaint| format!("{name}: {complaint}")).collect())
}

/// The switches that the suite itself says were off.
fn off_switches(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Bool(false) => vec![format!("{path} was off")],
        Value::Mapping(entries) => entries
            .iter()
            .flat_map(|(key, value)| {
                off_switches(value, &format!("{path}.{}", key.as_str().unwrap_or("?")))
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn show_groups(kind: &str, groups: &Value, expected: usize) -> Result<Vec<String>> {
    let groups: &Mapping =
        groups.as_mapping().with_context(|| format!("no {kind} groups in the report"))?;
    let mut complaints = Vec::new();
    println!("  {kind} groups:");
    for (name, status) in groups {
        let (name, status) = (name.as_str().unwrap_or("?"), status.as_str().unwrap_or("?"));
        println!("    {name:.<40} {status}");
        if status != "Pass" {
            complaints.push(format!("{kind} group {name}: {status}"));
        }
    }
    if groups.len() != expected {
        complaints.push(format!("{} {kind} groups were reported, not {expected}", groups.len()));
    }
    Ok(complaints)
}

#[test]
fn a_switch_that_is_off_is_noticed() -> Result<()> {
    let config: Value =
        yaml_serde::from_str("apis: {push: true, tags: {list: false}}\ntls: disabled")?;
    assert_eq!(off_switches(&config, "config"), ["config.apis.tags.list was off"]);
    Ok(())
}
