//! Registries whose blobs are in an object store that a test has started.

use std::any::Any;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use berth_test_stores::{Azurite, Gcs, Moto, Oss, S3Access, Swift, VersityGateway};

use crate::Launch;

/// A way to start a registry, and the server that keeps its blobs for as long as this lives.
pub struct Stored {
    /// The driver's name in the configuration, and which server it is where there are two.
    pub name: &'static str,
    /// The registry.
    pub launch: Launch,
    /// The folder that the server keeps the bucket in, where it keeps files.
    pub bucket: Option<PathBuf>,
    _server: Box<dyn Any>,
}

impl Stored {
    /// On an S3 server.
    pub fn s3() -> Result<Self> {
        let server = VersityGateway::start()?;
        let launch = s3_launch(server.access())?;
        Ok(Self { name: "s3", launch, bucket: Some(server.data()), _server: Box::new(server) })
    }

    /// On another S3 server, which has nothing in common with the first.
    pub fn moto() -> Result<Self> {
        let server = Moto::start()?;
        let launch = s3_launch(server.access())?;
        Ok(Self { name: "s3-moto", launch, bucket: None, _server: Box::new(server) })
    }

    /// On an Azure Blob server.
    pub fn azure() -> Result<Self> {
        let server = Azurite::start()?;
        let launch = Launch::remote(
            "azure",
            &[
                ("endpoint", server.endpoint()),
                ("accountname", server.account()),
                ("accountkey", server.key()),
                ("container", server.container()),
            ],
        )?;
        Ok(Self { name: "azure", launch, bucket: None, _server: Box::new(server) })
    }

    /// On a Cloud Storage server. Its client signs addresses for Google's own host alone, so readers are not sent
    /// there.
    pub fn gcs() -> Result<Self> {
        let server = Gcs::start()?;
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key.json");
        fs::write(&key, server.service_account())?;
        let (endpoint, key) = (server.endpoint(), key.display().to_string());
        let settings = [("endpoint", &*endpoint), ("bucket", server.bucket()), ("keyfile", &key)];
        let launch =
            Launch::remote("gcs", &settings)?.env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true");
        Ok(Self { name: "gcs", launch, bucket: None, _server: Box::new((server, folder)) })
    }

    /// On an OSS server.
    pub fn oss() -> Result<Self> {
        let server = Oss::start()?;
        let launch = Launch::remote(
            "oss",
            &[
                ("endpoint", &server.endpoint()),
                ("region", server.region()),
                ("bucket", server.bucket()),
                ("accesskeyid", server.access_key()),
                ("accesskeysecret", server.secret_key()),
            ],
        )?;
        Ok(Self { name: "oss", launch, bucket: None, _server: Box::new(server) })
    }

    /// On OpenStack Swift.
    pub fn swift() -> Result<Self> {
        let server = Swift::start()?;
        let user = server.user();
        let launch = Launch::remote(
            "swift",
            &[
                ("authurl", &user.auth_url),
                ("username", &user.user),
                ("password", &user.password),
                ("domain", &user.domain),
                ("tenant", &user.project),
                ("container", server.container()),
                ("secretkey", server.temp_url_key()),
            ],
        )?;
        Ok(Self { name: "swift", launch, bucket: None, _server: Box::new(server) })
    }

    /// One of each.
    pub fn each() -> Result<Vec<Self>> {
        Ok(vec![
            Self::s3()?,
            Self::moto()?,
            Self::azure()?,
            Self::gcs()?,
            Self::oss()?,
            Self::swift()?,
        ])
    }
}

/// How to start a registry whose blobs are in a bucket.
///
/// # Errors
///
/// No temporary folder can be made.
pub fn s3_launch(access: &S3Access) -> Result<Launch> {
    Launch::remote(
        "s3",
        &[
            ("regionendpoint", &access.endpoint),
            ("region", &access.region),
            ("bucket", &access.bucket),
            ("accesskey", &access.access_key),
            ("secretkey", &access.secret_key),
        ],
    )
}
