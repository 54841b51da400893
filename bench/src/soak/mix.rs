//! What the clients of a soak ask for.

use crate::Result;
use crate::gateway::KEY;
use crate::load::{Connection, Exchange};
use memchr::memmem;
use std::net::SocketAddr;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hello,
    Echo,
    Parameters,
    Chat,
    Abandoned,
    Tools,
    OpenAi,
    OpenAiStream,
    Cached,
    Limited,
    Visitor,
    NotFound,
    BadRequest,
    NotAllowed,
    Unauthorized,
    Broken,
}

/// How many turns a conversation has before another begins.
const TURNS: usize = 10;

/// How many different targets the cached route is asked for: more than it keeps.
const TARGETS: usize = 5_000;

impl Kind {
    pub(super) const ALL: [Self; 16] = [
        Self::Hello,
        Self::Chat,
        Self::Echo,
        Self::Abandoned,
        Self::Parameters,
        Self::Tools,
        Self::Cached,
        Self::OpenAi,
        Self::Limited,
        Self::OpenAiStream,
        Self::Visitor,
        Self::NotFound,
        Self::BadRequest,
        Self::NotAllowed,
        Self::Unauthorized,
        Self::Broken,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Echo => "JSON, there and back",
            Self::Parameters => "two path parameters",
            Self::Chat => "a conversation's turn, streamed",
            Self::Abandoned => "a streamed turn that is abandoned",
            Self::Tools => "an answer for which a tool is called",
            Self::OpenAi => "the OpenAI-compatible API, unary",
            Self::OpenAiStream => "the OpenAI-compatible API, streamed",
            Self::Cached => "a cached route",
            Self::Limited => "a route with a rate limit (200 or 429)",
            Self::Visitor => "a new visitor's session",
            Self::NotFound => "no such route (404)",
            Self::BadRequest => "a body that is no JSON (400)",
            Self::NotAllowed => "another method (405)",
            Self::Unauthorized => "a wrong key (401)",
            Self::Broken => "a handler that fails (500)",
        }
    }
}

/// One client's requests.
pub(super) struct Mix {
    client: usize,
    sent: usize,
    turns: usize,
}

impl Mix {
    pub(super) fn new(client: usize) -> Self {
        Self { client, sent: 0, turns: 0 }
    }

    /// Sends one request of a kind, over the connection if there is one still.
    pub(super) async fn send(
        &mut self,
        kind: Kind,
        address: SocketAddr,
        connection: &mut Option<Connection>,
    ) -> Result {
        self.sent += 1;
        let exchange = self.exchange(kind);
        if kind == Kind::Abandoned {
            // The reader goes away while the answer is on its way.
            return Connection::open(address).await?.subscribe(&exchange).await;
        }
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(address).await?,
        };
        let answer = open.exchange(&exchange).await?;
        if !answer.closes {
            *connection = Some(open);
        }
        Ok(())
    }

    fn exchange(&mut self, kind: Kind) -> Exchange {
        const ORDER: &str = r#"{"id":4711,"items":["punched card","gear","crank"]}"#;
        const MODEL: &str =
            r#""model":"gpt-4o","messages":[{"role":"user","content":"What does the model say?"}]"#;
        let any = |_: &[u8]| true;
        match kind {
            Kind::Hello => Exchange::get("/hello", |body| body == b"Hello, World!"),
            Kind::Echo => Exchange::post("/echo", ORDER, |body| body == ORDER.as_bytes()),
            Kind::Parameters => {
                let (user, post) = (self.client, self.sent);
                let answer = format!("post {post} of user {user}");
                Exchange::get(&format!("/users/{user}/posts/{post}"), move |body| {
                    body == answer.as_bytes()
                })
            }
            Kind::Chat => {
                self.turns += 1;
                Exchange::post("/chat", "What does the model say?", is_complete)
                    .header("accept", "text/event-stream")
                    .header("x-conversation-id", &self.conversation())
            }
            // Of another conversation, which a turn that is gone leaves without a trace.
            Kind::Abandoned => Exchange::post("/chat", "What does nobody hear?", any)
                .header("accept", "text/event-stream"),
            Kind::Tools => Exchange::post("/clock", "What time is it?", is_complete)
                .header("accept", "text/event-stream"),
            Kind::OpenAi => {
                let body = format!("{{{MODEL}}}");
                let is_right =
                    |body: &[u8]| memmem::find(body, b"\"finish_reason\":\"stop\"").is_some();
                Exchange::post("/v1/chat/completions", &body, is_right).bearer(KEY)
            }
            Kind::OpenAiStream => {
                let body = format!("{{{MODEL},\"stream\":true}}");
                Exchange::post("/v1/chat/completions", &body, is_complete).bearer(KEY)
            }
            Kind::Cached => {
                let number = (self.sent * 31 + self.client) % TARGETS;
                let answer = format!("number {number}");
                Exchange::get(&format!("/cached/{number}"), move |body| body == answer.as_bytes())
            }
            Kind::Limited => Exchange::get("/limited", any).statuses(&[200, 429]),
            Kind::Visitor => Exchange::get("/visit", |body| body == b"1"),
            Kind::NotFound => {
                Exchange::get(&format!("/nowhere/{}", self.sent), any).statuses(&[404])
            }
            Kind::BadRequest => Exchange::post("/echo", "{\"id\":", any).statuses(&[400]),
            Kind::NotAllowed => Exchange::post("/hello", "{}", any).statuses(&[405]),
            Kind::Unauthorized => {
                let body = format!("{{{MODEL}}}");
                Exchange::post("/v1/chat/completions", &body, any)
                    .bearer("sk-ember-wrong")
                    .statuses(&[401])
            }
            Kind::Broken => Exchange::get("/broken", any).statuses(&[500]),
        }
    }

    /// Of the form in which ids are issued, as strangers cannot choose another.
    fn conversation(&self) -> String {
        format!("{:016x}{:016x}", self.client, self.turns / TURNS)
    }
}

fn is_complete(body: &[u8]) -> bool {
    body.ends_with(b"data: [DONE]\n\n")
}
