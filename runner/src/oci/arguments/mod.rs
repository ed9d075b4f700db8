//! The command line, in the words of runc, which engines pass.

mod plain;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const ROOT: &str = "/run/berth/oci";
const SIGNAL: &str = "TERM";

/// An OCI runtime.
#[derive(Debug, Parser, PartialEq)]
#[command(name = "berth oci", version, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// Reads the words of the command line, the program's name first.
    ///
    /// # Errors
    ///
    /// What is wrong with them; help and the version are errors, too.
    pub(super) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        plain::read(words).map_or_else(|| Self::try_parse_from(words), Ok)
    }
}

/// Before the command.
#[derive(Args, Debug, PartialEq)]
pub(super) struct Global {
    /// Where the state of containers is kept; it should not outlive a start of the machine.
    #[arg(long, default_value = ROOT, value_name = "DIRECTORY")]
    pub(super) root: PathBuf,
    /// Where errors are told besides the standard error.
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// How they are told there.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    /// Accepted: there is no more to tell than is told.
    #[arg(long)]
    pub(super) debug: bool,
    /// Refused: cgroups are made in the file system, not by systemd.
    #[arg(long)]
    pub(super) systemd_cgroup: bool,
    /// Only `false` and `auto` are accepted: the runtime needs root.
    #[arg(long, value_name = "BOOLEAN")]
    pub(super) rootless: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// The arguments of the one that is given alone are made: for all of them it takes twice as long to read the words.
#[derive(Debug, PartialEq, Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Make a container; its process waits for `start`.
    Create(Create),
    /// Let the process of a container that was created run.
    Start { id: String },
    /// Create a container, start it, wait for its end, and delete it.
    Run(Run),
    /// Tell what a container is, in JSON.
    State { id: String },
    /// Send a signal to the process of a container.
    Kill {
        /// Send it to all processes of the container.
        #[arg(long, short)]
        all: bool,
        id: String,
        /// A name or a number.
        #[arg(default_value = SIGNAL)]
        signal: String,
    },
    /// Remove what is left of a container.
    Delete {
        /// Kill it first if it still runs; that it is not there is no error.
        #[arg(long, short)]
        force: bool,
        id: String,
    },
    /// Run another process in a container.
    Exec(Exec),
    /// Tell which containers there are.
    List {
        #[arg(long, short, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// Only their ids.
        #[arg(long, short)]
        quiet: bool,
    },
    /// Tell which processes are in a container.
    Ps {
        #[arg(long, short, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        id: String,
        /// Options for ps(1), in place of -ef.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PS OPTIONS")]
        options: Vec<String>,
    },
    /// Tell what a container uses, again and again, and when the kernel killed one of its processes
    /// for its memory.
    Events {
        /// How often, as in 5s or 500ms.
        #[arg(long, default_value = "5s")]
        interval: String,
        /// Once.
        #[arg(long)]
        stats: bool,
        id: String,
    },
    /// Stop all processes of a container where they are.
    Pause { id: String },
    /// Let them go on.
    Resume { id: String },
    /// Change what a container may use.
    Update(Update),
    /// Tell what this runtime can do, in JSON.
    Features,
    /// Write a config.json to begin with.
    Spec {
        /// The folder to write it into.
        #[arg(long, short, value_name = "DIRECTORY")]
        bundle: Option<PathBuf>,
    },
}

/// What `create` and `run` have in common.
#[derive(Args, Debug, PartialEq)]
pub(super) struct Bundle {
    /// The folder that has config.json and the root of the container.
    #[arg(long, short, value_name = "DIRECTORY", default_value = ".")]
    pub(super) bundle: PathBuf,
    /// Read the configuration from here, which may be a pipe, in place of the bundle's config.json.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) process: ProcessOptions,
    /// A file to mount the process on before it begins: by it whoever is not its parent knows how it ended.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) pin_file: Option<PathBuf>,
    /// Change the root with chroot, as a root in memory at the start of the machine needs.
    #[arg(long)]
    pub(super) no_pivot: bool,
    /// Keep the session keyring of the caller.
    #[arg(long)]
    pub(super) no_new_keyring: bool,
    pub(super) id: String,
}

/// How the process is tied to whoever started it.
#[derive(Args, Debug, Default, PartialEq)]
pub(super) struct ProcessOptions {
    /// A Unix socket to which the terminal of the process is sent.
    #[arg(long, value_name = "SOCKET")]
    pub(super) console_socket: Option<PathBuf>,
    /// Where to write the process id.
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on the process gets.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) preserve_fds: u32,
}

#[derive(Args, Debug, PartialEq)]
pub(super) struct Create {
    #[command(flatten)]
    pub(super) bundle: Bundle,
}

#[derive(Args, Debug, PartialEq)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) bundle: Bundle,
    /// Do not wait for its end, and leave it there.
    #[arg(long, short)]
    pub(super) detach: bool,
    /// Leave what is left of it there when it has ended.
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Args, Debug, Default, PartialEq)]
pub(super) struct Exec {
    #[command(flatten)]
    pub(super) options: ProcessOptions,
    /// The process in JSON, as config.json has it; the other options add to it.
    #[arg(long, short, value_name = "FILE")]
    pub(super) process: Option<PathBuf>,
    /// The working directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) cwd: Option<PathBuf>,
    /// A variable of the environment.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// Give it a terminal.
    #[arg(long, short)]
    pub(super) tty: bool,
    /// Who it runs as, in numbers.
    #[arg(long, short, value_name = "UID[:GID]")]
    pub(super) user: Option<String>,
    /// Groups it belongs to besides.
    #[arg(long, short = 'g', value_name = "GID")]
    pub(super) additional_gids: Vec<u32>,
    /// Do not wait for its end.
    #[arg(long, short)]
    pub(super) detach: bool,
    /// A capability it has besides those of the container.
    #[arg(long, short, value_name = "CAPABILITY")]
    pub(super) cap: Vec<String>,
    /// It and what it starts gain no privileges by executing files.
    #[arg(long)]
    pub(super) no_new_privs: bool,
    /// Its AppArmor profile.
    #[arg(long, value_name = "PROFILE")]
    pub(super) apparmor: Option<String>,
    /// Its SELinux label.
    #[arg(long, value_name = "LABEL")]
    pub(super) process_label: Option<String>,
    /// Go on although the container is paused; the process begins when it is resumed.
    #[arg(long)]
    pub(super) ignore_paused: bool,
    pub(super) id: String,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<String>,
}

#[derive(Args, Debug, PartialEq)]
pub(super) struct Update {
    /// The resources in JSON, as config.json has them; - is the standard input.
    #[arg(long, short, value_name = "FILE")]
    pub(super) resources: Option<PathBuf>,
    #[command(flatten)]
    pub(super) limits: Limits,
    pub(super) id: String,
}

/// Resources one by one.
#[derive(Args, Debug, PartialEq)]
pub(super) struct Limits {
    /// The weight of its block I/O, 10 to 1000.
    #[arg(long)]
    pub(super) blkio_weight: Option<u16>,
    /// The length of a period in microseconds.
    #[arg(long)]
    pub(super) cpu_period: Option<u64>,
    /// The microseconds that it may run in a period; -1 is no limit.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) cpu_quota: Option<i64>,
    /// Its weight where processors are short.
    #[arg(long, visible_alias = "cpu-share")]
    pub(super) cpu_shares: Option<u64>,
    /// The processors it may run on.
    #[arg(long)]
    pub(super) cpuset_cpus: Option<String>,
    /// The memory nodes it may use.
    #[arg(long)]
    pub(super) cpuset_mems: Option<String>,
    /// The bytes of memory it may use; -1 is no limit.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) memory: Option<i64>,
    /// The bytes it is pushed back to when memory is short.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) memory_reservation: Option<i64>,
    /// The bytes of memory and swap together; -1 is no limit.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) memory_swap: Option<i64>,
    /// How many processes it may have; -1 is no limit.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) pids_limit: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    Json,
}
