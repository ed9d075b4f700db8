use berth_oci::Tag;

/// What went wrong inside, before an engine explains it to the caller.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database or the way to it.
    Sql(sqlx::Error),
    /// A stored value cannot be read back.
    Malformed(&'static str),
    /// The database cannot be asked now, in words.
    Unavailable(String),
    /// Bytes at the place of a push are being removed, or were: the push has to look. What it did is
    /// undone.
    PlaceUnsure,
    /// The tag is immutable, or protected, and stands in the way. What was done is undone.
    TagStays(Tag),
    /// The store is shutting down.
    Closed,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}
