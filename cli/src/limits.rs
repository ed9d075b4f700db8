use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer open files than this are too few for a busy registry: a connection and a blob take one
/// each.
const COMFORTABLE: u64 = 16_384;

/// Raises the limit of open files as far as the system allows without asking. Gives a line for the
/// operator when that is little.
pub(crate) fn raise_open_files() -> Option<String> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let current = current.filter(|current| *current < COMFORTABLE)?;
    Some(format!(
        "only {current} files can be open at a time; raise the limit (ulimit -n, LimitNOFILE=) to {COMFORTABLE} or more for heavy use"
    ))
}
