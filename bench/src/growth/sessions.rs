//! Sessions of others on the same worker: conversations with a model, and visitors with a cookie.

use super::silent::{ANSWER, Asked, Silent};
use super::{Area, Case, Work};
use crate::Result;
use ember::http::{Request, StatusCode, header};
use ember::llm::{Client, MemorySessionStore};
use ember::web::Route;
use ember::web::session::{MemorySession, SessionConfig};
use ember::{Body, ConversationContext, Ember, Session};

pub(super) const AREA: Area = Area {
    name: "sessions",
    title: "One request of one of so many sessions, in memory",
    cases: &[Case::new("a conversation's turn"), Case::new("a visitor's request")],
    sizes: &[1, 10, 100, 1_000],
    times: |size| ((2 * TURNS * size).max(2_000), 20_000),
    ready,
};

/// After so many turns another conversation takes the place, so that the histories are equally
/// long on average, however many there are.
const TURNS: usize = 10;

fn ready(case: &str, size: usize, _: usize) -> Result<Work> {
    match case {
        "a visitor's request" => visits(size),
        _ => turns(size),
    }
}

fn turns(size: usize) -> Result<Work> {
    // One that is over makes room for the next: it has been silent longest.
    let store = MemorySessionStore::new().max_sessions(size);
    let client = Client::new(Silent { calls: None });
    let app = Ember::new().route(Route::post("/chat", chat)).client(client).sessions(store);
    let asked = Asked::new(app)?;
    // They do not all begin at once.
    let mut slots: Vec<(u128, usize)> =
        (0..size).map(|slot| (slot as u128, slot % TURNS)).collect();
    let (mut next, mut newest) = (0, size as u128);
    Ok(Box::new(move || {
        let (id, turns) = &mut slots[next];
        if *turns == TURNS {
            (*id, *turns) = (newest, 0);
            newest += 1;
        }
        *turns += 1;
        next = (next + 1) % size;
        let request = Request::post("/chat").header("host", "localhost");
        let request = request.header("x-conversation-id", format!("{id:032x}"));
        asked.expect(request.body(Body::from("What is next?"))?, StatusCode::OK, ANSWER).map(drop)
    }))
}

async fn chat(mut conversation: ConversationContext, question: String) -> ember::Result<String> {
    conversation.ask(question).await
}

fn visits(size: usize) -> Result<Work> {
    let config = SessionConfig::new(MemorySession::with_capacity(size));
    let asked = Asked::new(Ember::new().route(Route::get("/visit", visit)).component(config))?;
    let mut visitors: Vec<(String, u64)> = Vec::new();
    let mut next = 0;
    Ok(Box::new(move || {
        let request = Request::get("/visit").header("host", "localhost");
        if next == visitors.len() {
            let answer = asked.expect(request.body(Body::empty())?, StatusCode::OK, "1")?;
            let cookie =
                answer.headers().get(header::SET_COOKIE).ok_or("a visitor got no cookie")?;
            let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
            visitors.push((cookie.to_owned(), 1));
        } else {
            let (cookie, visits) = &mut visitors[next];
            *visits += 1;
            let request = request.header(header::COOKIE, cookie.as_str()).body(Body::empty())?;
            asked.expect(request, StatusCode::OK, &visits.to_string())?;
        }
        next = (next + 1) % size;
        Ok(())
    }))
}

async fn visit(session: Session) -> ember::Result<String> {
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}
