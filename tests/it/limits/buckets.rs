//! What a bucket does with time.

use super::*;

mod back_pressure {
    use super::*;
    use futures_util::stream;

    static HANDS: LazyLock<ManualClock> = LazyLock::new(ManualClock::new);
    static BUCKET: LazyLock<GlobalTokenBucket> =
        LazyLock::new(|| GlobalTokenBucket::with_clock("slow", 2, secs(2), HANDS.clock()));

    #[get("/slow")]
    async fn slow() -> TokenStream {
        sse_stream(stream::iter(["a", "b", "c", "d"])).bucket(BUCKET.clone())
    }

    #[tokio::test]
    async fn a_stream_is_sent_as_quickly_as_its_bucket_allows() {
        let app = TestClient::new(ember::app!().build().unwrap());
        let mut response = app.get("/slow").send().await;
        let first = response.chunk().await.unwrap();
        assert_eq!(first, "data: a\n\ndata: b\n\n");
        for expected in ["data: c\n\n", "data: d\n\ndata: [DONE]\n\n"] {
            let waiting = tokio::spawn(async move {
                let piece = response.chunk().await.unwrap();
                (piece, response)
            });
            while HANDS.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
            HANDS.advance(secs(1));
            let (piece, rest) = waiting.await.unwrap();
            assert_eq!(piece, expected);
            response = rest;
        }
        assert!(response.chunk().await.is_none());
    }
}

/// What is done to a bucket.
#[derive(Debug, Clone)]
enum Step {
    Consume(u64),
    Settle(u64, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..150_u64).prop_map(Step::Consume),
        (0..150_u64, 0..200_u64).prop_map(|(estimate, used)| Step::Settle(estimate, used)),
        (0..100_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// A bucket of a hundred tokens that regains a quarter of one each second, and whole numbers of quarters.
    #[test]
    fn a_bucket_does_what_a_simple_model_of_it_does(steps in prop::collection::vec(step(), 0..80)) {
        const FULL: i64 = 100 * 4;
        let hands = ManualClock::new();
        let bucket = TokenBucket::new(100.0, 0.25).clock(hands.clock());
        let mut quarters = FULL;
        for step in steps {
            match step {
                Step::Consume(tokens) => {
                    let wanted = 4 * tokens as i64;
                    let expected = if wanted > FULL {
                        Err(Duration::MAX)
                    } else if wanted <= quarters {
                        quarters -= wanted;
                        Ok(())
                    } else {
                        Err(secs((wanted - quarters) as u64))
                    };
                    prop_assert_eq!(bucket.try_consume(tokens), expected);
                }
                Step::Settle(estimate, used) => {
                    bucket.settle(estimate, used);
                    quarters = (quarters + 4 * (estimate as i64 - used as i64)).min(FULL);
                }
                Step::Wait(seconds) => {
                    hands.advance(secs(seconds));
                    quarters = (quarters + seconds as i64).min(FULL);
                }
            }
            prop_assert_eq!(bucket.available(), quarters.max(0) as u64 / 4);
            prop_assert_eq!(bucket.until_full(), secs((FULL - quarters) as u64));
        }
    }
}
