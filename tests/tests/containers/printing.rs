//! What is said where nobody listens.

use std::fs::File;
use std::process::Stdio;

use anyhow::Result;

use crate::host::{Host, IMAGE, Ran};

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_command_whose_reader_is_gone_ends_by_sigpipe_and_says_nothing() -> Result<()> {
    let host = Host::new()?;
    let id = host.start(&["--name", "box"], "echo words")?;
    host.ok(&["wait", &id])?;
    for args in [
        &["inspect", IMAGE][..],
        &["ps", "-a"],
        &["ps", "-aq"],
        &["images"],
        &["history", IMAGE],
        &["logs", "box"],
        &["save", IMAGE],
        &["volume", "ls"],
        &["volume", "create"],
        &["volume", "prune", "-f"],
        &["rm", "box"],
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let ran = Ran::new(host.command(args)?.stdout(writer).output()?)?;
        assert_eq!((ran.code, ran.complained.as_str()), (-13, ""), "{args:?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn an_output_that_is_full_is_told_and_errors_that_cannot_be_told_end_nothing() -> Result<()> {
    let host = Host::new()?;
    let full = || File::options().write(true).open("/dev/full");
    for args in [&["ps", "-a"][..], &["inspect", IMAGE], &["images", "-q"], &["volume", "create"]] {
        let ran = Ran::new(host.command(args)?.stdout(full()?).output()?)?;
        let words = "berth: write to the standard output: No space left on device (os error 28)\n";
        assert_eq!((ran.code, ran.complained.as_str()), (1, words), "{args:?}");
    }
    for (args, said) in [
        (&["inspect", "nobody"][..], "[]\n"),
        (&["history", "nobody"], ""),
        (&["rm", "nobody"], ""),
    ] {
        for errors in [Stdio::from(full()?), closed()?] {
            let ran = Ran::new(host.command(args)?.stderr(errors).output()?)?;
            assert_eq!((ran.code, ran.said.as_str()), (1, said), "{args:?}");
        }
    }
    Ok(())
}

fn closed() -> Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}
