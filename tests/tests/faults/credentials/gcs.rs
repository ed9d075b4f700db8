//! Google Cloud Storage: <https://cloud.google.com/docs/authentication/application-default-credentials>

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use berth_test_stores::Gcs;
use berth_test_stores::identity::{AwsIdentity, AwsKey, GoogleIdentity};
use serde_json::{Value, json};

use super::{Environment, check, run, text};
use berth_tests::refusal::fails;

const HOUR: Duration = Duration::from_secs(3600);

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

/// A credentials file, and the variable that names it.
fn federation(folder: &Path, document: &Value) -> Result<(&'static str, String)> {
    let file = folder.join("federation.json");
    fs::write(&file, document.to_string())?;
    Ok(("GOOGLE_APPLICATION_CREDENTIALS", text(&file)))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_takes_the_identity_of_another_issuer_from_a_file_or_a_service() -> Result<()> {
    let server = Gcs::start()?;
    let google = GoogleIdentity::start(&server.token(), HOUR)?;
    let folder = tempfile::tempdir()?;
    let proof = folder.path().join("proof");
    fs::write(&proof, google.proof())?;
    let document = google.document(&json!({"file": &proof}));
    let (name, file) = federation(folder.path(), &document)?;
    check(&with(&server, &[(name, &file)]))?;
    assert_eq!(google.given(), 1);
    check(&with(&server, &[("REGISTRY_STORAGE_GCS_KEYFILE", &file)]))?;
    fs::write(&proof, json!({"token": google.proof()}).to_string())?;
    let format = json!({"type": "json", "subject_token_field_name": "token"});
    let document = google.document(&json!({"file": &proof, "format": format}));
    let (name, file) = federation(folder.path(), &document)?;
    check(&with(&server, &[(name, &file)]))?;
    let (name, file) = federation(folder.path(), &google.document(&google.issuer()))?;
    check(&with(&server, &[(name, &file)]))?;
    assert_eq!(google.given(), 4);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_acts_as_the_service_account_that_another_identity_may_use() -> Result<()> {
    let server = Gcs::start()?;
    let google = GoogleIdentity::start(&server.token(), HOUR)?;
    let folder = tempfile::tempdir()?;
    let (name, file) = federation(folder.path(), &google.impersonating(&google.issuer()))?;
    check(&with(&server, &[(name, &file)]))?;
    assert_eq!(google.given(), 1);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_takes_the_identity_of_a_machine_of_amazons() -> Result<()> {
    let server = Gcs::start()?;
    let google = GoogleIdentity::start(&server.token(), HOUR)?;
    let key = AwsKey {
        id: "ASIABERTH".to_owned(),
        secret: "secret".to_owned(),
        session_token: "session".to_owned(),
        lifetime: HOUR,
    };
    let machine = AwsIdentity::start(key)?;
    let folder = tempfile::tempdir()?;
    let (name, file) = federation(folder.path(), &google.of_amazon(&machine, "ASIABERTH"))?;
    check(&with(&server, &[(name, &file)]))?;
    assert_eq!(machine.given(), 1);
    let own = [
        (name, file.as_str()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "ASIABERTH"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "session"),
    ];
    check(&with(&server, &own))?;
    assert_eq!((machine.given(), google.given()), (1, 2));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_exchanges_an_identity_again_when_the_token_ends() -> Result<()> {
    let server = Gcs::start()?;
    let google = GoogleIdentity::start(&server.token(), Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let (name, file) = federation(folder.path(), &google.document(&google.issuer()))?;
    check(&with(&server, &[(name, &file)]))?;
    assert!(google.given() > 1);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn gcs_says_what_is_wrong_with_the_identity_of_another() -> Result<()> {
    let server = Gcs::start()?;
    let google = GoogleIdentity::start(&server.token(), HOUR)?;
    let folder = tempfile::tempdir()?;
    let proof = folder.path().join("proof");
    let from_file = json!({"file": &proof});
    let told = |document: &Value, words: &[&str]| {
        let (name, file) = federation(folder.path(), document)?;
        fails(&run(&with(&server, &[(name, &file)]))?, &[&["storage", name], words].concat())
    };
    told(&google.document(&from_file), &["credential_source.file", "cannot be read"])?;
    fs::write(&proof, "another")?;
    told(&google.document(&from_file), &["token_url", "invalid_grant: The proof is not good."])?;
    let mut refused = google.impersonating(&google.issuer());
    refused["token_url"] = google.document(&from_file)["token_url"].clone();
    told(&refused, &["service_account_impersonation_url", "may not act as the account"])?;
    let program = json!({"executable": {"command": "/bin/true"}});
    told(&google.document(&program), &["credential_source", "`executable` is not known"])
}
