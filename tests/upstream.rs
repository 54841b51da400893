use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A service behind the application: it answers each request as a function says, byte by byte.
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    hung_up: watch::Receiver<usize>,
}

/// A request that the service has seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request line's method and target.
    pub target: String,
    /// The header section, in lower case.
    pub head: String,
    pub body: String,
    pub at: Instant,
}

impl Seen {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What the service does with a request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    reset: bool,
    /// How long the status and the headers take.
    late: Duration,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Closes the connection in the middle.
    Cut,
    /// Waits until the client hangs up.
    Hang,
}

impl Reply {
    /// An answer with a status, whose body is sent step by step.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// No answer at all, until the client hangs up.
    pub fn silence() -> Self {
        Self::default()
    }

    /// No answer, but a reset of the connection.
    pub fn reset() -> Self {
        Self { reset: true, ..Self::default() }
    }

    /// An answer of JSON.
    pub fn json(status: u16, body: impl ToString) -> Self {
        Self::status(status).header("content-type", "application/json").send(body.to_string())
    }

    /// A streamed answer.
    pub fn events() -> Self {
        Self::status(200).header("content-type", "text/event-stream")
    }

    /// One frame of a streamed answer.
    pub fn data(self, data: impl ToString) -> Self {
        self.send(format!("data: {}\n\n", data.to_string()))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the status and the headers.
    pub fn late(mut self, time: Duration) -> Self {
        self.late = time;
        self
    }

    pub fn send(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    /// The same answer with other words in its body.
    pub fn replaced(mut self, from: &str, to: &str) -> Self {
        for step in &mut self.steps {
            if let Step::Send(bytes) = step {
                *bytes = String::from_utf8_lossy(bytes).replace(from, to).into_bytes();
            }
        }
        self
    }

    pub fn wait(mut self, time: Duration) -> Self {
        self.steps.push(Step::Wait(time));
        self
    }

    pub fn cut(mut self) -> Self {
        self.steps.push(Step::Cut);
        self
    }

    pub fn hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }
}

impl Upstream {
    /// Starts a service on a free port.
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let (hang_ups, hung_up) = watch::channel(0);
        let (answer, log) = (Arc::new(answer), seen.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (answer, log, hang_ups) = (answer.clone(), log.clone(), hang_ups.clone());
                tokio::spawn(async move {
                    let ended = serve(socket, &*answer, &log).await;
                    if let Ended::HungUp = ended {
                        hang_ups.send_modify(|count| *count += 1);
                    }
                });
            }
        });
        Self { address, seen, connections, hung_up }
    }

    /// The base address, to which `/chat/completions` is appended.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until a client has closed a connection in the middle of an answer.
    pub async fn hung_up(&mut self) {
        self.hung_up.wait_for(|count| *count > 0).await.unwrap();
    }
}

enum Ended {
    Normally,
    /// The client closed the connection before the answer was complete.
    HungUp,
}

async fn serve(
    mut socket: TcpStream,
    answer: &(dyn Fn(&Seen) -> Reply + Send + Sync),
    log: &Mutex<Vec<Seen>>,
) -> Ended {
    while let Some(seen) = read_request(&mut socket).await {
        let reply = answer(&seen);
        log.lock().unwrap().push(seen);
        match write_reply(&mut socket, reply).await {
            Ok(true) => {}
            Ok(false) => return Ended::Normally,
            Err(_) => return Ended::HungUp,
        }
    }
    Ended::Normally
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < head_end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let line =
        String::from_utf8_lossy(&bytes[..head_end]).lines().next().unwrap_or_default().to_owned();
    let target = line.trim_end_matches(" HTTP/1.1").to_owned();
    let body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    Some(Seen { target, head, body, at: Instant::now() })
}

/// Writes an answer in chunks; tells whether the connection can be used again.
async fn write_reply(socket: &mut TcpStream, reply: Reply) -> std::io::Result<bool> {
    if reply.reset {
        // Without lingering, closing is a reset.
        socket.set_zero_linger()?;
        return Ok(false);
    }
    if reply.status == 0 {
        closed(socket).await;
        return Err(std::io::ErrorKind::BrokenPipe.into());
    }
    tokio::time::sleep(reply.late).await;
    let mut head = format!("HTTP/1.1 {} x\r\ntransfer-encoding: chunked\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    socket.write_all(format!("{head}\r\n").as_bytes()).await?;
    for step in reply.steps {
        match step {
            Step::Send(bytes) if bytes.is_empty() => {}
            Step::Send(bytes) => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend(bytes);
                chunk.extend(b"\r\n");
                socket.write_all(&chunk).await?;
            }
            Step::Wait(time) => {
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = closed(socket) => return Err(std::io::ErrorKind::BrokenPipe.into()),
                }
            }
            Step::Cut => return Ok(false),
            Step::Hang => {
                closed(socket).await;
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
        }
    }
    socket.write_all(b"0\r\n\r\n").await?;
    Ok(true)
}

/// Is ready when the client has closed its side.
async fn closed(socket: &mut TcpStream) {
    let mut byte = [0];
    while matches!(socket.read(&mut byte).await, Ok(read) if read > 0) {}
}
