use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::engine::options::{AsDocker, filter};

/// What can be done with images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImagesCommand {
    #[command(flatten)]
    Either(EitherCommand),
    /// List images.
    Images(AsDocker<ListArguments>),
    /// Remove one or more images.
    Rmi(AsDocker<RemoveArguments>),
    /// Authenticate to a registry.
    Login(AsDocker<LoginArguments>),
    /// Log out from a registry.
    Logout {
        /// The registry; Docker Hub, where none is named.
        #[arg(value_name = "SERVER")]
        server: Option<String>,
    },
    /// Manage images.
    Image {
        #[command(subcommand)]
        command: ImageCommand,
    },
}

/// The words after `berth image`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    #[command(flatten)]
    Either(EitherCommand),
    /// List images.
    #[command(visible_alias = "list")]
    Ls(AsDocker<ListArguments>),
    /// Remove one or more images.
    #[command(visible_alias = "remove")]
    Rm(AsDocker<RemoveArguments>),
    /// Display detailed information on one or more images.
    Inspect(AsDocker<InspectArguments>),
    /// Remove unused images.
    Prune(AsDocker<PruneArguments>),
}

/// The words that are the same with and without `image` before them.
#[derive(Debug, Subcommand)]
pub(crate) enum EitherCommand {
    /// Download an image from a registry.
    Pull(AsDocker<PullArguments>),
    /// Upload an image to a registry.
    Push(AsDocker<PushArguments>),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE.
    Tag {
        /// The image.
        #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
        source: String,
        /// Its new name.
        #[arg(value_name = "TARGET_IMAGE[:TAG]")]
        target: String,
    },
    /// Save one or more images to a tar archive (streamed to STDOUT by default).
    Save(AsDocker<SaveArguments>),
    /// Load an image from a tar archive or STDIN.
    Load(AsDocker<LoadArguments>),
    /// Show the history of an image.
    History(AsDocker<HistoryArguments>),
}

#[derive(Args, Debug)]
pub(crate) struct PullArguments {
    /// The image.
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub(super) name: String,
    /// Download all tagged images in the repository.
    #[arg(long, short = 'a')]
    pub(super) all_tags: bool,
    /// Set platform if the registry is multi-platform capable.
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
    /// Suppress verbose output.
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    /// Accepted as docker has it; what is signed is verified by the registry's policy.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(super) disable_content_trust: Option<bool>,
}

#[derive(Args, Debug)]
pub(crate) struct PushArguments {
    /// The image.
    #[arg(value_name = "NAME[:TAG]")]
    pub(super) name: String,
    /// Push all tags of an image to the repository.
    #[arg(long, short = 'a')]
    pub(super) all_tags: bool,
    /// Suppress verbose output.
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    /// Accepted as docker has it.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(super) disable_content_trust: Option<bool>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// A repository, or a name with a tag.
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(super) name: Option<String>,
    /// Show all images; ours have none that are hidden.
    #[arg(long, short = 'a')]
    pub(super) all: bool,
    /// Only show image IDs.
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    /// Show digests.
    #[arg(long)]
    pub(super) digests: bool,
    /// Don't truncate output.
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Filter output based on conditions provided: dangling, reference, label, before, since, until.
    #[arg(long, short = 'f', value_name = "FILTER", value_parser = filter)]
    pub(super) filter: Vec<String>,
    /// Format output: `table`, `json`, or a Go template.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// The images.
    #[arg(value_name = "IMAGE", required = true)]
    pub(super) images: Vec<String>,
    /// Force removal of the image.
    #[arg(long, short = 'f')]
    pub(super) force: bool,
    /// Accepted as docker has it: there are no untagged parents here.
    #[arg(long, hide = true)]
    pub(super) no_prune: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SaveArguments {
    /// The images.
    #[arg(value_name = "IMAGE", required = true)]
    pub(super) images: Vec<String>,
    /// Write to a file, instead of STDOUT.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct LoadArguments {
    /// Read from tar archive file, instead of STDIN.
    #[arg(long, short = 'i', value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// Suppress the load output.
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    /// Load only the given platform of an image index.
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryArguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Print sizes and dates in human readable format.
    #[arg(long, short = 'H', num_args = 0..=1, default_value_t = true, default_missing_value = "true",
          require_equals = true, action = clap::ArgAction::Set)]
    pub(super) human: bool,
    /// Don't truncate output.
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Only show image IDs.
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    /// Format output: `table`, `json`, or a Go template.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The images.
    #[arg(value_name = "IMAGE", required = true)]
    pub(super) images: Vec<String>,
    /// Format output: `json`, or a Go template.
    #[arg(long, short = 'f', value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Remove all unused images, not just dangling ones.
    #[arg(long, short = 'a')]
    pub(super) all: bool,
    /// Do not prompt for confirmation.
    #[arg(long, short = 'f')]
    pub(super) force: bool,
    /// Provide filter values: `until=<time>`, `label=<key>[=<value>]`, `label!=…`.
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub(super) filter: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct LoginArguments {
    /// The registry; Docker Hub, where none is named.
    #[arg(value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// Username.
    #[arg(long, short = 'u')]
    pub(super) username: Option<String>,
    /// Password.
    #[arg(long, short = 'p', conflicts_with = "password_stdin")]
    pub(super) password: Option<String>,
    /// Take the password from stdin.
    #[arg(long)]
    pub(super) password_stdin: bool,
}
