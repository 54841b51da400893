//! How a server ends, and what it survives.

use ember::app::Running as ServerHandle;
use ember::prelude::*;
use ember::web::Health;
use ember::web::server::ServerLimits;
use ember_tests::{exchange, read_response};
use futures_util::{StreamExt as _, stream};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";
const LONG: Duration = Duration::from_secs(20);

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[get("/slow")]
async fn slow() -> &'static str {
    sleep(Duration::from_millis(400)).await;
    "slow"
}

/// Says one thing, and then nothing for ever.
#[get("/quiet")]
async fn quiet() -> Sse {
    let events = stream::once(async { Event::data("begun") }).chain(stream::pending());
    Sse::new(events).without_keep_alive()
}

/// Never stops talking.
#[get("/endless")]
async fn endless() -> TokenStream {
    sse_stream(stream::repeat("word").then(|word| async move {
        sleep(Duration::from_millis(2)).await;
        word
    }))
}

/// A stream of bytes that happens to be cut within an event.
#[get("/torn")]
async fn torn() -> impl IntoResponse {
    let pieces = stream::once(async { Ok::<_, std::io::Error>("data: unfini") });
    ([("content-type", "text/event-stream")], Body::stream(pieces.chain(stream::pending())))
}

fn serve(limits: ServerLimits, workers: usize) -> ServerHandle {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = ember::app!().health(Health::new()).workers(workers).limits(limits);
    app.serve(listener).unwrap()
}

async fn join(handle: ServerHandle) {
    timeout(LONG, tokio::task::spawn_blocking(move || handle.join())).await.unwrap().unwrap();
}

async fn open(address: SocketAddr, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    socket
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = timeout(LONG, socket.read_to_end(&mut rest)).await.expect("the connection stays open");
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn notice_is_given_to_clients_and_load_balancers() {
    let handle = serve(ServerLimits::default().notice(Duration::from_secs(1)), 2);
    let address = handle.address();
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(HELLO).await.unwrap();
    assert!(!read_response(&mut kept).await.unwrap().head.contains("connection: close"));
    handle.stop().gracefully();
    // A request on a connection that was idle, and one on a new connection, are still answered.
    kept.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let ready = read_response(&mut kept).await.unwrap();
    assert_eq!((ready.status, ready.body.as_str()), (503, "stopping\n"));
    assert!(ready.head.contains("connection: close"), "{}", ready.head);
    assert_eq!(read_response(&mut kept).await, None, "and it is closed");
    let live = exchange(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(live.starts_with("HTTP/1.1 200") && live.contains("connection: close"), "{live}");
    join(handle).await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_notice_without_end_is_as_long_as_the_time_to_finish() {
    let handle = serve(ServerLimits::default().notice(Duration::MAX), 1);
    handle.stop().within(Duration::from_millis(50));
    join(handle).await;
}

#[tokio::test]
async fn a_request_that_arrives_in_pieces_is_waited_for() {
    let handle = serve(ServerLimits::default().notice(Duration::from_millis(50)), 1);
    let mut socket = TcpStream::connect(handle.address()).await.unwrap();
    socket.write_all(HELLO).await.unwrap();
    read_response(&mut socket).await.unwrap();
    socket.write_all(&HELLO[..20]).await.unwrap();
    handle.stop().gracefully();
    sleep(Duration::from_millis(300)).await;
    socket.write_all(&HELLO[20..]).await.unwrap();
    let response = read_response(&mut socket).await.unwrap();
    assert!(response.status == 200 && response.head.contains("connection: close"), "{response:?}");
    join(handle).await;
}

#[tokio::test]
async fn event_streams_end_with_a_last_word() {
    let handle = serve(ServerLimits::default(), 2);
    let mut sockets = Vec::new();
    for path in ["/quiet", "/endless", "/torn"] {
        let mut socket = open(handle.address(), path).await;
        let mut begun = [0; 220];
        assert_ne!(socket.read(&mut begun).await.unwrap(), 0);
        sockets.push((path, socket));
    }
    // Their first events are under way.
    sleep(Duration::from_millis(100)).await;
    handle.stop().within(Duration::from_millis(100));
    for (path, mut socket) in sockets {
        let rest = rest(&mut socket).await;
        if path == "/torn" {
            assert!(!rest.ends_with("0\r\n\r\n"), "a torn event must not look complete: {rest}");
            continue;
        }
        assert!(rest.contains("event: error\ndata: {"), "{path}: {rest}");
        assert!(rest.contains("The server is stopping."), "{path}: {rest}");
        assert!(!rest.contains("[DONE]"), "{path}: {rest}");
        assert!(rest.ends_with("\n\n\r\n0\r\n\r\n"), "{path}: the body is complete: {rest}");
    }
    join(handle).await;
}

#[tokio::test]
async fn http2_is_told_to_go_away_and_its_streams_end_well() {
    let handle = serve(ServerLimits::default(), 1);
    let socket = TcpStream::connect(handle.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://{}{path}", handle.address());
        ember::http::Request::get(uri).body(()).unwrap()
    };
    let (quiet, _) = client.send_request(request("/quiet"), true).unwrap();
    let mut quiet = quiet.await.unwrap().into_body();
    assert_eq!(quiet.data().await.unwrap().unwrap(), "data: begun\n\n");
    let (slow, _) = client.send_request(request("/slow"), true).unwrap();
    sleep(Duration::from_millis(50)).await;
    handle.stop().within(Duration::from_millis(800));
    assert_eq!(slow.await.unwrap().into_body().data().await.unwrap().unwrap(), "slow");
    let word = quiet.data().await.unwrap().unwrap();
    assert!(word.starts_with(b"event: error\n"), "{word:?}");
    while let Some(data) = quiet.data().await {
        assert_eq!(data.expect("a reset instead of END_STREAM"), "");
    }
    // GOAWAY has arrived: no further request can begin.
    let further = async { client.clone().ready().await?.send_request(request("/hello"), true) };
    assert!(further.await.is_err());
    timeout(LONG, connection).await.unwrap().unwrap().unwrap();
    join(handle).await;
}

#[tokio::test]
async fn no_request_is_lost_when_the_server_stops_under_load() {
    let handle = serve(ServerLimits::default(), 2);
    let address = handle.address();
    let answered = Arc::new(AtomicU64::new(0));
    // Each client keeps its connection until an answer asks it to close, as a good client does.
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let answered = answered.clone();
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                loop {
                    socket
                        .write_all(HELLO)
                        .await
                        .expect("the connection was closed without a word");
                    let response = read_response(&mut socket).await.expect("a request was lost");
                    assert_eq!(response.status, 200);
                    answered.fetch_add(1, Relaxed);
                    if response.head.contains("connection: close") {
                        return;
                    }
                }
            })
        })
        .collect();
    while answered.load(Relaxed) < 2000 {
        sleep(Duration::from_millis(1)).await;
    }
    handle.stop().gracefully();
    for client in clients {
        timeout(LONG, client).await.unwrap().unwrap();
    }
    join(handle).await;
}

#[tokio::test]
async fn a_worker_that_dies_is_replaced() {
    let handle = serve(ServerLimits::default(), 2);
    let address = handle.address();
    let answered = Arc::new(AtomicU64::new(0));
    let cut = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (answered, cut) = (answered.clone(), cut.clone());
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                loop {
                    let sent = socket.write_all(HELLO).await.is_ok();
                    if sent && read_response(&mut socket).await.is_some() {
                        answered.fetch_add(1, Relaxed);
                    } else {
                        cut.fetch_add(1, Relaxed);
                        socket = TcpStream::connect(address).await.unwrap();
                    }
                }
            })
        })
        .collect();
    let more = async |count: u64| {
        let enough = answered.load(Relaxed) + count;
        let all = async {
            while answered.load(Relaxed) < enough {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, all).await.expect("requests are no longer answered");
    };
    more(500).await;
    for killed in 1..=3 {
        let before = cut.load(Relaxed);
        handle.fail_a_worker();
        let replaced = async {
            while handle.replaced_workers() < killed {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, replaced).await.expect("the worker is not replaced");
        // Each connection of the dead worker was cut once; the others were not.
        more(500).await;
        let after = cut.load(Relaxed);
        assert!(after - before <= 20, "{} connections were cut", after - before);
        more(2000).await;
        assert_eq!(cut.load(Relaxed), after, "a request was lost after the replacement");
    }
    clients.iter().for_each(|client| client.abort());
    handle.stop().within(Duration::ZERO);
    join(handle).await;
}

#[tokio::test]
async fn a_thousand_idle_connections_are_reaped_and_active_streams_are_not() {
    let limits = ServerLimits::default().keep_alive(Duration::from_millis(400));
    let handle = serve(limits, 2);
    let mut active = Vec::new();
    for path in ["/endless", "/quiet"] {
        active.push(open(handle.address(), path).await);
    }
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut socket = open(handle.address(), "/hello").await;
        assert_eq!(read_response(&mut socket).await.unwrap().status, 200);
        idle.push(socket);
    }
    for socket in &mut idle {
        let mut byte = [0; 1];
        let read =
            timeout(LONG, socket.read(&mut byte)).await.expect("an idle connection stays open");
        assert!(matches!(read, Ok(0) | Err(_)));
    }
    handle.stop().within(Duration::ZERO);
    for mut socket in active {
        let rest = rest(&mut socket).await;
        assert!(rest.contains("event: error\n"), "an active stream was cut: {rest}");
    }
    join(handle).await;
}

#[tokio::test]
async fn workers_are_limited_in_connections() {
    let limits = ServerLimits::default()
        .max_connections_per_worker(1)
        .keep_alive(Duration::from_millis(200));
    let handle = serve(limits, 1);
    let mut first = open(handle.address(), "/hello").await;
    assert_eq!(read_response(&mut first).await.unwrap().status, 200);
    let mut second = open(handle.address(), "/hello").await;
    // It is served when the first has been closed for being idle.
    assert_eq!(timeout(LONG, read_response(&mut second)).await.unwrap().unwrap().status, 200);
    assert_eq!(read_response(&mut first).await, None);
    handle.stop().within(Duration::ZERO);
    join(handle).await;
}

/// Blocks a thread of the runtime for work that blocks, for longer than any test has time.
#[get("/blocking")]
async fn blocking() -> String {
    let work = || std::thread::sleep(LONG * 10);
    format!("{:?}", tokio::task::spawn_blocking(work).await.is_ok())
}

/// Blocks the thread of the worker, for as many milliseconds.
#[get("/stuck/{time}")]
async fn stuck(time: u64) -> &'static str {
    std::thread::sleep(Duration::from_millis(time));
    "done"
}

#[tokio::test]
async fn work_that_blocks_is_not_waited_for_beyond_the_deadline() {
    let handle = serve(ServerLimits::default().notice(Duration::ZERO), 1);
    let mut socket = open(handle.address(), "/blocking").await;
    sleep(Duration::from_millis(100)).await;
    handle.stop().within(Duration::from_millis(100));
    join(handle).await;
    assert_eq!(rest(&mut socket).await, "");
}

#[tokio::test]
async fn a_worker_that_replaces_another_keeps_its_time_limits() {
    let limits = ServerLimits::default()
        .keep_alive(Duration::from_millis(200))
        .header_read(Duration::from_millis(200));
    let handle = serve(limits, 1);
    handle.fail_a_worker();
    let replaced = async {
        while handle.replaced_workers() < 1 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, replaced).await.expect("the worker is not replaced");
    let mut idle = open(handle.address(), "/hello").await;
    assert_eq!(timeout(LONG, read_response(&mut idle)).await.unwrap().unwrap().status, 200);
    assert_eq!(timeout(LONG, rest(&mut idle)).await.expect("it stays open"), "");
    let mut half = TcpStream::connect(handle.address()).await.unwrap();
    half.write_all(b"GET /hello HTTP/1.1\r\nhost: ").await.unwrap();
    let told = timeout(LONG, rest(&mut half)).await.expect("half a head is waited for");
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    handle.stop().within(Duration::ZERO);
    join(handle).await;
}

#[tokio::test]
async fn work_that_blocks_does_not_keep_a_worker_from_being_replaced() {
    let handle = serve(ServerLimits::default(), 1);
    let _blocking = open(handle.address(), "/blocking").await;
    sleep(Duration::from_millis(100)).await;
    handle.fail_a_worker();
    let answer = async {
        loop {
            // What the worker takes in its last moment goes with it; the next one answers.
            let mut socket = open(handle.address(), "/hello").await;
            if let Some(response) = read_response(&mut socket).await {
                return response.status;
            }
        }
    };
    assert_eq!(timeout(LONG, answer).await.expect("the worker is not replaced"), 200);
    assert_eq!(handle.replaced_workers(), 1);
    handle.stop().within(Duration::ZERO);
    join(handle).await;
}

#[tokio::test]
async fn a_worker_that_is_blocked_is_left_behind() {
    let handle = serve(ServerLimits::default().notice(Duration::ZERO), 2);
    let _stuck = open(handle.address(), "/stuck/200000").await;
    sleep(Duration::from_millis(100)).await;
    handle.stop().within(Duration::from_millis(100));
    join(handle).await;
}

#[tokio::test]
async fn a_connection_that_has_said_nothing_is_not_waited_for() {
    let limits = ServerLimits::default().notice(Duration::ZERO).header_read(LONG * 2);
    let handle = serve(limits.keep_alive(LONG * 2), 1);
    let mut silent = Vec::new();
    // Nothing at all, and nothing after an answer.
    for said in [false, true] {
        let mut socket = TcpStream::connect(handle.address()).await.unwrap();
        if said {
            socket.write_all(HELLO).await.unwrap();
            read_response(&mut socket).await.unwrap();
        }
        silent.push(socket);
    }
    sleep(Duration::from_millis(100)).await;
    handle.stop().within(LONG * 2);
    join(handle).await;
}

#[tokio::test]
async fn what_waits_in_the_kernel_at_the_signal_is_answered() {
    // Without notice: what is there when the server learns of its end is all that it serves.
    let handle = serve(ServerLimits::default().notice(Duration::ZERO), 1);
    let address = handle.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(HELLO).await.unwrap();
    read_response(&mut idle).await.unwrap();
    let silent = TcpStream::connect(address).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let mut stuck = open(address, "/stuck/500").await;
    sleep(Duration::from_millis(100)).await;
    // The only worker is blocked: these wait in the buffers of their sockets, and in the queue.
    let mut waiting = vec![idle, silent];
    for socket in &mut waiting {
        socket.write_all(HELLO).await.unwrap();
    }
    for _ in 0..50 {
        waiting.push(open(address, "/hello").await);
    }
    handle.stop().gracefully();
    assert_eq!(read_response(&mut stuck).await.unwrap().body, "done");
    for (number, mut socket) in waiting.into_iter().enumerate() {
        let response = read_response(&mut socket).await;
        let response = response.unwrap_or_else(|| panic!("request {number} is lost"));
        assert!(response.status == 200 && response.head.contains("connection: close"));
    }
    join(handle).await;
}
