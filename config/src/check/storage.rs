//! Checks of the `storage` section: what the drivers of remote stores need, and what does not go together.

use super::Invalid;
use super::section::Section;
use crate::error::ConfigError;
use crate::{
    Azure, AzureCredentialsType, ByteSize, Config, Gcs, GoDuration, Oss, Remote, S3, Secret, Swift,
};

/// The longest that S3, GCS and OSS let a signed URL be valid.
const LONGEST_EXPIRY: GoDuration = GoDuration::from_secs(7 * 24 * 3600);

/// S3's limits of a part but the last; those of GCS and OSS are no narrower.
const PARTS: (ByteSize, ByteSize) = (ByteSize::from_mib(5), ByteSize::from_mib(5 << 10));

/// What a block of Azure may be at most, and at least for uploads of a useful size: there can be 50000 of them.
const BLOCKS: (ByteSize, ByteSize) = (ByteSize::from_mib(1), ByteSize::from_mib(4000));

/// Swift's limits of a segment.
const SEGMENTS: (ByteSize, ByteSize) = (ByteSize::from_mib(1), ByteSize::from_mib(5 << 10));

/// GCS takes uploads in multiples of this.
const GCS_UNIT: u64 = 256 << 10;

pub(super) fn storage(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let storage = &config.storage;
    let expiry = storage.redirect.expiry;
    if expiry.is_zero() || expiry > LONGEST_EXPIRY {
        let message = "it must be more than 0 and at most `168h`, the longest that stores allow";
        return invalid("storage.redirect.expiry", message.to_owned());
    }
    upkeep(config, invalid)?;
    let Some(remote) = storage.remote() else { return Ok(()) };
    let section = Section::new(remote.name, invalid);
    if let Some(s3) = &storage.s3 {
        self::s3(s3, &section)?;
    }
    if let Some(azure) = &storage.azure {
        self::azure(azure, &section)?;
    }
    if let Some(gcs) = &storage.gcs {
        self::gcs(gcs, &section)?;
    }
    if let Some(swift) = &storage.swift {
        self::swift(swift, &section)?;
    }
    if let Some(oss) = &storage.oss {
        self::oss(oss, &section)?;
    }
    common(&remote, &section)
}

fn upkeep(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let (scrub, backup) = (&config.storage.scrub, &config.storage.backup);
    let message = "it must be more than 0";
    if scrub.rate.bytes() == 0 {
        return invalid("storage.scrub.rate", message.to_owned());
    }
    if scrub.pause.is_zero() {
        return invalid("storage.scrub.pause", message.to_owned());
    }
    if backup.interval.is_zero() {
        return invalid("storage.backup.interval", message.to_owned());
    }
    if backup.keep == 0 {
        return invalid("storage.backup.keep", message.to_owned());
    }
    let is_url = |peer: &String| peer.starts_with("http://") || peer.starts_with("https://");
    match scrub.peers.iter().find(|peer| !is_url(peer)) {
        Some(peer) => invalid(
            "storage.scrub.peers",
            format!(
                "`{peer}` is not the URL of a registry: write for example `https://other.example.org/`"
            ),
        ),
        None => Ok(()),
    }
}

/// What all drivers of remote stores have.
fn common(remote: &Remote<'_>, section: &Section<'_>) -> Result<(), ConfigError> {
    if remote.parallelparts == 0 {
        return section.fail("parallelparts", "it must be more than 0");
    }
    if remote.timeout.is_zero() {
        return section.fail("timeout", "it must be more than 0");
    }
    match remote.proxy.map(Secret::expose) {
        Some(proxy) if !is_proxy(proxy) => section.fail(
            "proxy",
            "it is not the URL of a proxy: write for example `http://proxy.example.org:3128`",
        ),
        _ => Ok(()),
    }
}

fn s3(s3: &S3, section: &Section<'_>) -> Result<(), ConfigError> {
    section.name_of("bucket", s3.bucket.as_deref())?;
    if s3.region.is_none() && s3.regionendpoint.is_none() {
        return section.fail(
            "region",
            "it must be set: write the region of the bucket, for example `us-east-1`, or the URL of a compatible store in `regionendpoint`",
        );
    }
    section.endpoint("regionendpoint", s3.regionendpoint.as_deref())?;
    section.pair(
        ("accesskey", s3.accesskey.is_some()),
        ("secretkey", s3.secretkey.is_some()),
        "or leave both out to use the credentials of the environment, the profile, the pod or the instance",
    )?;
    section.needs(
        ("sessiontoken", s3.sessiontoken.is_some()),
        ("accesskey", s3.accesskey.is_some()),
        "it goes with a temporary access key",
    )?;
    section.words(&[
        ("accesskey", s3.accesskey.as_deref()),
        ("secretkey", exposed(&s3.secretkey)),
        ("sessiontoken", exposed(&s3.sessiontoken)),
        ("region", s3.region.as_deref()),
        ("keyid", s3.keyid.as_deref()),
        ("storageclass", s3.storageclass.as_deref()),
    ])?;
    section.lines(&[
        ("rootdirectory", s3.rootdirectory.as_deref()),
        ("profile", s3.profile.as_deref()),
        ("useragent", s3.useragent.as_deref()),
    ])?;
    section.needs(("keyid", s3.keyid.is_some()), ("encrypt: true", s3.encrypt), NO_ENCRYPTION)?;
    if let Some(class @ ("GLACIER" | "DEEP_ARCHIVE")) = s3.storage_class() {
        return section.fail(
            "storageclass",
            &format!("objects in `{class}` cannot be read at once: write for example `GLACIER_IR`"),
        );
    }
    section.chunksize(s3.chunksize, PARTS)
}

fn azure(azure: &Azure, section: &Section<'_>) -> Result<(), ConfigError> {
    let credentials = &azure.credentials;
    section.name_of("accountname", azure.accountname.as_deref())?;
    section.name_of("container", azure.container.as_deref())?;
    if azure.endpoint.is_some() && azure.serviceurl.is_some() {
        return section.fail("serviceurl", "it means the same as `endpoint`: keep one of the two");
    }
    section.endpoint("endpoint", azure.endpoint.as_deref())?;
    section.endpoint("serviceurl", azure.serviceurl.as_deref())?;
    section.words(&[
        ("accountkey", exposed(&azure.accountkey)),
        ("realm", Some(&azure.realm)),
        ("credentials.clientid", credentials.clientid.as_deref()),
        ("credentials.tenantid", credentials.tenantid.as_deref()),
        ("credentials.secret", exposed(&credentials.secret)),
        ("credentials.sastoken", exposed(&credentials.sastoken)),
    ])?;
    section.lines(&[("rootdirectory", azure.rootdirectory.as_deref())])?;
    azure_credentials(azure, section)?;
    section.chunksize(azure.chunksize, BLOCKS)
}

fn azure_credentials(azure: &Azure, section: &Section<'_>) -> Result<(), ConfigError> {
    let credentials = &azure.credentials;
    let (kind, wanted): (_, &[(&str, bool)]) = match azure.credentials_type() {
        AzureCredentialsType::SharedKey => {
            ("shared_key", &[("accountkey", azure.accountkey.is_some())])
        }
        AzureCredentialsType::ClientSecret => (
            "client_secret",
            &[
                ("credentials.clientid", credentials.clientid.is_some()),
                ("credentials.tenantid", credentials.tenantid.is_some()),
                ("credentials.secret", credentials.secret.is_some()),
            ],
        ),
        AzureCredentialsType::Sas => {
            ("sas", &[("credentials.sastoken", credentials.sastoken.is_some())])
        }
        AzureCredentialsType::DefaultCredentials
        | AzureCredentialsType::WorkloadIdentity
        | AzureCredentialsType::ManagedIdentity => return Ok(()),
    };
    if let Some((key, _)) = wanted.iter().find(|(_, is_set)| !is_set) {
        return section.fail(
            key,
            &format!("it must be set: `storage.azure.credentials.type: {kind}` needs it"),
        );
    }
    match exposed(&azure.accountkey) {
        Some(key) if !is_base64(key) => {
            section.fail("accountkey", "it is not base64: copy the whole key from the portal")
        }
        _ => Ok(()),
    }
}

fn gcs(gcs: &Gcs, section: &Section<'_>) -> Result<(), ConfigError> {
    section.name_of("bucket", gcs.bucket.as_deref())?;
    section.endpoint("endpoint", gcs.endpoint.as_deref())?;
    section.lines(&[("rootdirectory", gcs.rootdirectory.as_deref())])?;
    if gcs.keyfile.is_some() && !gcs.credentials.is_empty() {
        return section.fail("credentials", "`keyfile` names credentials too: keep one of the two");
    }
    let is_account =
        gcs.credentials.get("type").is_some_and(|kind| kind.expose() == "service_account");
    if !gcs.credentials.is_empty() && !is_account {
        return section.fail(
            "credentials",
            "its `type` must be `service_account`: put any other kind into a file and name that in `keyfile`",
        );
    }
    for field in ["client_email", "private_key"] {
        if is_account && !gcs.credentials.contains_key(field) {
            return section.fail(
                "credentials",
                &format!("`{field}` is missing: copy the whole of the key file"),
            );
        }
    }
    section.chunksize(gcs.chunksize, PARTS)?;
    if !gcs.chunksize.bytes().is_multiple_of(GCS_UNIT) {
        return section.fail(
            "chunksize",
            &format!(
                "`{}` is not a multiple of `256KiB`: write for example `10MiB`",
                gcs.chunksize
            ),
        );
    }
    Ok(())
}

fn swift(swift: &Swift, section: &Section<'_>) -> Result<(), ConfigError> {
    section.name_of("container", swift.container.as_deref())?;
    if swift.authurl.is_none() {
        return section.fail(
            "authurl",
            "it must be set: write for example `https://keystone.example.org/v3`",
        );
    }
    section.endpoint("authurl", swift.authurl.as_deref())?;
    if swift.authversion.is_some_and(|version| !(1..=3).contains(&version)) {
        return section.fail("authversion", "it must be `1`, `2` or `3`");
    }
    section.pair(
        ("username", swift.username.is_some()),
        ("password", swift.password.is_some()),
        "or use an application credential",
    )?;
    section.pair(
        ("applicationcredentialid", swift.applicationcredentialid.is_some()),
        ("applicationcredentialsecret", swift.applicationcredentialsecret.is_some()),
        "or use `username` and `password`",
    )?;
    match (&swift.username, &swift.applicationcredentialid) {
        (None, None) => {
            return section.fail(
                "username",
                "it must be set, and `password`: or set `applicationcredentialid` and `applicationcredentialsecret`",
            );
        }
        (Some(_), Some(_)) => {
            return section.fail(
                "applicationcredentialid",
                "`username` says who berth is too: keep one of the two",
            );
        }
        _ => {}
    }
    section.words(&[
        ("tenantid", swift.tenantid.as_deref()),
        ("domainid", swift.domainid.as_deref()),
        ("tenantdomainid", swift.tenantdomainid.as_deref()),
        ("trustid", swift.trustid.as_deref()),
        ("region", swift.region.as_deref()),
        ("applicationcredentialid", swift.applicationcredentialid.as_deref()),
    ])?;
    section.lines(&[
        ("username", swift.username.as_deref()),
        ("password", exposed(&swift.password)),
        ("applicationcredentialsecret", exposed(&swift.applicationcredentialsecret)),
        ("secretkey", exposed(&swift.secretkey)),
        ("tenant", swift.tenant.as_deref()),
        ("domain", swift.domain.as_deref()),
        ("tenantdomain", swift.tenantdomain.as_deref()),
        ("prefix", swift.prefix.as_deref()),
    ])?;
    section.chunksize(swift.chunksize, SEGMENTS)
}

fn oss(oss: &Oss, section: &Section<'_>) -> Result<(), ConfigError> {
    section.name_of("bucket", oss.bucket.as_deref())?;
    if oss.region.is_none() && oss.endpoint.is_none() {
        return section.fail(
            "region",
            "it must be set: write the region of the bucket, for example `oss-cn-beijing`, or the host of the store in `endpoint`",
        );
    }
    section.endpoint("endpoint", oss.endpoint.as_deref())?;
    section.pair(
        ("accesskeyid", oss.accesskeyid.is_some()),
        ("accesskeysecret", oss.accesskeysecret.is_some()),
        "or leave both out to use the credentials of the environment or the instance",
    )?;
    section.needs(
        ("securitytoken", oss.securitytoken.is_some()),
        ("accesskeyid", oss.accesskeyid.is_some()),
        "it goes with a temporary access key",
    )?;
    section.words(&[
        ("accesskeyid", oss.accesskeyid.as_deref()),
        ("accesskeysecret", exposed(&oss.accesskeysecret)),
        ("securitytoken", exposed(&oss.securitytoken)),
        ("region", oss.region.as_deref()),
        ("encryptionkeyid", oss.encryptionkeyid.as_deref()),
    ])?;
    section.lines(&[("rootdirectory", oss.rootdirectory.as_deref())])?;
    section.needs(
        ("encryptionkeyid", oss.encryptionkeyid.is_some()),
        ("encrypt: true", oss.encrypt),
        NO_ENCRYPTION,
    )?;
    section.chunksize(oss.chunksize, PARTS)
}

const NO_ENCRYPTION: &str = "without it nothing is encrypted with that key";

fn exposed(secret: &Option<Secret>) -> Option<&str> {
    secret.as_ref().map(Secret::expose)
}

fn is_proxy(text: &str) -> bool {
    let schemes = ["http://", "https://", "socks5://", "socks5h://"];
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && super::is_printable(rest))
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
}
