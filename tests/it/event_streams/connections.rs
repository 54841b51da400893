//! What else is said on a connection while events are sent.

use super::*;

#[tokio::test]
async fn each_event_leaves_at_once_and_the_connection_goes_on() {
    let server = Serving::start();
    let mut client = Client::open(&server, &get("/letters")).await;
    for _ in 0..3 {
        let head = client.until("\r\n\r\n").await.to_lowercase();
        assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
        for letter in ["a", "b", "c"] {
            server.let_pass(1);
            assert_eq!(client.until("\n\n\r\n").await, format!("9\r\ndata: {letter}\n\n\r\n"));
        }
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
        client.say(&get("/hello")).await;
        client.until("\r\n\r\nHello").await;
        client.say(&get("/letters")).await;
    }
}

#[tokio::test]
async fn what_is_said_meanwhile_is_answered_afterwards() {
    let server = Serving::start();
    for at_once in [true, false] {
        // Beside the request, or while the stream waits.
        let mut first = get("/letters");
        if at_once {
            first += HIDDEN;
        }
        let mut client = Client::open(&server, &first).await;
        client.until("\r\n\r\n").await;
        if !at_once {
            server.let_pass(1);
            client.until("data: a\n\n\r\n").await;
            client.say(HIDDEN).await;
            client.say("GET /hel").await;
        }
        server.let_pass(3);
        client.until("data: c\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n").await;
        client.until("\r\n\r\nhidden").await;
        if !at_once {
            client.say("lo HTTP/1.1\r\nhost: x\r\n\r\n").await;
            client.until("\r\n\r\nHello").await;
        }
        server.gate.events.try_acquire_many(u32::from(!at_once)).unwrap().forget();
    }
}

#[tokio::test]
async fn a_body_is_no_request() {
    let server = Serving::start();
    for path in ["/read", "/ignore"] {
        let mut client = Client::open(&server, &post(path, HIDDEN)).await;
        client.until("\r\n\r\n").await;
        server.let_pass(3);
        assert_eq!(chunks(&client.until("\r\n0\r\n\r\n").await), chunks(CHUNKS), "{path}");
        client.say(&get("/hello")).await;
        let answer = client.until("\r\n\r\nHello").await;
        assert!(!answer.contains("hidden"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_can_arrive_while_events_are_sent() {
    let server = Serving::start();
    let head = "POST /pieces HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\n";
    let mut client = Client::open(&server, head).await;
    for _ in 0..2 {
        client.say("abc").await;
        client.until("data: 3 bytes\n\n\r\n").await;
    }
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    client.say(&get("/hello")).await;
    client.until("\r\n\r\nHello").await;
}

#[tokio::test]
async fn a_client_that_wants_no_more_is_closed_on() {
    let server = Serving::start();
    let close = "GET /letters HTTP/1.1\r\nhost: x\r\nConnection: Close\r\n\r\n";
    let client = Client::open(&server, close).await;
    server.let_pass(3);
    let rest = client.rest().await;
    assert!(rest.ends_with("data: c\n\n\r\n0\r\n\r\n"), "{rest}");
    // HTTP/1.0 knows no chunks.
    let client = Client::open(&server, "GET /letters HTTP/1.0\r\n\r\n").await;
    server.let_pass(3);
    let rest = client.rest().await;
    assert!(rest.ends_with("\r\n\r\ndata: a\n\ndata: b\n\ndata: c\n\n"), "{rest}");
    let mut client =
        Client::open(&server, &get("/letters").replace("x\r\n", "x\r\nconnection: keep-alive\r\n"))
            .await;
    server.let_pass(3);
    client.until("data: c\n\n\r\n0\r\n\r\n").await;
    client.say(&get("/hello")).await;
    client.until("\r\n\r\nHello").await;
    let answer = exchange(server.address(), close.replace("letters", "flood").as_bytes()).await;
    assert!(answer.ends_with("\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let server = Serving::start();
    for half in [false, true] {
        let mut client = Client::open(&server, &get("/letters")).await;
        server.let_pass(1);
        client.until("data: a\n\n\r\n").await;
        if half {
            client.socket.shutdown().await.unwrap();
            server.ended().await;
        } else {
            drop(client);
            server.ended().await;
        }
    }
}

#[tokio::test]
async fn a_client_may_be_slower_than_the_stream() {
    let server = Serving::start();
    let mut client = Client::open(&server, &get("/flood")).await;
    client.until("\r\n\r\n").await;
    let body = chunks(&client.until("\r\n0\r\n\r\n").await);
    let events: Vec<_> = body.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 500);
    for (number, event) in events.iter().enumerate() {
        assert!(
            event.starts_with(&format!("data: {number} x")) && event.len() > 20_000,
            "{number}"
        );
    }
    client.say(&get("/hello")).await;
    client.until("\r\n\r\nHello").await;
}

#[tokio::test]
async fn a_stream_that_breaks_does_not_look_complete() {
    let server = Serving::start();
    let rest = Client::open(&server, &get("/broken")).await.rest().await;
    assert!(rest.ends_with("\r\n\r\n9\r\ndata: a\n\n\r\n"), "{rest}");
}

#[tokio::test]
async fn a_body_that_is_given_up_closes_the_connection() {
    let server = Serving::start();
    let head = "POST /give-up HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let whole = format!("{head}1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    let mut client = Client::open(&server, &whole).await;
    let head = client.until("\r\n\r\n").await.to_lowercase();
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    server.let_pass(3);
    // As was said.
    assert_eq!(chunks(&client.rest().await), chunks(CHUNKS));
}

#[tokio::test]
async fn what_is_refused_behind_a_stream_is_told_behind_it() {
    let server = Serving::start();
    for refused in ["\n", "GET / HTTP/1.1\n"] {
        for at_once in [true, false] {
            let first = if at_once { get("/letters") + refused } else { get("/letters") };
            let mut client = Client::open(&server, &first).await;
            // Once the head has come, the stream waits.
            client.until("\r\n\r\n").await;
            server.let_pass(1);
            client.until("data: a\n\n\r\n").await;
            if !at_once {
                client.say(refused).await;
            }
            server.let_pass(2);
            let rest = client.rest().await;
            let (stream, answer) = rest.split_once("HTTP/1.1 ").unwrap_or((&rest, ""));
            let told = chunks(stream) == "data: b\n\ndata: c\n\n" && answer.starts_with("400 ");
            assert!(told, "{refused:?}, at once: {at_once}: {rest}");
        }
    }
}
