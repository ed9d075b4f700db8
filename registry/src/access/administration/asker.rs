use crate::access::Caller;

/// Whoever asks for something to be decided.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// Whoever runs commands on the machine, as the user that berth runs as.
    Operator,
    /// Whoever has made a request.
    Caller(Caller),
}

impl Asker {
    /// Who that is, for whoever reads it later.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::Caller(caller) => &caller.name,
        }
    }
}
