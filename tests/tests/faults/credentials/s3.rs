//! Amazon S3: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::any::Any;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::identity::{AwsIdentity, AwsKey};
use berth_test_stores::{Fault, FaultProxy, Moto, S3Access, VersityGateway};
use berth_tests::Launch;
use berth_tests::content::Blob;

use super::{Environment, check, run, text};
use crate::client::Client as _;
use berth_tests::refusal::fails;

const HOUR: Duration = Duration::from_secs(3600);

/// A store, a service that gives out the key to it, and the way to both.
struct Cloud {
    access: S3Access,
    identity: AwsIdentity,
    proxy: FaultProxy,
    token: &'static str,
    _server: Box<dyn Any>,
}

impl Cloud {
    /// Its store takes one key and checks every signature, but refuses all tokens of temporary keys, except an empty
    /// one.
    fn that_checks_signatures(lifetime: Duration) -> Result<Self> {
        let server = VersityGateway::start()?;
        Self::before(server.access().clone(), Box::new(server), "", lifetime)
    }

    /// Its store takes any key, so the token can be seen on its way.
    fn that_takes_tokens(lifetime: Duration) -> Result<Self> {
        let server = Moto::start()?;
        Self::before(server.access().clone(), Box::new(server), "berth-session-token", lifetime)
    }

    /// One of each.
    fn each() -> Result<[Self; 2]> {
        Ok([Self::that_checks_signatures(HOUR)?, Self::that_takes_tokens(HOUR)?])
    }

    fn before(
        access: S3Access,
        server: Box<dyn Any>,
        token: &'static str,
        lifetime: Duration,
    ) -> Result<Self> {
        let identity = AwsIdentity::start(AwsKey::of(&access, token, lifetime))?;
        let proxy = FaultProxy::start(&access.endpoint)?;
        Ok(Self { access, identity, proxy, token, _server: server })
    }

    /// The settings of the store, without credentials.
    fn store(&self) -> Environment<'static> {
        let access = &self.access;
        vec![
            ("REGISTRY_STORAGE", "s3".to_owned()),
            ("REGISTRY_STORAGE_S3_REGIONENDPOINT", self.proxy.endpoint()),
            ("REGISTRY_STORAGE_S3_REGION", access.region.clone()),
            ("REGISTRY_STORAGE_S3_BUCKET", access.bucket.clone()),
        ]
    }

    fn with(&self, variables: &[(&'static str, &str)]) -> Environment<'static> {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        self.store().into_iter().chain(variables).collect()
    }

    /// Whether the temporary key was asked for once, and signed what was sent to the store.
    fn was_asked_once(&self) -> Result<()> {
        let given = self.identity.given();
        ensure!(given == 1, "a key that is good for long was asked for {given} times");
        self.carries_the_token()
    }

    fn carries_the_token(&self) -> Result<()> {
        let requests = self.proxy.requests();
        ensure!(!requests.is_empty(), "nothing was asked of the store");
        for request in requests {
            // Readers show it in the address.
            let shown = request.query.contains(&format!("X-Amz-Security-Token={}", self.token));
            ensure!(request.session_token.as_deref() == Some(self.token) || shown, "{request:?}");
        }
        Ok(())
    }
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_takes_its_key_from_the_environment() -> Result<()> {
    for cloud in Cloud::each()? {
        check(&cloud.with(&[
            ("AWS_ACCESS_KEY_ID", &cloud.access.access_key),
            ("AWS_SECRET_ACCESS_KEY", &cloud.access.secret_key),
            ("AWS_SESSION_TOKEN", cloud.token),
        ]))?;
        cloud.carries_the_token()?;
    }
    let cloud = Cloud::that_checks_signatures(HOUR)?;
    let wrong = cloud.with(&[
        ("AWS_ACCESS_KEY_ID", &cloud.access.access_key),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
    ]);
    fails(&run(&wrong)?, &["SignatureDoesNotMatch", "storage.s3"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_is_where_the_settings_say_else_where_the_environment_says() -> Result<()> {
    let cloud = Cloud::that_checks_signatures(HOUR)?;
    let own = [
        ("REGISTRY_STORAGE_S3_ACCESSKEY", cloud.access.access_key.as_str()),
        ("REGISTRY_STORAGE_S3_SECRETKEY", &cloud.access.secret_key),
    ];
    let found = [
        ("AWS_ACCESS_KEY_ID", cloud.access.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &cloud.access.secret_key),
    ];
    for key in [own, found] {
        let mut environment = cloud.with(&key);
        environment.push(("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1".to_owned()));
        check(&environment)?;
        environment
            .retain(|(name, _)| !name.ends_with("ENDPOINT") && !name.starts_with("AWS_ENDPOINT"));
        for variable in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
            let mut environment = environment.clone();
            environment.push((variable, cloud.proxy.endpoint()));
            let told = check(&environment)?;
            ensure!(told.contains("uploads that nobody ends are found"), "{told}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_takes_its_key_from_a_profile() -> Result<()> {
    for cloud in Cloud::each()? {
        let home = tempfile::tempdir()?;
        let keys = format!(
            "aws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
            cloud.access.access_key, cloud.access.secret_key, cloud.token
        );
        let other = "aws_access_key_id = nobody\naws_secret_access_key = none\n";
        let file = home.path().join("keys");
        fs::write(&file, format!("[default]\n{other}[registry]\n{keys}"))?;
        let path = text(&file);
        let variables = [("AWS_PROFILE", "registry"), ("AWS_SHARED_CREDENTIALS_FILE", &path)];
        check(&cloud.with(&variables))?;
        let settings = [
            ("REGISTRY_STORAGE_S3_PROFILE", "registry"),
            ("REGISTRY_STORAGE_S3_CREDENTIALSCONFIGPATH", &path),
        ];
        check(&cloud.with(&settings))?;
        // The usual file, in which the usual profile is taken when nobody names one.
        fs::create_dir(home.path().join(".aws"))?;
        fs::write(home.path().join(".aws/credentials"), format!("[default]\n{keys}"))?;
        let home = text(home.path());
        check(&cloud.with(&[("HOME", &home), ("AWS_PROFILE", "default")]))?;
        check(&cloud.with(&[("HOME", &home)]))?;
        cloud.carries_the_token()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_takes_its_key_from_eks_pod_identity() -> Result<()> {
    for cloud in Cloud::each()? {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("token");
        fs::write(&file, cloud.identity.pod_token())?;
        let environment = cloud.with(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &cloud.identity.pod_endpoint()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &text(&file)),
        ]);
        check(&environment)?;
        cloud.was_asked_once()?;
        fs::write(&file, "of somebody else")?;
        fails(&run(&environment)?, &["storage.s3", "not for you"])?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_takes_its_key_from_the_container() -> Result<()> {
    for cloud in Cloud::each()? {
        // The address is the same everywhere: a proxy is the way to another machine.
        check(&cloud.with(&[
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", cloud.identity.container_path()),
            ("HTTP_PROXY", &cloud.identity.endpoint()),
            ("NO_PROXY", "127.0.0.1"),
        ]))?;
        cloud.was_asked_once()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_does_not_ask_the_proxy_of_the_store_for_its_key() -> Result<()> {
    let cloud = Cloud::that_takes_tokens(HOUR)?;
    // A proxy of the whole environment would give the key, as the test before shows.
    let output = run(&cloud.with(&[
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", cloud.identity.container_path()),
        ("REGISTRY_STORAGE_S3_PROXY", &cloud.identity.endpoint()),
    ]))?;
    // What is at the container's address here, if anything is, has no key.
    fails(&output, &["storage.s3", "169.254.170.2"])?;
    ensure!(cloud.identity.given() == 0, "the proxy was asked");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_takes_its_key_from_irsa() -> Result<()> {
    for cloud in Cloud::each()? {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("token");
        fs::write(&file, cloud.identity.pod_token())?;
        let environment = cloud.with(&[
            ("AWS_ROLE_ARN", cloud.identity.role_arn()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &text(&file)),
            ("AWS_ENDPOINT_URL_STS", &cloud.identity.sts_endpoint()),
            ("REGISTRY_STORAGE_S3_CA", &text(&cloud.identity.authority())),
        ]);
        check(&environment)?;
        cloud.was_asked_once()?;
        fs::write(&file, "of somebody else")?;
        fails(&run(&environment)?, &["storage.s3", "AccessDenied"])?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_takes_its_key_from_the_machine() -> Result<()> {
    for cloud in Cloud::each()? {
        check(&cloud.with(&[("AWS_METADATA_ENDPOINT", &cloud.identity.endpoint())]))?;
        cloud.was_asked_once()?;
        // At the fixed address too.
        let proxy = [("HTTP_PROXY", &*cloud.identity.endpoint()), ("NO_PROXY", "127.0.0.1")];
        check(&cloud.with(&proxy))?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn s3_asks_for_another_key_when_its_own_ends() -> Result<()> {
    let cloud = Cloud::that_takes_tokens(Duration::ZERO)?;
    let mut launch = Launch::remote("s3", &[])?;
    for (name, value) in cloud.with(&[("AWS_METADATA_ENDPOINT", &cloud.identity.endpoint())]) {
        launch = launch.env(name, value);
    }
    let server = launch.env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true").start()?;
    let (first, second) = (Blob::random(1, 10_000), Blob::random(2, 10_000));
    server.push_blob("a/b", &first)?.expect(201)?;
    cloud.carries_the_token()?;
    // What the store would refuse by now.
    cloud.proxy.next_where(Fault::Status(403), usize::MAX, |seen| {
        seen.session_token.as_deref() != Some("the next")
    });
    cloud.identity.give(AwsKey::of(&cloud.access, "the next", HOUR));
    server.push_blob("a/b", &second)?.expect(201).context("with the next key")?;
    for blob in [&first, &second] {
        server.expect_blob("a/b", blob)?;
    }
    let given = cloud.identity.given();
    ensure!(given == 1, "a key that is good for long was asked for {given} times");
    server.stop()
}
