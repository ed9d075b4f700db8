//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // At an address of its own choice a program has 200 pages and more to correct before it begins, and these are then
    // no longer those of the file. Every container has a monitor that would keep them: most of what a monitor takes.
    // Libraries, heap and stack are where chance has it as before.
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
