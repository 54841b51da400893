//! Servers that are started, paused and stopped.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that keeps nothing when it ends, on a port of the loopback interface.
pub struct Server {
    child: Option<Child>,
    program: String,
    arguments: Vec<String>,
    folder: TempDir,
    pub port: u16,
}

impl Server {
    pub fn redis(more: &[&str]) -> Self {
        Self::redis_by("redis-server", more)
    }

    /// What has Redis's protocol and options, and another name.
    pub fn valkey() -> Self {
        Self::redis_by("valkey-server", &[])
    }

    fn redis_by(program: &str, more: &[&str]) -> Self {
        let port = free_port();
        let mut arguments = vec!["--port".to_owned(), port.to_string()];
        arguments
            .extend(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned));
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        Self::start(program, arguments, port)
    }

    pub fn redis_over_tls(certificate: &str, key: &str) -> Self {
        let port = free_port();
        let port_text = port.to_string();
        let arguments = ["--port", "0", "--tls-port", &port_text, "--tls-cert-file", certificate];
        let more = ["--tls-key-file", key, "--tls-auth-clients", "no", "--save", ""];
        let arguments = arguments.into_iter().chain(more).map(str::to_owned);
        Self::start("redis-server", arguments.collect(), port)
    }

    pub fn memcached() -> Self {
        let port = free_port();
        let port_text = port.to_string();
        let arguments = ["-l", "127.0.0.1", "-p", &port_text, "-U", "0", "-u", "nobody"];
        Self::start("memcached", arguments.map(str::to_owned).into(), port)
    }

    fn start(program: &str, arguments: Vec<String>, port: u16) -> Self {
        let program = super::super::find(program).unwrap().display().to_string();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { child: None, program, arguments, folder, port };
        server.start_again();
        server
    }

    pub fn start_again(&mut self) {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} does not listen", self.program);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Halts it. The signal is on its way when it is sent: until all threads have stopped, some may answer yet.
    pub fn pause(&self) {
        self.signal("-STOP");
        while !self.is_halted() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tells whether all threads are stopped, by proc_pid_stat(5).
    fn is_halted(&self) -> bool {
        let id = self.child.as_ref().unwrap().id();
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        threads.flatten().all(|thread| {
            // The name of the program, in parentheses, can hold spaces.
            let state = std::fs::read_to_string(thread.path().join("stat")).unwrap();
            state.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        })
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nodes that share the keys among them. Those of a node that is gone are missing; the others are not.
pub struct Cluster {
    pub nodes: Vec<Server>,
    client: PathBuf,
}

impl Cluster {
    /// Three nodes, none of which has a replica.
    pub fn start() -> Self {
        Self::with_replicas(0)
    }

    /// Three primaries, each with so many replicas.
    pub fn with_replicas(replicas: usize) -> Self {
        let mut more = vec!["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
        more.extend(["--cluster-node-timeout", "1500", "--cluster-require-full-coverage", "no"]);
        let nodes: Vec<_> = (0..3 * (1 + replicas)).map(|_| Server::redis(&more)).collect();
        let client = super::super::find("redis-cli").unwrap();
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let made = Command::new(&client)
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let cluster = Self { nodes, client };
        let begun = Instant::now();
        let is_ready = |node: &Server| {
            let known = cluster.ask(node, &["cluster", "info"]).contains("cluster_state:ok");
            known && cluster.ask(node, &["info", "replication"]).contains("role:master")
                || cluster.ask(node, &["info", "replication"]).contains("master_link_status:up")
        };
        while !cluster.nodes.iter().all(is_ready) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the cluster is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().take(2).map(|node| format!("redis://127.0.0.1:{}", node.port)).collect()
    }

    /// What a node says to a command.
    pub fn ask(&self, node: &Server, command: &[&str]) -> String {
        let port = node.port.to_string();
        let told = Command::new(&self.client).args(["-p", &port]).args(command).output();
        String::from_utf8_lossy(&told.unwrap().stdout).into_owned()
    }
}

/// A port that was free a moment ago. Those of a cluster have another one 10,000 above it.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}
