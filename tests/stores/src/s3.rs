//! What a client of an S3 server needs to know.

/// Where an S3 server is and who may use it. Buckets are addressed by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Access {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket that exists.
    pub bucket: String,
    /// The key id of the one user.
    pub access_key: String,
    /// The secret of the one user.
    pub secret_key: String,
}

impl S3Access {
    pub(crate) fn new(port: u16) -> Self {
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            region: "us-east-1".to_owned(),
            bucket: "berth".to_owned(),
            access_key: "berth-access-key".to_owned(),
            secret_key: "berth-secret-key".to_owned(),
        }
    }
}
