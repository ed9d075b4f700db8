//! The `storage.s3` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::{self, Remote, RemoteDriver};
use crate::{ByteSize, GoDuration, Opaque, Secret};

/// The region that stores other than Amazon's expect when none is configured.
const ANY_REGION: &str = "us-east-1";

/// Amazon's storage classes, and `NONE` for none.
const CLASSES: [&str; 11] = [
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "GLACIER_IR",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "EXPRESS_ONEZONE",
];

/// Blobs are in Amazon S3 or a compatible store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// The access key. Without it credentials come from the environment (`AWS_ACCESS_KEY_ID`), the profile, the pod
    /// (IRSA, EKS Pod Identity) or the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accesskey: Option<String>,
    /// The secret key that goes with `accesskey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secretkey: Option<Secret>,
    /// The session token that goes with a temporary `accesskey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessiontoken: Option<Secret>,
    /// A shared credentials file, `~/.aws/credentials` for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path", "x-berth-default" = "as the AWS tools have it"))]
    pub credentialsconfigpath: Option<PathBuf>,
    /// The profile in the shared credentials file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`default`"))]
    pub profile: Option<String>,
    /// The region of the bucket. It must be set unless `regionendpoint` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`us-east-1` with `regionendpoint`, else it must be set"))]
    pub region: Option<String>,
    /// The URL of a compatible store, such as MinIO, Ceph or Garage. Without a scheme `secure` decides which it is.
    /// Leave it out for Amazon S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regionendpoint: Option<String>,
    /// Whether the bucket is in the path of URLs and not in the name of the host. Compatible stores mostly need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`true` with `regionendpoint`, else `false`"))]
    pub forcepathstyle: Option<bool>,
    /// The bucket. It must be there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub bucket: Option<String>,
    /// A directory in the bucket that everything is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the whole bucket"))]
    pub rootdirectory: Option<String>,
    /// Whether the store encrypts what it keeps: with its own keys (SSE-S3), or with `keyid` (SSE-KMS).
    pub encrypt: bool,
    /// The KMS key to encrypt with. It needs `encrypt: true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
    /// Whether HTTPS is spoken, where the endpoint does not say.
    pub secure: bool,
    /// Whether the store's certificate is taken without a look at it. `ca` is the safe way to a private authority.
    pub skipverify: bool,
    /// The class of storage, for example `STANDARD_IA` or `INTELLIGENT_TIERING`. `NONE` names none to the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the bucket's"))]
    pub storageclass: Option<String>,
    /// The canned access list of each object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "none is named, which is private"))]
    pub objectacl: Option<ObjectAcl>,
    /// What the store sees as `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "berth and its version"))]
    pub useragent: Option<String>,
    /// Whether Amazon's dual-stack endpoints (IPv6 and IPv4) are used. `regionendpoint` wins over it.
    pub usedualstack: bool,
    /// Whether Amazon's transfer acceleration is used. `regionendpoint` wins over it.
    pub accelerate: bool,
    /// Bytes in a part of an upload, from 5 MiB to 5 GiB.
    pub chunksize: ByteSize,
    /// Parts of one upload that are on their way at the same time. One upload takes at most `parallelparts` x
    /// `chunksize` of memory.
    pub parallelparts: u32,
    /// How long the store may let a request wait: for its answer to begin, or for the next bytes of a body.
    pub timeout: GoDuration,
    /// A PEM file of certificate authorities to trust beside the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub ca: Option<PathBuf>,
    /// The URL of a proxy on the way to the store. It may hold a password and is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment"))]
    pub proxy: Option<Secret>,
    /// Whether requests are signed with version 4.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "requests are always signed with version 4"))]
    pub v4auth: Opaque,
    /// Part size of copies.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "nothing is copied: bytes go to their place at once"))]
    pub multipartcopychunksize: Opaque,
    /// Limit of concurrent copies.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "nothing is copied: bytes go to their place at once"))]
    pub multipartcopymaxconcurrency: Opaque,
    /// The size from which a copy is done in parts.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "nothing is copied: bytes go to their place at once"))]
    pub multipartcopythresholdsize: Opaque,
    /// Log level of the S3 client.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "`log.level` is for all of berth"))]
    pub loglevel: Opaque,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            accesskey: None,
            secretkey: None,
            sessiontoken: None,
            credentialsconfigpath: None,
            profile: None,
            region: None,
            regionendpoint: None,
            forcepathstyle: None,
            bucket: None,
            rootdirectory: None,
            encrypt: false,
            keyid: None,
            secure: true,
            skipverify: false,
            storageclass: None,
            objectacl: None,
            useragent: None,
            usedualstack: false,
            accelerate: false,
            chunksize: remote::CHUNK_SIZE,
            parallelparts: remote::PARALLEL_PARTS,
            timeout: remote::TIMEOUT,
            ca: None,
            proxy: None,
            v4auth: Opaque,
            multipartcopychunksize: Opaque,
            multipartcopymaxconcurrency: Opaque,
            multipartcopythresholdsize: Opaque,
            loglevel: Opaque,
        }
    }
}

impl S3 {
    /// The region to sign for.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or(ANY_REGION)
    }

    /// The URL of a compatible store, with its scheme and without a slash at the end; `None` for Amazon S3.
    pub fn endpoint(&self) -> Option<String> {
        self.regionendpoint.as_deref().map(|endpoint| remote::with_scheme(endpoint, self.secure))
    }

    /// Whether the bucket is in the path of URLs.
    pub fn is_path_style(&self) -> bool {
        self.forcepathstyle.unwrap_or(self.regionendpoint.is_some())
    }

    /// The storage class to name to the store, if any. Amazon's are known in any case, as in `registry:2`; those of
    /// other stores are taken as they stand.
    pub fn storage_class(&self) -> Option<&str> {
        let class = self.storageclass.as_deref()?;
        let known = CLASSES.into_iter().find(|known| known.eq_ignore_ascii_case(class));
        Some(known.unwrap_or(class)).filter(|class| *class != "NONE")
    }

    pub(super) fn remote(&self) -> Remote<'_> {
        Remote {
            name: "s3",
            driver: RemoteDriver::S3(self),
            chunksize: self.chunksize,
            parallelparts: self.parallelparts,
            timeout: self.timeout,
            ca: self.ca.as_deref(),
            proxy: self.proxy.as_ref(),
            skipverify: self.skipverify,
        }
    }
}

/// The canned access lists of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectAcl {
    /// For the owner only.
    Private,
    /// Everybody may read.
    PublicRead,
    /// Everybody may read and write.
    PublicReadWrite,
    /// Every account of the store may read.
    AuthenticatedRead,
    /// EC2 may read.
    AwsExecRead,
    /// The owner of the bucket may read.
    BucketOwnerRead,
    /// The owner of the bucket may do everything: for a bucket of another account.
    BucketOwnerFullControl,
}

impl ObjectAcl {
    /// The value of the `x-amz-acl` header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
            Self::AwsExecRead => "aws-exec-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
        }
    }
}
