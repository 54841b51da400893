//! What each piece of `micro` executes, compared with what is kept in `instructions.toml`.
//!
//! Callgrind counts the instructions of a piece and its calls of the allocator; neither depends on
//! what else the machine does. They do depend on the compiler, the processor's features and the C
//! library, so the file says what it was made with, and on another machine nothing is compared.

use crate::folder::Folder;
use crate::process::Measured;
use crate::{Options, Result, table};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");

/// How often a piece runs before it is counted, and how often it is.
const WARM: usize = 5;
const TIMES: usize = 50;

/// By how much a count may differ from what is kept, as a part of it.
const TOLERANCE: f64 = 0.03;

/// Counts; fails where a count is not what is kept, unless `--bless` keeps what was counted.
pub(crate) fn measure(options: &Options) -> Result {
    if cfg!(debug_assertions) {
        return Err("instructions are counted of a release build: `cargo run --release`".into());
    }
    let machine = machine();
    if !options.bless {
        let kept: Kept = toml::from_str(&fs::read_to_string(FILE)?)?;
        if kept.machine != machine {
            println!("skipped: the counts were made with {}, and this is {machine}", kept.machine);
            return Ok(());
        }
        return compare(&kept.pieces, &count()?);
    }
    let mut text = "# What each piece executes, and how often it calls the allocator: `cargo run --release -- instructions`\n\
                    # compares, and `--bless` writes this file.\n"
        .to_owned();
    write!(text, "machine = \"{machine}\"\n\n[pieces]\n")?;
    for (name, Count { instructions, allocations }) in count()? {
        writeln!(
            text,
            "\"{name}\" = {{ instructions = {instructions:.1}, allocations = {allocations:.2} }}"
        )?;
    }
    fs::write(FILE, text)?;
    println!("{FILE} is written");
    Ok(())
}

/// The role of what is counted: all pieces, one after another.
pub(crate) fn child() -> Result {
    for micro in micro::all() {
        let mut work = (micro.ready)();
        (0..WARM).for_each(|_| work());
        counted_from_here(&mut work);
        counted_until_here(micro.name);
    }
    Ok(())
}

/// What is kept.
#[derive(Deserialize)]
struct Kept {
    machine: String,
    pieces: BTreeMap<String, Count>,
}

/// What a piece takes, once.
#[derive(Clone, Copy, Deserialize)]
struct Count {
    instructions: f64,
    allocations: f64,
}

/// What the counts depend on.
fn machine() -> String {
    let library = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let library = library.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let library = library.as_deref().map_or("another C library", str::trim);
    format!("{}, {}, {library}", env!("EMBER_BENCH_RUSTC"), processor())
}

#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    // What memchr, hashes and the C library look for; valgrind shows no later extensions.
    match std::arch::is_x86_feature_detected!("avx2") {
        true => "x86_64 with AVX2",
        false => "x86_64",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}

fn compare(kept: &BTreeMap<String, Count>, counted: &[(String, Count)]) -> Result {
    let (mut rows, mut different) = (Vec::new(), Vec::new());
    for (name, count) in counted {
        let before = kept.get(name);
        let change = |now: f64, before: Option<f64>| match before {
            Some(before) if before == now => "0.0 %".to_owned(),
            Some(before) => format!("{:+.1} %", (now / before - 1.0) * 100.0),
            None => "new".to_owned(),
        };
        let (instructions, allocations) = (count.instructions, count.allocations);
        let instructions_before = before.map(|before| before.instructions);
        let allocations_before = before.map(|before| before.allocations);
        rows.push(vec![
            name.clone(),
            format!("{instructions:.0}"),
            change(instructions, instructions_before),
            format!("{allocations:.2}"),
            change(allocations, allocations_before),
        ]);
        if !is_near(instructions, instructions_before) || !is_near(allocations, allocations_before)
        {
            different.push(name.as_str());
        }
    }
    let columns = ["piece", "instructions", "change", "allocations", "change"];
    table::print("Instructions and calls of the allocator", &columns, &rows);
    let names: HashSet<_> = counted.iter().map(|(name, _)| name).collect();
    different.extend(kept.keys().filter(|name| !names.contains(name)).map(String::as_str));
    if different.is_empty() {
        return Ok(());
    }
    let different = different.join(", ");
    let message = format!(
        "more than {} % from what is kept: {different}; \
         `cargo run --release -- instructions --bless` keeps what was counted now",
        TOLERANCE * 100.0
    );
    Err(message.into())
}

fn is_near(now: f64, before: Option<f64>) -> bool {
    before.is_some_and(|before| (now - before).abs() <= before * TOLERANCE)
}

/// Runs all pieces in one process, of which callgrind writes a profile for each.
fn count() -> Result<Vec<(String, Count)>> {
    let folder = Folder::new()?;
    let profile = folder.path().join("profile");
    let options = [
        format!("--callgrind-out-file={}", profile.display()),
        "--zero-before=*counted_from_here*".to_owned(),
        "--dump-before=*counted_until_here*".to_owned(),
        "--dump-line=no".to_owned(),
    ];
    Measured::start_in_callgrind(&options, &["micro"])?.counted()?;
    let read = |(number, micro): (usize, micro::Micro)| {
        let dump = profile.with_extension((number + 1).to_string());
        let text = fs::read_to_string(&dump)
            .map_err(|error| format!("there is no profile of {}: {error}", micro.name))?;
        let (instructions, allocations) = sums(&text).ok_or("a profile cannot be read")?;
        let each = |sum: u64| sum as f64 / TIMES as f64;
        let count = Count { instructions: each(instructions), allocations: each(allocations) };
        Ok((micro.name.to_owned(), count))
    };
    micro::all().enumerate().map(read).collect()
}

/// Instructions, and calls of the allocator, by the format of callgrind's profiles: a name is told
/// with a number where it first appears, and the number stands for it from then on.
fn sums(profile: &str) -> Option<(u64, u64)> {
    const ALLOCATE: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];
    let (mut instructions, mut allocations) = (None, 0);
    let (mut allocators, mut is_allocator) = (HashSet::new(), false);
    for line in profile.lines() {
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        match key {
            "fn" | "cfn" => {
                let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                if ALLOCATE.contains(&name) {
                    allocators.insert(number);
                }
                is_allocator = key == "cfn" && allocators.contains(number);
            }
            "calls" if is_allocator => {
                allocations += value.split(' ').next()?.parse::<u64>().ok()?;
            }
            "summary" | "totals" => instructions = value.trim().parse().ok().or(instructions),
            _ => {}
        }
    }
    Some((instructions?, allocations))
}

/// Callgrind knows it by its name, and begins to count.
#[inline(never)]
fn counted_from_here(work: &mut micro::Work) {
    for _ in 0..TIMES {
        work();
    }
}

/// Callgrind writes what it has counted.
#[inline(never)]
fn counted_until_here(name: &str) {
    std::hint::black_box(name);
}
