//! The programs that are built.
//!
//! "Hello alone" has JSON, HTTP/1.1 and HTTP/2, threads for all cores, a log and an orderly end; bare
//! hyper has none of that, and is there for reference. "Hello with a client of models" has a route
//! beside it that streams the answer of OpenAI's model over TLS: with Ember's default features, and with
//! reqwest and a reader of event streams behind axum.

use crate::Result;
use std::path::{Path, PathBuf};

const ALONE: &str = "Hello alone";
const WITH_CLIENT: &str = "Hello with a client of models";

pub(super) const GROUPS: [&str; 2] = [ALONE, WITH_CLIENT];

/// A program; the first of a group is what the others are compared with.
pub(super) struct Project {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    folder: &'static str,
    dependencies: &'static str,
    main: &'static str,
}

pub(super) const ALL: [Project; 5] = [
    Project {
        group: ALONE,
        name: "axum",
        folder: "axum-alone",
        dependencies: r#"
axum = { version = "0.8", features = ["http2"] }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
tracing = { version = "0.1", default-features = false, features = ["std"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["fmt", "std"] }
"#,
        main: include_str!("../../hello/axum_alone.rs"),
    },
    Project {
        group: ALONE,
        name: "ember, only `server`",
        folder: "ember-alone",
        dependencies: r#"
ember = { path = "EMBER", default-features = false, features = ["server"] }
serde = { version = "1", features = ["derive"] }
"#,
        main: include_str!("../../hello/ember_alone.rs"),
    },
    Project {
        group: ALONE,
        name: "hyper, one thread and no more than hello",
        folder: "hyper-alone",
        dependencies: r#"
http-body-util = "0.1"
hyper = { version = "1", features = ["http1", "server"] }
hyper-util = { version = "0.1", features = ["tokio"] }
tokio = { version = "1", features = ["net", "rt"] }
"#,
        main: include_str!("../../hello/hyper_alone.rs"),
    },
    Project {
        group: WITH_CLIENT,
        name: "axum and reqwest",
        folder: "axum-client",
        dependencies: r#"
axum = { version = "0.8", features = ["http2"] }
eventsource-stream = "0.2"
futures-util = { version = "0.3", default-features = false, features = ["std"] }
reqwest = { version = "0.13", default-features = false, features = ["http2", "rustls-no-provider", "stream", "system-proxy"] }
rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
tracing = { version = "0.1", default-features = false, features = ["std"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["fmt", "std"] }
"#,
        main: include_str!("../../hello/axum_client.rs"),
    },
    Project {
        group: WITH_CLIENT,
        name: "ember, default features",
        folder: "ember-client",
        dependencies: r#"
ember = { path = "EMBER" }
serde = { version = "1", features = ["derive"] }
"#,
        main: include_str!("../../hello/ember_client.rs"),
    },
];

/// Copies Ember beside the projects, so that whoever works on it meanwhile changes nothing that is measured.
pub(super) fn copy_ember(parent: &Path) -> Result {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = parent.join("source");
    for member in ["ember", "ember-macros"] {
        copy_folder(&own.join(member), &source.join(member))?;
    }
    let manifest = std::fs::read_to_string(own.join("Cargo.toml"))?;
    let members = |line: &str| line.starts_with("members");
    let lines = manifest.lines().map(|line| match members(line) {
        true => "members = [\"ember\", \"ember-macros\"]",
        false => line,
    });
    std::fs::write(source.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n"))?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

impl Project {
    pub(super) fn folder(&self, parent: &Path) -> PathBuf {
        parent.join(self.folder)
    }

    /// The release build.
    pub(super) fn program(&self, parent: &Path) -> PathBuf {
        self.folder(parent).join("target/release/hello")
    }

    /// Writes the project, with the versions that this benchmark has.
    pub(super) fn write(&self, parent: &Path) -> Result {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dependencies = self.dependencies.replace("EMBER", "../source/ember");
        // A dependency from the registry is not compiled incrementally, but one from a path is.
        let profile = match self.dependencies.contains("EMBER") {
            true => {
                "[profile.dev.package.ember]\nincremental = false\n\
                 [profile.dev.package.ember-macros]\nincremental = false\n"
            }
            false => "",
        };
        let manifest = format!(
            "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n[dependencies]{dependencies}\n{profile}"
        );
        let folder = self.folder(parent);
        std::fs::create_dir_all(folder.join("src"))?;
        std::fs::write(folder.join("Cargo.toml"), manifest)?;
        if !folder.join("Cargo.lock").exists() {
            std::fs::copy(own.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        }
        self.greet(parent, "Hello, World!")
    }

    /// Writes the program with another text in its handler.
    pub(super) fn greet(&self, parent: &Path, text: &str) -> Result {
        let main = self.main.replace("Hello, World!", text);
        Ok(std::fs::write(self.folder(parent).join("src/main.rs"), main)?)
    }
}
