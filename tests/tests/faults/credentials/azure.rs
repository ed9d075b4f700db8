//! Azure Blob Storage: <https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory>

use std::fs;

use anyhow::{Result, ensure};
use berth_test_stores::identity::AzureIdentity;
use berth_test_stores::{Azurite, Certificate};

use super::{Environment, check, run, text};
use berth_tests::refusal::fails;

/// A store that takes tokens, and the services that give them out.
struct Cloud {
    identity: AzureIdentity,
    server: Azurite,
    certificate: Certificate,
}

impl Cloud {
    fn start() -> Result<Self> {
        let certificate = Certificate::new()?;
        let server = Azurite::start_tls(&certificate)?;
        Ok(Self { identity: AzureIdentity::start()?, server, certificate })
    }

    fn with(&self, variables: &[(&'static str, &str)]) -> Environment<'static> {
        let mut environment = store(&self.server);
        environment.push(("REGISTRY_STORAGE_AZURE_CA", text(&self.certificate.authority())));
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        environment.into_iter().chain(variables).collect()
    }

    /// Checks that a token opens the store, and was asked for once more.
    fn opens(&self, environment: &Environment<'_>) -> Result<()> {
        let before = self.identity.given();
        let told = check(environment)?;
        ensure!(told.contains("readers can be sent to the store"), "{told}");
        let given = self.identity.given() - before;
        ensure!(given == 1, "a token that is good for long was asked for {given} times");
        Ok(())
    }
}

/// The settings of the store, without credentials.
fn store(server: &Azurite) -> Environment<'static> {
    vec![
        ("REGISTRY_STORAGE", "azure".to_owned()),
        ("REGISTRY_STORAGE_AZURE_ENDPOINT", server.endpoint().to_owned()),
        ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", server.account().to_owned()),
        ("REGISTRY_STORAGE_AZURE_CONTAINER", server.container().to_owned()),
    ]
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn azure_takes_a_shared_access_signature() -> Result<()> {
    let server = Azurite::start()?;
    let with = |signature: String| {
        let mut environment = store(&server);
        environment.push(("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "sas".to_owned()));
        environment.push(("REGISTRY_STORAGE_AZURE_CREDENTIALS_SASTOKEN", signature));
        environment
    };
    let signature = server.shared_access_signature();
    check(&with(signature.clone()))?;
    check(&with(format!("?{signature}")))?;
    let wrong = signature.replace("sp=racwdl", "sp=racwdxl");
    fails(&run(&with(wrong))?, &["storage.azure", "credentials"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn azure_takes_a_token_for_a_clients_secret() -> Result<()> {
    let cloud = Cloud::start()?;
    let identity = &cloud.identity;
    // As Kubernetes and the tools of Azure write it, with a slash at the end.
    let authority = format!("{}/", identity.endpoint());
    let settings = |secret| {
        cloud.with(&[
            ("AZURE_AUTHORITY_HOST", &authority),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "client_secret"),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_CLIENTID", identity.client()),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TENANTID", identity.tenant()),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_SECRET", secret),
        ])
    };
    cloud.opens(&settings(identity.secret()))?;
    // All of it from the environment.
    cloud.opens(&cloud.with(&[
        ("AZURE_AUTHORITY_HOST", &authority),
        ("AZURE_CLIENT_ID", identity.client()),
        ("AZURE_TENANT_ID", identity.tenant()),
        ("AZURE_CLIENT_SECRET", identity.secret()),
    ]))?;
    fails(&run(&settings("wrong"))?, &["storage.azure", "invalid_client"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn azure_takes_a_token_for_a_workload_identity() -> Result<()> {
    let cloud = Cloud::start()?;
    let identity = &cloud.identity;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    fs::write(&file, identity.pod_token())?;
    // What the webhook puts into a pod.
    let (authority, file) = (format!("{}/", identity.endpoint()), text(&file));
    let pod = [
        ("AZURE_AUTHORITY_HOST", &*authority),
        ("AZURE_CLIENT_ID", identity.client()),
        ("AZURE_TENANT_ID", identity.tenant()),
        ("AZURE_FEDERATED_TOKEN_FILE", &file),
    ];
    cloud.opens(&cloud.with(&pod))?;
    let kind = ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "workload_identity");
    let named = cloud.with(&[&pod[..], &[kind]].concat());
    cloud.opens(&named)?;
    fs::write(&file, "of somebody else")?;
    fails(&run(&named)?, &["storage.azure", "invalid_client"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn azure_takes_a_token_of_a_managed_identity() -> Result<()> {
    let cloud = Cloud::start()?;
    let identity = &cloud.identity;
    let (endpoint, app) = (identity.endpoint(), identity.app_endpoint());
    // A machine's address is the same everywhere: a proxy is the way to another machine.
    let machine = [("HTTP_PROXY", &*endpoint), ("NO_PROXY", "127.0.0.1")];
    let app = [("IDENTITY_ENDPOINT", &*app), ("IDENTITY_HEADER", identity.app_secret())];
    let kind = ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "managed_identity");
    let client = |client| ("REGISTRY_STORAGE_AZURE_CREDENTIALS_CLIENTID", client);
    for place in [machine, app] {
        cloud.opens(&cloud.with(&place))?;
        cloud.opens(&cloud.with(&[&place[..], &[kind]].concat()))?;
        cloud.opens(&cloud.with(&[&place[..], &[kind, client(identity.client())]].concat()))?;
        let other = cloud.with(&[&place[..], &[kind, client("another")]].concat());
        fails(&run(&other)?, &["storage.azure", "Identity not found"])?;
    }
    Ok(())
}
