use ember::llm::{ErrorKind, FakeProvider, FakeReply, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

/// A model that always uses so many tokens, of which one is output.
pub fn model(tokens: u64) -> FakeProvider {
    FakeProvider::new()
        .respond(move |_| FakeReply::new().text("a b c").usage(Usage::new(tokens - 1, 1)))
}

/// A model that answers with how often it was asked before.
pub fn counting() -> FakeProvider {
    let asked = AtomicUsize::new(0);
    FakeProvider::new().respond(move |_| {
        let number = asked.fetch_add(1, SeqCst);
        FakeReply::new()
            .text(format!("answer {number} in some more words than one"))
            .usage(Usage::new(7, 8))
    })
}

/// A model that answers, fails before and in the middle of an answer, or falls silent, as it is told;
/// and how many tokens it has used.
pub fn moody() -> (FakeProvider, Arc<AtomicU64>) {
    let used = Arc::new(AtomicU64::new(0));
    let count = used.clone();
    let provider = FakeProvider::new().respond(move |request| {
        let words = "word ".repeat(20);
        let usage = Usage::new(20, 100);
        match request.messages.last().map(|message| message.text().into_owned()).as_deref() {
            Some("fail") => FakeReply::error(ErrorKind::Overloaded, "busy"),
            Some("break") => FakeReply::new().text(words).fail_after(5, ErrorKind::Server, "x"),
            Some("hang") => FakeReply::new().text(words).hang_after(5),
            _ => {
                count.fetch_add(usage.total(), SeqCst);
                FakeReply::new().text(words).usage(usage)
            }
        }
    });
    (provider, used)
}
