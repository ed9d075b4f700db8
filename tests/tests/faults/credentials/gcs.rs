//! Google Cloud Storage: <https://cloud.google.com/docs/authentication/application-default-credentials>

use std::fs;

use anyhow::Result;
use berth_test_stores::Gcs;

use super::{Environment, check, run, text};
use berth_tests::refusal::fails;

fn with(server: &Gcs, variables: &[(&'static str, &str)]) -> Environment<'static> {
    let store = [
        ("REGISTRY_STORAGE", "gcs"),
        ("REGISTRY_STORAGE_GCS_ENDPOINT", &server.endpoint()),
        ("REGISTRY_STORAGE_GCS_BUCKET", server.bucket()),
        // Without a key of one's own addresses are signed by Google, at its own host alone.
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true"),
    ];
    let variables = store.iter().chain(variables);
    variables.map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_takes_the_key_that_the_environment_names() -> Result<()> {
    let server = Gcs::start()?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("key.json");
    fs::write(&file, server.service_account())?;
    check(&with(&server, &[("GOOGLE_APPLICATION_CREDENTIALS", &text(&file))]))?;
    // Where Google's tools leave it.
    let folder = home.path().join(".config/gcloud");
    fs::create_dir_all(&folder)?;
    fs::rename(file, folder.join("application_default_credentials.json"))?;
    check(&with(&server, &[("HOME", &text(home.path()))]))?;
    // The key of another account.
    let other = home.path().join("other.json");
    fs::write(&other, Gcs::start()?.service_account())?;
    let wrong = with(&server, &[("GOOGLE_APPLICATION_CREDENTIALS", &text(&other))]);
    fails(&run(&wrong)?, &["storage.gcs", "credentials"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_takes_a_token_of_the_machine_or_the_pod() -> Result<()> {
    let server = Gcs::start()?;
    let endpoint = server.endpoint();
    let host = endpoint.trim_start_matches("http://");
    check(&with(&server, &[("GCE_METADATA_HOST", host)]))?;
    // The usual name is the same everywhere: a proxy is the way to another machine.
    check(&with(&server, &[("HTTP_PROXY", &endpoint), ("NO_PROXY", "127.0.0.1")]))?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_says_that_it_takes_no_identity_of_another_cloud() -> Result<()> {
    let server = Gcs::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("federation.json");
    fs::write(&file, r#"{"type": "external_account", "audience": "//iam.googleapis.com/x"}"#)?;
    let file = text(&file);
    for name in ["GOOGLE_APPLICATION_CREDENTIALS", "REGISTRY_STORAGE_GCS_KEYFILE"] {
        fails(&run(&with(&server, &[(name, &file)]))?, &["storage.gcs", "external_account"])?;
    }
    Ok(())
}
