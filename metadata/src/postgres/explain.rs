use crate::MetadataError;
use crate::fault::Fault;

/// What a fault means for the work that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection is of no use any longer.
    Broken,
    /// The server undid the transaction because of another one: it can be tried again.
    Conflict,
    /// Anything else.
    Other,
}

pub(super) fn kind(fault: &Fault) -> Kind {
    let Fault::Sql(error) = fault else { return Kind::Other };
    let Some(code) = state(error) else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Kind::Broken,
            _ => Kind::Other,
        };
    };
    match &*code {
        // Serialization, deadlock, and a row that another transaction has taken away since it was
        // looked at.
        "40001" | "40P01" | "23503" => Kind::Conflict,
        // The server has become one that others write to, or goes down.
        "25006" | "57P01" | "57P02" | "57P03" => Kind::Broken,
        code if code.starts_with("08") => Kind::Broken,
        _ => Kind::Other,
    }
}

/// The fault as it is told to others who waited for the same answer.
pub(super) fn shared(fault: &Fault) -> Fault {
    match fault {
        Fault::Sql(error) => Fault::Unavailable(reason(error)),
        Fault::Malformed(what) => Fault::Malformed(what),
        Fault::Unavailable(reason) => Fault::Unavailable(reason.clone()),
        Fault::PlaceUnsure => Fault::PlaceUnsure,
        Fault::TagStays(tag) => Fault::TagStays(tag.clone()),
        Fault::Closed => Fault::Closed,
    }
}

/// The outcome that a caller of the open store sees.
pub(crate) fn explain(fault: Fault) -> MetadataError {
    let error = match fault {
        Fault::Malformed(what) => return MetadataError::Malformed { what },
        Fault::Closed => return MetadataError::Closed,
        Fault::Unavailable(reason) => return MetadataError::Unavailable { reason },
        Fault::PlaceUnsure => {
            let reason = "bytes at this place are being removed".to_owned();
            return MetadataError::Unavailable { reason };
        }
        // Told as an answer where it is met.
        Fault::TagStays(_) => return MetadataError::Malformed { what: "tag" },
        Fault::Sql(error) => error,
    };
    let reason = reason(&error);
    match state(&error).as_deref() {
        Some("53100") => MetadataError::NoSpace,
        // Out of memory or connections, interrupted, broken I/O, a conflict time and again.
        Some(code) if ["53", "57", "58", "08", "40", "25"].iter().any(|c| code.starts_with(c)) => {
            MetadataError::Unavailable { reason }
        }
        Some(_) => MetadataError::Database(reason),
        None => MetadataError::Unavailable { reason },
    }
}

/// The outcome while the store is being opened: what is in the way then is in the configuration.
pub(super) fn explain_opening(fault: Fault, database: &str) -> MetadataError {
    let advice = match &fault {
        Fault::Sql(error) => advice(error),
        _ => "",
    };
    match explain(fault) {
        MetadataError::Unavailable { reason } | MetadataError::Database(reason) => {
            MetadataError::Connect {
                database: database.to_owned(),
                reason: format!("{reason}{advice}"),
            }
        }
        error => error,
    }
}

fn advice(error: &sqlx::Error) -> &'static str {
    match state(error).as_deref() {
        Some("28P01") => {
            "; check the user and the password in metadata.url, metadata.postgres.password, PGPASSWORD or the password file"
        }
        Some("28000") => {
            "; check the user in metadata.url, and what the server's pg_hba.conf asks of it"
        }
        Some("3D000") => "; create it (createdb), or correct the name in metadata.url",
        Some("42501") => {
            "; the user must own the database, or be allowed to create tables in its schema"
        }
        Some("53300") => {
            "; raise the server's max_connections, or lower metadata.postgres.connections"
        }
        Some(_) => "",
        None if is_of_tls(error) => {
            "; check sslmode and sslrootcert in metadata.url: the certificate must be of an authority that is trusted, for this host"
        }
        None => match error {
            sqlx::Error::Io(_) => {
                "; check the host and the port in metadata.url, and that the server runs and listens there"
            }
            _ => "",
        },
    }
}

/// What is wrong with a certificate comes as data that cannot be used.
fn is_of_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// The SQLSTATE. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn state(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
