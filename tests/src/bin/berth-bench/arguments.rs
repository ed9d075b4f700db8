use std::path::PathBuf;

use clap::Parser;

use crate::rows::Row;

/// Run the same work against Berth and its peers, and write down what it took
#[derive(Debug, Parser)]
#[command(name = "berth-bench")]
pub(crate) struct Arguments {
    /// The release build of berth
    #[arg(long)]
    pub(crate) berth: PathBuf,
    /// The `registry` of distribution 3
    #[arg(long)]
    pub(crate) distribution3: Option<PathBuf>,
    /// Another registry that already runs: NAME=http://ADDRESS:PORT
    #[arg(long = "peer", value_name = "NAME=URL")]
    pub(crate) peers: Vec<String>,
    /// Small sizes and one round, to see that everything works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this row; other rows keep the numbers that they have
    #[arg(long, value_name = "ROW")]
    pub(crate) only: Vec<Row>,
    /// Measure nothing, only write the page again from the numbers that are there
    #[arg(long)]
    pub(crate) render: bool,
    /// Where the page and the numbers go
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Where the servers keep their data; this is the disk that is measured
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// Where the prepared databases are kept
    #[arg(long)]
    pub(crate) cache: PathBuf,
}

impl Arguments {
    pub(crate) fn rows(&self) -> Vec<Row> {
        Row::ALL.into_iter().filter(|row| self.only.is_empty() || self.only.contains(row)).collect()
    }
}
