//! The house: who may know whom.
//!
//! The modules of `lib.rs`, and of each `mod.rs`, are declared in the order in which they may
//! know each other. A line that uses a module which is declared below, or a wing that its own
//! may not know, fails here. Tests within a file are not looked at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each wing may know beside itself.
const WINGS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("store", &["base"]),
    ("llm", &["base", "store"]),
    ("web", &["base", "store"]),
    ("ai", &["base", "store", "llm", "web"]),
    ("app", &["base", "store", "llm", "web", "ai"]),
    ("testing", &["base", "llm", "web", "app"]),
    ("__private", &["base", "llm", "web", "ai"]),
];

/// The house as it stands in the files.
struct House {
    /// For each folder or file with modules, by its path of names: the names below, in order.
    order: BTreeMap<Vec<String>, Vec<String>>,
    /// Each file: the path of names of its module, and its text without tests.
    files: Vec<(Vec<String>, String)>,
}

#[test]
fn no_module_reaches_up() {
    let house = House::read();
    let declared: Vec<_> = house.order[&Vec::new()].iter().map(String::as_str).collect();
    assert_eq!(
        declared,
        WINGS.iter().map(|(wing, _)| *wing).collect::<Vec<_>>(),
        "the wings of lib.rs"
    );
    let mut faults = Vec::new();
    for (module, text) in house.files.iter().filter(|(module, _)| !module.is_empty()) {
        for used in used_paths(module, text) {
            if let Some(fault) = house.fault(module, &used) {
                faults.push(format!("{} uses {}: {fault}", module.join("::"), used.join("::")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_fault_is_found() {
    let house = House::read();
    let path = |text: &str| -> Vec<String> { text.split("::").map(str::to_owned).collect() };
    let fault = |module: &str, used: &str| house.fault(&path(module), &path(used));
    assert!(fault("llm::client", "web::Request").is_some(), "another wing");
    assert!(fault("llm::client", "Request").is_some(), "another wing by a name of the root");
    assert!(fault("llm::message", "llm::client::Client").is_some(), "a module further down");
    assert!(
        fault("web::router::path", "web::router::tree").is_some(),
        "a module further down, in a folder"
    );
    assert!(fault("llm::client", "llm::message::Message").is_none());
    assert!(fault("ai::conversation", "llm::Client").is_none());
    let text = "use super::chat::{ChatRequest, Finish};\nuse crate::base::{Env, error};";
    let mut used = used_paths(&path("llm::client"), text);
    used.sort();
    assert_eq!(used, [path("base::Env"), path("base::error"), path("llm::chat")]);
}

impl House {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ember/src");
        let mut house = Self { order: BTreeMap::new(), files: Vec::new() };
        house.read_folder(&root, &[]);
        house
    }

    fn read_folder(&mut self, folder: &Path, module: &[String]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let below: Vec<_> = module.iter().cloned().chain([name.clone()]).collect();
            if path.is_dir() {
                self.read_folder(&path, &below);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_folder = matches!(name.as_str(), "mod" | "lib");
                self.read_file(&path, if is_folder { module.to_vec() } else { below });
            }
        }
    }

    fn read_file(&mut self, path: &PathBuf, module: Vec<String>) {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        let declared = |line: &str| {
            let line =
                line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
        };
        let order: Vec<_> = text.lines().filter_map(declared).collect();
        if !order.is_empty() {
            self.order.insert(module.clone(), order);
        }
        self.files.push((module, text));
    }

    /// Says what is wrong with a module's use of a path, both counted from the root of the crate.
    fn fault(&self, module: &[String], used: &[String]) -> Option<String> {
        let (wing, used_wing) = (&module[0], used.first()?);
        // What the root exports comes from all wings, so a short name hides whom a module knows.
        if used.len() == 1 && used_wing.starts_with(char::is_uppercase) {
            return Some(format!("`crate::{used_wing}` is the user's name; its wing's is meant"));
        }
        if let Some((_, known)) = WINGS.iter().find(|(name, _)| name == wing)
            && wing != used_wing
            && WINGS.iter().any(|(name, _)| name == used_wing)
            && !known.contains(&used_wing.as_str())
        {
            return Some(format!("the wing `{wing}` may not know `{used_wing}`"));
        }
        // Where the two paths part, the used name must be declared above the user's own.
        let common = module.iter().zip(used).take_while(|(a, b)| a == b).count();
        let order = self.order.get(&module[..common])?;
        let place = |name: Option<&String>| order.iter().position(|known| Some(known) == name);
        let (own, other) = (place(module.get(common))?, place(used.get(common))?);
        (other > own).then(|| format!("`{}` is declared below `{}`", used[common], module[common]))
    }
}

/// The paths that a file names after `crate::` or `super::`, counted from the root of the crate.
fn used_paths(module: &[String], text: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for (start, prefix) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        // `$crate::` is the user's view, and `pub(in crate::…)` names nobody.
        let before = code[..start].chars().next_back();
        if before
            .is_some_and(|char| char == '$' || char == ':' || char.is_alphanumeric() || char == '_')
        {
            continue;
        }
        let mut base: Vec<String> = Vec::new();
        let mut rest = &code[start..];
        if prefix == "super::" {
            base = module.to_vec();
            while let Some(further) = rest.strip_prefix("super::") {
                base.pop();
                rest = further;
            }
        } else {
            rest = &rest["crate::".len()..];
        }
        expand(&base, rest, &mut paths);
    }
    paths
}

/// Follows a path, and each of its branches where braces group several.
fn expand(base: &[String], rest: &str, paths: &mut Vec<Vec<String>>) {
    if let Some(group) = rest.strip_prefix('{') {
        let end = matching_brace(group);
        for item in split_top_level(&group[..end]) {
            expand(base, item.trim(), paths);
        }
        return;
    }
    let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len());
    let (name, tail) = rest.split_at(end);
    // A name in capitals is an item, which belongs to the module that has been reached.
    if name.is_empty()
        || name == "self"
        || name.starts_with(char::is_uppercase) && !base.is_empty() && tail.starts_with(':')
    {
        paths.push(base.to_vec());
        return;
    }
    let further: Vec<_> = base.iter().cloned().chain([name.to_owned()]).collect();
    match tail.strip_prefix("::") {
        Some(tail) if tail.starts_with('{') && !name.starts_with(char::is_uppercase) => {
            if base.is_empty() {
                expand(&further, tail, paths);
            } else {
                paths.push(further);
            }
        }
        Some(tail) => expand(&further, tail, paths),
        None => paths.push(further),
    }
}

fn matching_brace(text: &str) -> usize {
    let mut depth = 1;
    for (index, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

fn split_top_level(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (index, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    items.push(&text[start..]);
    items.retain(|item| !item.trim().is_empty());
    items
}
