use ember::llm::{ChatRequest, ChatResponse, Client, Error};
use ember::testing::TestResponse;

/// Asks for a whole answer, or for a streamed one and takes it to its end: it must come to the same.
pub async fn ask(
    client: &Client,
    request: impl Into<ChatRequest>,
    streamed: bool,
) -> Result<ChatResponse, Error> {
    match streamed {
        true => client.stream(request).await?.collect().await,
        false => client.complete(request).await,
    }
}

/// The number in a header that must be there.
#[track_caller]
pub fn number(response: &TestResponse, header: &str) -> u64 {
    response.header(header).unwrap_or_else(|| panic!("{header}")).parse().unwrap()
}
