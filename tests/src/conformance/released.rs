//! The suites of the specification's releases, which registries have been measured by for years.

use std::path::Path;

use anyhow::Result;

use super::junit::Report;
use super::log_in;
use crate::Home;

/// Tests that exclude one another or the rest of the suite, by the end of their names, and why they cannot run.
const EXPECTED_SKIPS: [(&str, &str); 3] = [
    ("Get tag name from environment", "only where the suite may not push"),
    ("Populate registry with test tags (no push)", "only where the suite may not push"),
    (
        "Cross-mounting of nonexistent blob should yield session id",
        "only where a mount that should succeed is refused",
    ),
];

/// Whether a blob that is asked for without the repository it is in is looked for in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Discovery {
    Enabled,
    /// A token is for the repositories that its client has named, and no blob comes from others.
    Disabled,
}

impl Discovery {
    /// The test that the other excludes.
    fn expected_skip(self) -> (&'static str, &'static str) {
        let name = match self {
            Self::Enabled => {
                "Cross-mounting without from, and automatic content discovery disabled should return a 202"
            }
            Self::Disabled => {
                "Cross-mounting without from, and automatic content discovery enabled should return a 201"
            }
        };
        (name, "its opposite is tested")
    }
}

/// Runs the suite of a release against the registry at `host`, and returns what was not as it should be, told with the
/// `name` of the registry. The full report goes into the folder `results`.
pub fn released(version: &str, name: &str, host: &str, results: &Path) -> Result<Vec<String>> {
    run(Home::new()?, version, name, &format!("http://{host}"), Discovery::Enabled, results)
}

/// The same over TLS, with trust in the authorities of a file.
pub fn released_over_tls(
    version: &str,
    name: &str,
    host: &str,
    authorities: &Path,
    results: &Path,
) -> Result<Vec<String>> {
    let mut home = Home::new()?;
    home.set("SSL_CERT_FILE", authorities);
    run(home, version, name, &format!("https://{host}"), Discovery::Enabled, results)
}

/// The same over TLS, as somebody who has a password and gets tokens for it.
pub fn released_with_login(
    version: &str,
    name: &str,
    host: &str,
    authorities: &Path,
    login: (&str, &str),
    results: &Path,
) -> Result<Vec<String>> {
    let mut home = Home::new()?;
    log_in(&mut home, authorities, login);
    run(home, version, name, &format!("https://{host}"), Discovery::Disabled, results)
}

fn run(
    mut home: Home,
    version: &str,
    name: &str,
    url: &str,
    discovery: Discovery,
    results: &Path,
) -> Result<Vec<String>> {
    home.set("OCI_ROOT_URL", url);
    home.set("OCI_NAMESPACE", "conformance/first");
    home.set("OCI_CROSSMOUNT_NAMESPACE", "conformance/second");
    home.set("OCI_REPORT_DIR", results);
    for switch in [
        "OCI_TEST_PULL",
        "OCI_TEST_PUSH",
        "OCI_TEST_CONTENT_DISCOVERY",
        "OCI_TEST_CONTENT_MANAGEMENT",
    ] {
        home.set(switch, "1");
    }
    let discovers = if discovery == Discovery::Enabled { "1" } else { "0" };
    home.set("OCI_AUTOMATIC_CROSSMOUNT", discovers);
    home.set("OCI_HIDE_SKIPPED_WORKFLOWS", "0");
    // v1.0.1 knows no report directory and writes where it stands.
    let program = format!("oci-conformance-{version}");
    let succeeded = home.succeeds_in(results, &program)?;

    let report = Report::read(&results.join("junit.xml"))?;
    println!(
        "\nThe conformance suite of {version} on {name}: {} passed, {} failed, {} skipped; full report in {}",
        report.passed,
        report.failed.len(),
        report.skipped.len(),
        results.display()
    );
    let mut complaints: Vec<String> =
        report.failed.iter().map(|case| format!("{}: {}", case.name, case.message)).collect();
    for case in &report.skipped {
        let mut expected = EXPECTED_SKIPS.into_iter().chain([discovery.expected_skip()]);
        match expected.find(|(end, _)| case.name.ends_with(end)) {
            Some((_, reason)) => println!("  skipped: {} ({reason})", case.name),
            None => complaints.push(format!("{} was skipped: {}", case.name, case.message)),
        }
    }
    if !succeeded && complaints.is_empty() {
        complaints.push("the suite failed without saying why".to_owned());
    }
    Ok(complaints.into_iter().map(|complaint| format!("{name}: {complaint}")).collect())
}
