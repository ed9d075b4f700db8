/// What a change has come to, and whether decisions may follow from something else since.
pub(crate) struct Outcome<T> {
    pub(crate) answer: T,
    pub(crate) is_changed: bool,
}

impl<T> Outcome<T> {
    /// Something is not as it was.
    pub(crate) fn changed(answer: T) -> Self {
        Self { answer, is_changed: true }
    }

    /// All is as it was.
    pub(crate) fn unchanged(answer: T) -> Self {
        Self { answer, is_changed: false }
    }
}

impl Outcome<bool> {
    /// True where a row was written or deleted.
    pub(crate) fn of_rows(affected: u64) -> Self {
        Self { answer: affected > 0, is_changed: affected > 0 }
    }
}
