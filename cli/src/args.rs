use std::path::PathBuf;

use berth_client::ImageName;
use berth_registry::ContentName;
use clap::{Parser, Subcommand};

use crate::commands::administer::Common;
use crate::commands::audit::AuditOptions;
use crate::commands::backup::BackupCommand;
use crate::commands::export::ExportOptions;
use crate::commands::grant::GrantCommand;
use crate::commands::import::ImportOptions;
use crate::commands::organisation::OrganisationCommand;
use crate::commands::policy::PolicyCommand;
use crate::commands::robot::RobotCommand;
use crate::commands::scrub::ScrubOptions;
use crate::commands::team::TeamCommand;
use crate::commands::token::TokenCommand;
use crate::commands::user::UserCommand;

/// An OCI image registry in one binary.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
// The arguments of the one that is given alone are made.
#[command(defer = true)]
// There is one of it, and it is taken apart at once.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Command {
    /// Serve images: docker push and docker pull go here.
    ///
    /// With no configuration at all it listens on 127.0.0.1:5000 and keeps everything in
    /// ./berth-data. SIGTERM ends it in good order, SIGHUP makes it read its configuration again.
    Serve {
        /// The configuration file, in the format of registry:2. Any key can also be set by an
        /// environment variable: http.addr is REGISTRY_HTTP_ADDR.
        config: Option<PathBuf>,
    },
    /// Remove what no image needs any longer, now.
    ///
    /// A running berth does this by itself, all the time; this is for those who want to see it done.
    /// It is safe while the registry is in use. Blobs stay as long as they were promised to whoever
    /// pushed them (storage.maintenance.garbagecollection.lease), and their bytes for the grace
    /// period after that.
    #[command(name = "garbage-collect")]
    GarbageCollect {
        /// Only tell what would go.
        #[arg(long, short = 'd')]
        dry_run: bool,
        /// Delete manifests that no tag points to, first. Those of an index and of a subject that are
        /// there stay.
        #[arg(long, short = 'm')]
        delete_untagged: bool,
        /// Tell nothing but errors.
        #[arg(long, short = 'q')]
        quiet: bool,
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// Copy an image between two registries, with all platforms and all that is attached to it.
    ///
    /// What the target has already is left out, so a copy that broke off goes on where it was. Logins are
    /// those of `docker login` ($DOCKER_CONFIG, or ~/.docker/config.json).
    Copy {
        /// The image: `docker.io/library/alpine:3`, `localhost:5000/app@sha256:…`.
        source: ImageName,
        /// Where to.
        target: ImageName,
        /// Tell nothing but errors.
        #[arg(long, short = 'q')]
        quiet: bool,
    },
    /// Look at mirrors of other registries.
    Mirror {
        /// What to do.
        #[command(subcommand)]
        command: MirrorCommand,
    },
    /// Take over what registry:2 has stored, where it lies: no blob is copied.
    ///
    /// The old registry may go on meanwhile; run it again to take what has come since. It can be broken off and
    /// run again at any time. Whatever is odd is told, with what was done about it; the tree of the old registry
    /// stays as it is, but for damaged blobs, which go into quarantine (berth/quarantine).
    ///
    /// With --oci-layout images are copied from OCI image layouts instead.
    Import(ImportOptions),
    /// Write everything into a folder or a bucket as registry:2 keeps it, or one repository as an OCI image layout.
    ///
    /// A directory that Berth serves is a tree of registry:2 already; this is for blobs in an object store, and for
    /// moving on into one. It can be broken off and run again, and may run beside the registry.
    Export(ExportOptions),
    /// Rebuild the database from the storage.
    ///
    /// Names, tags, manifests and their times come from the link files beside the blobs. Where there is no database
    /// any more, the newest backup is restored first: accounts and grants are nowhere else.
    Reindex {
        /// Tell everything in JSON, an object a line.
        #[arg(long)]
        json: bool,
        /// Tell the summary alone.
        #[arg(long, short = 'q')]
        quiet: bool,
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// Look whether all stored blobs are what their digests say, and repair what can be repaired.
    ///
    /// Damaged blobs go into quarantine: they are not served, and a push repairs them, or one of the registries
    /// in storage.scrub.peers. Fails when damage is left.
    Scrub(ScrubOptions),
    /// Look after the backups of the database.
    Backup {
        #[command(subcommand)]
        command: BackupCommand,
        /// The configuration file.
        #[arg(long, short = 'c', value_name = "FILE", global = true)]
        config: Option<PathBuf>,
    },
    /// Delete a tag, a manifest with its tags and what is attached to it, or a whole repository.
    ///
    /// Deletion must be allowed (storage.delete.enabled). For storage.delete.undelete `berth restore`
    /// brings back what was deleted.
    Delete {
        /// What to delete.
        #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
        name: ContentName,
        /// Delete a whole repository without asking.
        #[arg(long, short = 'y')]
        yes: bool,
        /// The configuration file.
        #[arg(long, short = 'c', value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Bring back what was deleted last under a name, with all that went along.
    ///
    /// A tag that was set anew since is left alone. A manifest whose blobs were deleted one by one
    /// cannot be had back.
    Restore {
        /// What to bring back; with --list the repository to look at, or none for all.
        #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]", required_unless_present = "list")]
        name: Option<ContentName>,
        /// Only tell what can be had back, and until when.
        #[arg(long, short = 'l')]
        list: bool,
        /// The configuration file.
        #[arg(long, short = 'c', value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Delete the tags and the manifests that no retention policy keeps, now.
    ///
    /// A running berth does this by itself, at the interval policy.retention.interval. The policy is
    /// that of the configuration file that is named here, so that rules can be tried with --dry-run
    /// before they are in force.
    Retention {
        /// Only tell of every tag what would become of it, and why.
        #[arg(long, short = 'd')]
        dry_run: bool,
        /// Look at this repository alone.
        #[arg(long, value_name = "NAME")]
        repository: Option<String>,
        /// Tell everything in JSON, an object a line.
        #[arg(long)]
        json: bool,
        /// Tell the summary alone.
        #[arg(long, short = 'q')]
        quiet: bool,
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// Say who may log in.
    User {
        #[command(subcommand)]
        command: UserCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Say who belongs together, and below which name their repositories are.
    Organisation {
        #[command(subcommand)]
        command: OrganisationCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Say to whom in an organisation something is granted together.
    Team {
        #[command(subcommand)]
        command: TeamCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Look after programs that use the registry.
    Robot {
        #[command(subcommand)]
        command: RobotCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Look after access tokens, with which users and robots log in in place of a password.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Say who may do what.
    Grant {
        #[command(subcommand)]
        command: GrantCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Ask who may do what.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
        #[command(flatten)]
        common: Common,
    },
    /// Show who did what, the newest first.
    Audit {
        #[command(flatten)]
        options: AuditOptions,
        #[command(flatten)]
        common: Common,
    },
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    Containers(crate::engine::containers::ContainersCommand),
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    Images(crate::engine::images::ImagesCommand),
    /// Manage volumes
    #[cfg(target_os = "linux")]
    Volume {
        /// What to do.
        #[command(subcommand)]
        command: crate::engine::volumes::VolumeCommand,
    },
    /// Run containers at the lowest level, in the words of runc: `berth oci --help`.
    #[command(disable_help_flag = true)]
    Oci {
        /// What the runtime is told; it reads it by itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look after the database of names.
    Metadata {
        #[command(subcommand)]
        command: MetadataCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Copy the database into another one: from the embedded one to PostgreSQL, or back.
    ///
    /// The first pass runs while the registry is in use. Then the command waits until the registry
    /// is stopped, copies what has changed since, compares both databases, and hands over: the old
    /// one is not served any longer. It can be interrupted and run again at any time.
    Migrate {
        /// Where to: postgres://user:password@host:5432/database, or a file. The password may be in
        /// metadata.postgres.password, PGPASSWORD or the password file instead.
        #[arg(long)]
        to: String,
        /// Make the first pass alone, and do not wait for the registry to be stopped.
        #[arg(long)]
        online_only: bool,
        /// The configuration file, which names the database to copy.
        config: Option<PathBuf>,
    },
    /// Tell the database that its blobs are now where the configuration says.
    ///
    /// A database belongs to the blobs that it was first used with, and a replica that would look
    /// for them elsewhere is refused. After they have been copied to another place, run this once.
    Relocate {
        /// The configuration file.
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration file, the environment, and that the storage can be used.
    Check {
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// Print the configuration in force, defaults and environment included, secrets hidden.
    Show {
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
}

/// What can be done with mirrors.
#[derive(Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    /// Tell how much the upstreams still allow, and what was served, as the running berth knows it.
    Status {
        /// The configuration file.
        config: Option<PathBuf>,
    },
}
