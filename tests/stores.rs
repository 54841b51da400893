//! What every store must do, whatever it keeps its values in.

use ember::base::clock::{millis, secs};
use ember::bytes::Bytes;
use ember::store::{BoxStore, Bucket, Capability, Draw, DrawId, Store};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long something that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does everything that a store can with one that is empty. Clones share what they keep.
pub async fn conforms<S: Store + Clone>(store: S) {
    values(&store).await;
    odd_keys(&store).await;
    comparing(&store).await;
    expiry(&store).await;
    drawing(&store).await;
    crowd(&store).await;
    if store.capabilities().contains(&Capability::Scan) {
        scanning(&store).await;
    } else {
        assert_eq!(store.scan("a", None, 10).await.unwrap_err().status(), 501);
    }
    if store.capabilities().contains(&Capability::Lock) {
        locks(&store).await;
        boxed_locks(&store).await;
    } else {
        assert_eq!(store.try_lock("a", secs(1)).await.unwrap_err().status(), 501);
    }
    assert!(!store.check().await.unwrap().is_empty());
}

async fn values(store: &impl Store) {
    assert_eq!(store.get("value").await.unwrap(), None);
    assert!(!store.exists("value").await.unwrap());
    store.set("value", "one".into(), secs(100)).await.unwrap();
    store.set("value", "two".into(), Duration::MAX).await.unwrap();
    assert_eq!(store.get("value").await.unwrap().as_deref(), Some(&b"two"[..]));
    assert!(store.exists("value").await.unwrap());
    assert!(store.delete("value").await.unwrap());
    assert!(!store.delete("value").await.unwrap());
    assert_eq!(store.get("value").await.unwrap(), None);
    let every_byte: Bytes = (0..=255).chain(*b"\r\nEND\r\n").collect();
    let long: Bytes = vec![0xa5; 600_000].into();
    for value in [Bytes::new(), every_byte, long] {
        store.set("value", value.clone(), secs(100)).await.unwrap();
        assert_eq!(store.get("value").await.unwrap(), Some(value));
    }
}

async fn odd_keys(store: &impl Store) {
    let long = "x".repeat(400);
    let odd = ["two words", "line\r\nbreak", "größe", "a*", "a?", "[a]", "{a}b", "%_", &long];
    for key in odd {
        store.set(key, key.to_owned().into(), secs(100)).await.unwrap();
    }
    for key in odd {
        assert_eq!(store.get(key).await.unwrap().as_deref(), Some(key.as_bytes()));
        assert!(store.delete(key).await.unwrap(), "{key}");
    }
}

async fn comparing<S: Store + Clone>(store: &S) {
    let change = async |expected: Option<&'static str>, value: &'static str| {
        let expected = expected.map(Bytes::from);
        store.compare_and_set("compared", expected, value.into(), secs(100)).await.unwrap()
    };
    assert!(!change(Some("one"), "two").await, "there is none");
    assert!(change(None, "one").await);
    assert!(!change(None, "two").await, "there is one");
    assert!(!change(Some("two"), "three").await);
    assert!(!change(Some(""), "three").await, "nothing is not an empty value");
    assert!(change(Some("one"), "").await);
    assert!(!change(None, "two").await, "an empty value is something");
    assert!(change(Some(""), "two").await);
    assert_eq!(store.get("compared").await.unwrap().as_deref(), Some(&b"two"[..]));
    // Of many who count at the same time nobody's one is lost.
    store.set("count", "0".into(), secs(100)).await.unwrap();
    let counting = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                loop {
                    let present = store.get("count").await.unwrap().unwrap();
                    let number: u32 = std::str::from_utf8(&present).unwrap().parse().unwrap();
                    let next = (number + 1).to_string();
                    let ttl = secs(100);
                    let changed =
                        store.compare_and_set("count", Some(present), next.into(), ttl).await;
                    if changed.unwrap() {
                        break;
                    }
                }
            }
        })
    });
    for task in counting.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(store.get("count").await.unwrap().as_deref(), Some(&b"80"[..]));
}

/// A bucket of what never refills, and one that does.
async fn drawing<S: Store + Clone>(store: &S) {
    let draw = async |key: &str, bucket, what| {
        let drawn = store.draw(key, bucket, what).await.unwrap();
        (drawn.taken, drawn.left)
    };
    let money = Bucket::once(100, secs(1000));
    assert_eq!(draw("money", money, Draw::Take(0)).await, (true, 100));
    assert!(!store.exists("money").await.unwrap(), "looking leaves nothing");
    assert_eq!(draw("money", money, Draw::Take(101)).await, (false, 100));
    assert_eq!(draw("money", money, Draw::Take(70)).await, (true, 30));
    assert_eq!(draw("money", money, Draw::Take(31)).await, (false, 30));
    assert_eq!(draw("money", money, Draw::Adjust(20)).await, (true, 50));
    assert_eq!(draw("money", money, Draw::Adjust(-60)).await, (true, -10));
    assert_eq!(draw("money", money, Draw::Take(0)).await, (false, -10), "a debt");
    assert_eq!(draw("money", money, Draw::Take(1)).await, (false, -10));
    // Another capacity finds what was taken.
    let (less, more) = (Bucket::once(40, secs(1000)), Bucket::once(300, secs(1000)));
    assert_eq!(draw("money", more, Draw::Take(0)).await, (true, 190));
    assert_eq!(draw("money", less, Draw::Take(0)).await, (false, -70));
    assert_eq!(draw("money", less, Draw::Adjust(75)).await, (true, 5));
    assert_eq!(draw("money", money, Draw::Take(0)).await, (true, 65), "nobody forgets it");
    assert_eq!(draw("money", money, Draw::Adjust(1_000)).await, (true, 100));
    until(async || !store.exists("money").await.unwrap()).await;
    // What has an id is done once, and can be undone before it is done.
    let ids = [(); 4].map(|()| DrawId::random());
    for (what, expected) in [
        (Draw::TakeOnce(60, ids[0]), (true, 40)),
        (Draw::TakeOnce(60, ids[0]), (true, 40)),
        (Draw::AdjustOnce(60, ids[1]), (true, 100)),
        (Draw::Take(30), (true, 70)),
        (Draw::AdjustOnce(60, ids[1]), (true, 70)),
        (Draw::TakeOnce(90, ids[2]), (false, 70)),
        (Draw::TakeOnce(50, ids[2]), (true, 20)),
        (Draw::Undo(ids[2]), (true, 70)),
        (Draw::Undo(ids[2]), (true, 70)),
        (Draw::TakeOnce(50, ids[2]), (false, 70)),
        (Draw::Undo(ids[3]), (true, 70)),
        (Draw::TakeOnce(50, ids[3]), (false, 70)),
        (Draw::AdjustOnce(-80, DrawId::random()), (true, -10)),
    ] {
        assert_eq!(draw("once", money, what).await, expected, "{what:?}");
    }
    let large = Bucket::once((1 << 53) - 1, secs(1000));
    let expected = (true, (1 << 53) - 2);
    assert_eq!(draw("large", large, Draw::Take(1)).await, expected, "to the last digit");
    assert!(store.delete("large").await.unwrap(), "what is deleted is full");
    assert_eq!(draw("large", large, Draw::Take((1 << 53) - 1)).await, (true, 0));
    // Nothing is left of it when its time is over, or when it is full again.
    let short = Bucket::once(10, millis(300));
    assert_eq!(draw("short bucket", short, Draw::Take(10)).await, (true, 0));
    until(async || draw("short bucket", short, Draw::Take(10)).await == (true, 0)).await;
    let quick = Bucket::refilling(10, millis(200));
    assert!(draw("quick", quick, Draw::Take(10)).await.0);
    until(async || !store.exists("quick").await.unwrap()).await;
    assert_eq!(draw("quick", quick, Draw::Take(10)).await, (true, 0));
    let slow = Bucket::refilling(2, secs(1000));
    store.draw("slow", slow, Draw::Take(2)).await.unwrap();
    let refused = store.draw("slow", slow, Draw::Take(1)).await.unwrap();
    let wait = refused.wait_for(&slow, 1);
    assert!(!refused.taken && wait <= secs(500) && wait > secs(400), "{wait:?}");
    assert!(refused.until_full(&slow) > secs(900));
    store.set("other", "no bucket".into(), secs(100)).await.unwrap();
    let error = store.draw("other", slow, Draw::Take(1)).await.unwrap_err();
    assert_eq!(error.status(), 503, "a value is no bucket");
}

/// Of many who draw at once in two processes, nobody is given what is not there.
async fn crowd<S: Store + Clone>(store: &S) {
    let processes = [BoxStore::new(store.clone()), BoxStore::new(store.clone())];
    let (capacity, period) = (100_u32, secs(20));
    let bucket = Bucket::refilling(capacity.into(), period);
    let begun = Instant::now();
    let tasks = (0..300).map(|number: usize| {
        let store = processes[number % 2].clone();
        tokio::spawn(async move {
            let taken = store.draw("crowd", bucket, Draw::Take(2)).await.unwrap().taken;
            // Some give back what they did not need.
            if taken && number.is_multiple_of(3) {
                store.draw("crowd", bucket, Draw::Adjust(1)).await.unwrap();
                return 1;
            }
            if taken { 2 } else { 0 }
        })
    });
    let mut taken = 0;
    for task in tasks.collect::<Vec<_>>() {
        taken += task.await.unwrap();
    }
    let left = store.draw("crowd", bucket, Draw::Take(0)).await.unwrap().left;
    let refill = begun.elapsed().as_secs_f64() / period.as_secs_f64() * f64::from(capacity);
    let sum = f64::from(taken) + f64::from(u32::try_from(left).unwrap());
    assert!(taken > capacity / 2 && sum >= f64::from(capacity), "{taken} were taken, {left} left");
    assert!(sum <= f64::from(capacity) + refill + 1.0, "{taken} were taken, {left} left");
}

async fn expiry(store: &impl Store) {
    store.set("short", "one".into(), millis(300)).await.unwrap();
    store.set("long", "one".into(), secs(1000)).await.unwrap();
    store.set("renewed", "one".into(), millis(300)).await.unwrap();
    store.set("renewed", "two".into(), Duration::MAX).await.unwrap();
    until(async || !store.exists("short").await.unwrap()).await;
    assert_eq!(store.get("short").await.unwrap(), None);
    assert!(!store.delete("short").await.unwrap());
    let again = store.compare_and_set("short", None, "two".into(), secs(100)).await;
    assert!(again.unwrap(), "what has expired is gone");
    assert!(store.exists("long").await.unwrap() && store.exists("renewed").await.unwrap());
}

async fn scanning(store: &impl Store) {
    let mut expected = BTreeSet::new();
    for number in 0..57 {
        let key = format!("scan/[*]/{number}");
        store.set(&key, "x".into(), secs(100)).await.unwrap();
        expected.insert(key);
    }
    for other in ["scan/", "scan/[", "scan/*", "scan/x*]/1", "Scan/[*]/1", "scan/[*"] {
        store.set(other, "x".into(), secs(100)).await.unwrap();
    }
    store.set("scan/[*]/gone", "x".into(), millis(1)).await.unwrap();
    until(async || !store.exists("scan/[*]/gone").await.unwrap()).await;
    assert_eq!(scan(store, "scan/[*]/", 10).await, expected);
    assert_eq!(scan(store, "scan/[*]/", 1000).await, expected);
    let few: BTreeSet<_> =
        expected.iter().filter(|key| key.starts_with("scan/[*]/5")).cloned().collect();
    assert_eq!(scan(store, "scan/[*]/5", 1).await, few);
    assert!(scan(store, "nothing/", 10).await.is_empty());
}

async fn scan(store: &impl Store, prefix: &str, limit: usize) -> BTreeSet<String> {
    let (mut keys, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = store.scan(prefix, cursor.as_deref(), limit).await.unwrap();
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return keys;
        }
    }
}

async fn locks(store: &impl Store) {
    let first = store.try_lock("lock", secs(100)).await.unwrap().unwrap();
    assert_eq!(store.try_lock("lock", secs(100)).await.unwrap(), None);
    assert!(store.try_lock("other", secs(100)).await.unwrap().is_some());
    assert!(!store.exists("lock").await.unwrap(), "locks are no values");
    store.set("lock", "value".into(), secs(100)).await.unwrap();
    assert!(store.delete("lock").await.unwrap());
    assert!(store.renew("lock", first, millis(50)).await.unwrap());
    assert!(!store.renew("lock", first + 1, secs(100)).await.unwrap());
    assert!(!store.unlock("lock", first + 1).await.unwrap());
    let mut second = None;
    until(async || {
        second = store.try_lock("lock", secs(100)).await.unwrap();
        second.is_some()
    })
    .await;
    let second = second.unwrap();
    assert!(second > first, "{second} after {first}");
    assert!(!store.renew("lock", first, secs(100)).await.unwrap(), "it has expired");
    assert!(!store.unlock("lock", first).await.unwrap());
    assert!(store.unlock("lock", second).await.unwrap());
    assert!(!store.unlock("lock", second).await.unwrap());
    let third = store.try_lock("lock", secs(100)).await.unwrap().unwrap();
    assert!(third > second, "{third} after {second}");
}

/// Each of many has the lock for itself, and none keeps the others from it.
async fn boxed_locks<S: Store + Clone>(store: &S) {
    // Two processes: each has a queue of its own.
    let processes = [BoxStore::new(store.clone()), BoxStore::new(store.clone())];
    store.set("held", "0".into(), secs(100)).await.unwrap();
    let tasks = (0..6).map(|number| {
        let (store, lock) = (store.clone(), processes[number % 2].clone());
        tokio::spawn(async move {
            let held = lock.lock("shared", secs(30)).await.unwrap();
            let before = store.get("held").await.unwrap().unwrap();
            let token: u64 = std::str::from_utf8(&before).unwrap().parse().unwrap();
            assert!(held.token() > token, "{} after {token}", held.token());
            let mine = held.token().to_string();
            tokio::time::sleep(millis(5)).await;
            let changed = store.compare_and_set("held", Some(before), mine.into(), secs(100));
            assert!(changed.await.unwrap(), "somebody else had the lock as well");
            assert!(!held.is_lost());
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Waits until something is so, which must be soon.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "it stays as it is");
        tokio::time::sleep(millis(20)).await;
    }
}
