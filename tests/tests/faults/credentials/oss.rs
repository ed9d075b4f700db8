//! Aliyun OSS: <https://www.alibabacloud.com/help/en/sdk/developer-reference/v2-manage-access-credentials>

use std::fs;

use anyhow::{Result, ensure};
use berth_test_stores::Oss;
use berth_test_stores::identity::AliyunIdentity;

use super::{Environment, check, run, text};
use berth_tests::refusal::fails;

/// A store that takes one temporary key, and the services that give it out.
struct Cloud {
    identity: AliyunIdentity,
    server: Oss,
}

impl Cloud {
    fn start() -> Result<Self> {
        let server = Oss::start_for_temporary_key()?;
        Ok(Self { identity: AliyunIdentity::start(&server)?, server })
    }

    fn with(&self, variables: &[(&'static str, &str)]) -> Environment<'static> {
        let store = [
            ("REGISTRY_STORAGE", "oss"),
            ("REGISTRY_STORAGE_OSS_ENDPOINT", &self.server.endpoint()),
            ("REGISTRY_STORAGE_OSS_REGION", self.server.region()),
            ("REGISTRY_STORAGE_OSS_BUCKET", self.server.bucket()),
        ];
        let variables = store.iter().chain(variables);
        variables.map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// Checks that a key opens the store, and was asked for once more.
    fn opens(&self, environment: &Environment<'_>) -> Result<()> {
        let before = self.identity.given();
        let told = check(environment)?;
        ensure!(told.contains("readers can be sent to the store"), "{told}");
        let given = self.identity.given() - before;
        ensure!(given == 1, "a key that is good for long was asked for {given} times");
        Ok(())
    }
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn oss_takes_its_key_from_the_environment() -> Result<()> {
    let cloud = Cloud::start()?;
    let key = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", cloud.server.access_key()),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", cloud.server.secret_key()),
        ("ALIBABA_CLOUD_SECURITY_TOKEN", cloud.server.security_token()),
    ];
    check(&cloud.with(&key))?;
    fails(&run(&cloud.with(&key[..2]))?, &["storage.oss", "InvalidSecurityToken"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn oss_takes_its_key_from_an_address() -> Result<()> {
    let cloud = Cloud::start()?;
    let uri = cloud.identity.credentials_uri();
    cloud.opens(&cloud.with(&[("ALIBABA_CLOUD_CREDENTIALS_URI", &uri)]))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn oss_takes_its_key_from_the_pod() -> Result<()> {
    let cloud = Cloud::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    // The machine of the pod has a role of its own.
    let machine = AliyunIdentity::start(&cloud.server)?;
    fs::write(&file, cloud.identity.pod_token())?;
    // What the webhook puts into a pod, and where the service is.
    let environment = cloud.with(&[
        ("ALIBABA_CLOUD_ROLE_ARN", cloud.identity.role_arn()),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", cloud.identity.provider_arn()),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", &text(&file)),
        ("ALIBABA_CLOUD_STS_ENDPOINT", &cloud.identity.endpoint()),
        ("ALIBABA_CLOUD_ECS_METADATA_SERVICE_ENDPOINT", &machine.endpoint()),
    ]);
    cloud.opens(&environment)?;
    ensure!(machine.given() == 0, "the machine was asked, not the pod");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn oss_takes_its_key_from_the_machine() -> Result<()> {
    let cloud = Cloud::start()?;
    let endpoint = cloud.identity.endpoint();
    cloud.opens(&cloud.with(&[("ALIBABA_CLOUD_ECS_METADATA_SERVICE_ENDPOINT", &endpoint)]))?;
    // The usual address is the same everywhere: a proxy is the way to another machine.
    cloud.opens(&cloud.with(&[("HTTP_PROXY", &endpoint), ("NO_PROXY", "127.0.0.1")]))
}
