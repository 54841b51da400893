//! Tells the program which compiler has made it, as counts of instructions hold for one version alone,
//! and for what, as crates for other systems need not be downloaded.

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output();
    let version = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    // An incremental build cuts crates into more pieces, and so optimises them otherwise.
    println!("cargo:rerun-if-env-changed=CARGO_INCREMENTAL");
    let incremental = std::env::var("CARGO_INCREMENTAL").is_ok_and(|value| value == "1");
    let incremental = if incremental { ", incremental" } else { "" };
    let version = version.as_deref().unwrap_or("unknown").trim();
    println!("cargo:rustc-env=EMBER_BENCH_RUSTC={version}{incremental}");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=EMBER_BENCH_TARGET={target}");
    println!("cargo:rerun-if-changed=build.rs");
}
