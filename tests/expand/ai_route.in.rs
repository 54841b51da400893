/// Talks with a user.
#[ai_route("/v1/chat", tools = [get_weather, math::add], model = "small", system = "Be brief.", openai_model = "bot", token_limits = TokenLimits::per_minute(60_000), semantic_cache = answers(), stream = StreamDialect::Events, on_disconnect = OnDisconnect::Keep)]
async fn chat(conversation: ConversationContext, Json(body): Json<ChatBody>) -> Result<TokenStream> {
    conversation.stream(body.message).await
}
