//! How the program is linked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        stay_where_linked();
        include_unwinder();
    }
}

/// At an address of its own choice a program has 200 pages and more to correct before it begins, and these are then no
/// longer those of the file. Every container has a monitor that would keep them: most of what a monitor takes.
/// Libraries, heap and stack are where chance has it as before.
fn stay_where_linked() {
    println!("cargo::rustc-link-arg-bins=-no-pie");
}

/// What unwinds the stack is a library of the compiler's. To find, map and initialise it takes a tenth of a millisecond at
/// every start, so it is made a part of the program where the compiler has it in that form, too.
fn include_unwinder() {
    // Another target's compiler has another name.
    if env::var_os("HOST") != env::var_os("TARGET") {
        return;
    }
    let (Some(unwinder), Some(rest), Some(folder)) =
        (compiler_file("libgcc_eh.a"), compiler_file("libgcc.a"), env::var_os("OUT_DIR"))
    else {
        return;
    };
    // The name that the linker looks for, found before the shared one.
    let script = format!("GROUP ( {} {} )\n", unwinder.display(), rest.display());
    if fs::write(Path::new(&folder).join("libgcc_s.so"), script).is_ok() {
        println!("cargo::rustc-link-search=native={}", Path::new(&folder).display());
    }
}

/// The path of one of the C compiler's own libraries. A compiler that does not have it repeats the name.
fn compiler_file(name: &str) -> Option<PathBuf> {
    let output = Command::new("cc").arg(format!("-print-file-name={name}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    path.is_absolute().then_some(path)
}
