/// What becomes of a turn whose reader goes away before the answer is complete.
///
/// In either case the model is called off at once, and what it has used is counted.
///
/// ```
/// use ember::ai::OnDisconnect;
/// use ember::prelude::*;
///
/// #[ai_route("/chat", on_disconnect = OnDisconnect::Keep)]
/// async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
///     conversation.stream(message).await
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// The turn is as if it had not been.
    #[default]
    RollBack,
    /// The question is remembered, and as much of the answer as the reader was sent, marked as
    /// [`cut`](crate::llm::Message::cut). A turn in which the model has not said anything yet is rolled back.
    Keep,
}
