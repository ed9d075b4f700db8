use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};

use super::options::{Pooling, PostgresOptions};
use super::session::Session;
use crate::MetadataError;
use crate::fault::Fault;

/// The most time that opening a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A transaction of ours that has lost us must not hold its locks for long; and a statement that is
/// prepared is planned once, since all of ours go by the same indexes whatever they are asked.
const SETTINGS: &str = "
    SET idle_in_transaction_session_timeout = '60s';
    SET plan_cache_mode = force_generic_plan";

/// The servers of one database, of which one at a time takes writes.
#[derive(Debug)]
pub(super) struct Servers {
    hosts: Vec<PgConnectOptions>,
    role: Role,
    pooling: Pooling,
    /// The one that gave the last connection.
    last: AtomicUsize,
}

/// What a server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Reads and writes.
    Primary,
    /// Reads alone: it may follow another one.
    Standby,
}

impl Servers {
    /// The servers that `url` names.
    pub(super) fn new(
        url: &str,
        role: Role,
        options: &PostgresOptions,
    ) -> Result<Self, MetadataError> {
        let hosts = each_host(url)
            .iter()
            .map(|url| connect_options(url, options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { hosts, role, pooling: options.pooling, last: AtomicUsize::new(0) })
    }

    /// What messages call the database: where it is, and nothing secret.
    pub(super) fn name(&self) -> String {
        let host = |host: &PgConnectOptions| match host.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", host.get_host(), host.get_port()),
        };
        let hosts: Vec<String> = self.hosts.iter().map(host).collect();
        let first = self.hosts.first();
        let database = first.and_then(PgConnectOptions::get_database);
        let user = first.map(PgConnectOptions::get_username).unwrap_or_default();
        format!("{} at {} (user {user})", database.unwrap_or(user), hosts.join(", "))
    }

    pub(super) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Opens a connection to the first server that will do, beginning with the one that did last.
    pub(super) async fn connect(&self) -> Result<Session, Fault> {
        let begin = self.last.load(Ordering::Relaxed);
        let mut failure = Fault::Unavailable("no server is named".to_owned());
        for turn in 0..self.hosts.len() {
            let place = (begin + turn) % self.hosts.len();
            match tokio::time::timeout(CONNECT, self.connect_to(&self.hosts[place])).await {
                Ok(Ok(session)) => {
                    self.last.store(place, Ordering::Relaxed);
                    return Ok(session);
                }
                Ok(Err(fault)) => failure = fault,
                Err(_) => {
                    let reason = format!("no connection within {} s", CONNECT.as_secs());
                    failure = Fault::Unavailable(reason);
                }
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, host: &PgConnectOptions) -> Result<Session, Fault> {
        let mut connection = host.connect().await?;
        // In one message: a pooler by transaction may send two to two servers.
        let row = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await?;
        let follows: bool = row.try_get(0)?;
        if follows && self.role == Role::Primary {
            let reason = "the server is a standby, which takes no writes";
            return Err(Fault::Unavailable(reason.to_owned()));
        }
        let prepare = self.pooling == Pooling::Session;
        let mut session = Session::new(connection, prepare);
        if prepare {
            session.execute(SETTINGS).await?;
        }
        Ok(session)
    }
}

fn connect_options(
    url: &str,
    options: &PostgresOptions,
) -> Result<PgConnectOptions, MetadataError> {
    let mut parsed: PgConnectOptions = url.parse().map_err(|error| MetadataError::Connect {
        database: "of metadata.url".to_owned(),
        reason: format!(
            "the URL cannot be read ({}); write postgres://user:password@host:5432/database",
            plain(&error)
        ),
    })?;
    if let Some(password) = &options.password {
        parsed = parsed.password(password);
    }
    if parsed.get_application_name().is_none() {
        parsed = parsed.application_name("berth");
    }
    if options.pooling == Pooling::Transaction {
        parsed = parsed.statement_cache_capacity(0).extra_float_digits(None);
    }
    Ok(parsed.disable_statement_logging())
}

/// What is wrong with a URL, without the words that sqlx puts before it.
fn plain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(reason) => reason.to_string(),
        error => error.to_string(),
    }
}

/// One URL for each host of a URL that may name several, as libpq's may.
fn each_host(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let rest = without_session_attributes(rest);
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}{rest}")).collect()
}

/// A server that takes writes is what we look for in any case.
fn without_session_attributes(rest: &str) -> String {
    let Some((path, query)) = rest.split_once('?') else { return rest.to_owned() };
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !pair.starts_with("target_session_attrs=")).collect();
    match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_several_hosts_is_one_url_for_each() {
        assert_eq!(
            each_host(
                "postgres://u:p%40w@a:1,[::1]:2,c/d?sslmode=require&target_session_attrs=read-write"
            ),
            [
                "postgres://u:p%40w@a:1/d?sslmode=require",
                "postgres://u:p%40w@[::1]:2/d?sslmode=require",
                "postgres://u:p%40w@c/d?sslmode=require",
            ]
        );
        assert_eq!(each_host("postgres:///d?host=/run"), ["postgres:///d?host=/run"]);
        assert_eq!(each_host("postgres://a?target_session_attrs=any"), ["postgres://a"]);
        assert_eq!(each_host("nonsense"), ["nonsense"]);
    }

    #[test]
    fn the_name_of_a_database_tells_no_password() {
        let options = PostgresOptions::new("");
        let servers =
            Servers::new("postgres://me:secret@a:1,b:2/images", Role::Primary, &options).unwrap();
        assert_eq!(servers.name(), "images at a:1, b:2 (user me)");
    }
}
