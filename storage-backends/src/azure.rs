//! Blobs in Azure Blob Storage.

use std::sync::Arc;

use berth_config::{Azure, AzureCredentialsType as Kind, Remote, Secret};
use object_store::azure::{MicrosoftAzureBuilder, split_sas};
use object_store::{Attributes, BackoffConfig, RetryConfig};

use crate::objects::{CloudObjects, ObjectBlobStore};
use crate::{BlobStore, OpenError, remote};

/// How many blocks a blob may have. Those that nobody commits are removed by Azure after a week
/// (Blob Storage REST API, Put Block).
const BLOCKS: usize = 50_000;

/// Blocks may be of any size, but a blob of very small ones would soon have too many.
const SMALLEST_BLOCK: usize = 1 << 20;

/// Opens the container.
///
/// # Errors
/// When the settings cannot be used as they are.
pub(crate) fn open(settings: &Azure, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    let retries = RetryConfig {
        max_retries: settings.maxretries as usize,
        backoff: BackoffConfig {
            init_backoff: settings.retrydelay.get(),
            ..remote::retries().backoff
        },
        ..remote::retries()
    };
    let transport = remote::transport(&common, None)?;
    let store = with_credentials(settings)?
        .with_account(settings.accountname.clone().unwrap_or_default())
        .with_container_name(settings.container.clone().unwrap_or_default())
        .with_endpoint(settings.endpoint())
        .with_client_options(transport.options().clone())
        .with_http_connector(transport.clone())
        .with_retry(retries)
        .build()
        .map_err(|error| OpenError::settings("storage.azure", error))?;
    let objects = CloudObjects {
        store: Arc::new(store),
        root: remote::root(settings.rootdirectory.as_deref()),
        attributes: Attributes::new(),
        unfinished: None,
        // A shared access signature of the operator's allows more than one blob to be read.
        presigns: settings.credentials_type() != Kind::Sas,
    };
    let parts = remote::parts(&common, SMALLEST_BLOCK, BLOCKS);
    Ok(Arc::new(ObjectBlobStore::new(objects, parts, transport)))
}

fn with_credentials(settings: &Azure) -> Result<MicrosoftAzureBuilder, OpenError> {
    let credentials = &settings.credentials;
    let secret = |secret: &Option<Secret>| {
        secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default()
    };
    let kind = settings.credentials_type();
    let mut builder = match kind {
        Kind::SharedKey => {
            MicrosoftAzureBuilder::new().with_access_key(secret(&settings.accountkey))
        }
        Kind::Sas => {
            let pairs = split_sas(secret(&credentials.sastoken).trim_start_matches('?')).map_err(
                |error| OpenError::settings("storage.azure.credentials.sastoken", error),
            )?;
            MicrosoftAzureBuilder::new().with_sas_authorization(pairs)
        }
        Kind::ClientSecret => {
            let builder = MicrosoftAzureBuilder::new().with_credential_type("client_secret");
            builder.with_client_secret(secret(&credentials.secret))
        }
        Kind::WorkloadIdentity => {
            MicrosoftAzureBuilder::from_env().with_credential_type("workload_identity")
        }
        Kind::DefaultCredentials => MicrosoftAzureBuilder::from_env(),
        Kind::ManagedIdentity => {
            MicrosoftAzureBuilder::new().with_credential_type("managed_identity")
        }
    };
    let (mut client, mut tenant) = (credentials.clientid.clone(), credentials.tenantid.clone());
    if kind == Kind::ClientSecret {
        client = client.or_else(|| remote::variable("AZURE_CLIENT_ID"));
        tenant = tenant.or_else(|| remote::variable("AZURE_TENANT_ID"));
    }
    if let Some(id) = client {
        builder = builder.with_client_id(id);
    }
    if let Some(tenant) = tenant {
        builder = builder.with_tenant_id(tenant);
    }
    Ok(with_services(builder))
}

/// Where tokens are asked for, if it is not where they usually are.
fn with_services(mut builder: MicrosoftAzureBuilder) -> MicrosoftAzureBuilder {
    // Kubernetes has a slash at the end, after which the client adds another.
    if let Some(host) = remote::variable("AZURE_AUTHORITY_HOST") {
        builder = builder.with_authority_host(host.trim_end_matches('/'));
    }
    // Apps, which are no machines, are told where their identity is.
    if let Some(endpoint) = remote::variable("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    builder
}
