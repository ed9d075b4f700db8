//! What can be wrong with a template.

/// In Go's words, with docker's before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is none.
    #[error("template parsing error: template: :{line}: {reason}")]
    Parse {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// It does not fit the data.
    #[error(
        "template parsing error: template: :{line}:{column}: executing \"\" at <{at}>: {reason}"
    )]
    Render {
        /// Where, from 1.
        line: usize,
        /// Where, from 0.
        column: usize,
        /// What was being evaluated.
        at: String,
        /// What is wrong.
        reason: String,
    },
}
