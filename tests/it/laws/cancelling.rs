//! Law 10: a stream can be dropped after any byte. The connection closes, what was used is on the
//! books, and no task is left.

use super::Wire;
use super::document::{Answer, End, Piece};
use super::streams::Streamed;
use ember_tests::{Reply, Upstream};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

fn answer() -> Answer {
    let text = "Grüße an die Welt 😀.".to_owned();
    Answer {
        pieces: vec![
            Piece::Thought { text: "Hm.".into(), mark: Some("mark".into()) },
            Piece::Text { text, source: None, mark: None },
        ],
        end: End::Done,
        step: 4,
        tokens: (7, 9),
    }
}

#[tokio::test]
async fn a_stream_can_be_dropped_after_any_byte() {
    for wire in Wire::ALL {
        let streamed = Streamed::of(wire, &answer());
        // Up to the event before the last, so that the answer is never complete.
        let mut part = streamed.clone();
        part.events.truncate(streamed.complete - 1);
        let body = part.body("\n").into_bytes();
        let step = 1 + body.len() / 40;
        for at in (0..body.len()).step_by(step) {
            let begin = body[..at].to_vec();
            let mut upstream =
                Upstream::start(move |_| Reply::events().send(begin.clone()).hang()).await;
            let tasks = Handle::current().metrics().num_alive_tasks();
            let client = wire.client(upstream.url());
            let mut stream = client.stream("Hi").await.unwrap();
            // Everything that has arrived is read, and the rest is waited for.
            while let Ok(event) = timeout(Duration::from_millis(5), stream.next()).await {
                event.unwrap().unwrap();
            }
            drop(stream);
            let closed = timeout(Duration::from_secs(10), upstream.hung_up()).await;
            assert!(closed.is_ok(), "{wire:?} at {at}: the connection closes");
            let usage = client.usage();
            assert_eq!(usage.total_requests(), 1, "{wire:?} at {at}");
            assert_eq!(usage.estimated_requests(), 1, "{wire:?} at {at}");
            assert!(usage.total_input_tokens() > 0, "{wire:?} at {at}");
            drop(client);
            let gone = async {
                while Handle::current().metrics().num_alive_tasks() > tasks {
                    tokio::task::yield_now().await;
                }
            };
            let gone = timeout(Duration::from_secs(10), gone).await;
            assert!(gone.is_ok(), "{wire:?} at {at}: no task is left");
        }
    }
}
