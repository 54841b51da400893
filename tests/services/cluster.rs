//! The example `cluster`, whose script says by itself whether what it claims is so.

use super::serving::example;
use std::path::Path;
use std::process::Command;

pub fn test() {
    let (process, balancer) = (example("cluster"), example("cluster_balancer"));
    let programs = process.parent().unwrap();
    assert_eq!(balancer.parent(), Some(programs));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cluster/run.sh");
    let run = Command::new(script).env("EMBER_EXAMPLES", programs).output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}{}", String::from_utf8_lossy(&run.stderr));
    assert!(text.ends_with("All of it is as claimed.\n"), "{text}");
}
