//! Certificates of clients.

use std::fs;

use anyhow::{Result, ensure};
use berth_tests::authority::{Authority, Trust};

use crate::Tls;
use crate::connection::ask;

/// A registry that takes clients of an authority, with some policy.
fn start(policy: &str) -> Result<(Tls, Authority)> {
    let clients = Authority::new("clients")?;
    let tls = Tls::start_with(|servers, folder, launch| {
        let file = folder.path().join("clients.crt");
        fs::write(&file, clients.certificate())?;
        let reader = Trust { identity: Some(clients.client("reader")?), ..servers.trust() };
        let pair = servers.server()?.write(folder.path(), "server")?;
        Ok(launch
            .tls(&pair, reader)
            .env("REGISTRY_HTTP_TLS_CLIENTCAS_0", file)
            .env("REGISTRY_HTTP_TLS_CLIENTAUTH", policy))
    })?;
    Ok((tls, clients))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_client_of_the_authority_is_let_in_and_no_other_one() -> Result<()> {
    for policy in ["require-and-verify-client-cert", "verify-client-cert-if-given"] {
        let (tls, clients) = start(policy)?;
        let (server, foreign) = (tls.server.address(), Authority::new("clients")?);
        let with = |identity| Trust { identity, ..tls.authority.trust() };
        ensure!(ask(server, &with(Some(clients.client("a")?)))? == 200);
        for stranger in [foreign.client("a")?, clients.expired_client("a")?] {
            ensure!(ask(server, &with(Some(stranger))).is_err(), "{policy}: a stranger came in");
        }
        let anonymous = ask(server, &with(None));
        let may_be_anonymous = policy == "verify-client-cert-if-given";
        ensure!(anonymous.is_ok() == may_be_anonymous, "{policy}: {anonymous:?}");
        tls.server.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_authority_that_is_not_trusted_any_more_lets_nobody_in() -> Result<()> {
    let (tls, old) = start("require-and-verify-client-cert")?;
    let (server, new) = (tls.server.address(), Authority::new("clients")?);
    let with = |issued| Trust { identity: Some(issued), ..tls.authority.trust() };
    let (of_old, of_new) = (with(old.client("a")?), with(new.client("a")?));
    ensure!(ask(server, &of_old)? == 200);
    fs::write(tls.folder.path().join("clients.crt"), new.certificate())?;
    berth_tests::wait::until("the new authority is trusted", || Ok(ask(server, &of_new).is_ok()))?;
    ensure!(ask(server, &of_old).is_err(), "the old authority's client came in");
    // The reader of this test is of the old authority; the server ends all the same.
    tls.server.stop()
}
