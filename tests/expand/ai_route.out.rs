/// Talks with a user.
async fn chat(
    conversation: ConversationContext,
    Json(body): Json<ChatBody>,
) -> Result<TokenStream> {
    conversation.stream(body.message).await
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
struct chat {}
const _: () = {
    use ::ember::__private as __ember;
    impl __ember::RouteItem for chat {
        const ROUTE: __ember::RouteDescriptor = __ember::RouteDescriptor::new::<
            Self,
        >(
                "chat",
                &["POST"],
                "/v1/chat",
                "Talks with a user.",
                __ember::Location {
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: ::core::line!(),
                },
            )
            .arguments(&["conversation"]);
        const HANDLE: __ember::HandlerFn = __ember::HandlerFn::OfRequest(|mut request| {
            __ember::Box::pin(async move {
                let arg0 = __ember::head::<ConversationContext, _>(&mut request).await?;
                let arg1 = __ember::last::<Json<ChatBody>, _>(request).await?;
                __ember::answer::<Result<TokenStream>>(chat(arg0, arg1).await)
            })
        });
        fn describe(operation: &mut __ember::Operation) {
            #[allow(unused_imports)]
            use __ember::describe::{
                DescribeBody as _, DescribeHead as _, DescribeNothing as _,
                DescribeOutput as _, DescribeType as _,
            };
            (&&__ember::Known::<ChatBody>::NEW).describe(operation);
            (&&__ember::Known::<TokenStream>::NEW).describe(operation);
            (&&&__ember::Input::<ConversationContext>::NEW).describe(operation);
            (&&&__ember::Input::<Json<ChatBody>>::NEW).describe(operation);
            (&&__ember::Output::<Result<TokenStream>>::NEW).describe(operation);
        }
        fn options(options: &mut __ember::RouteOptions) {
            __ember::AiOptions::of(options)
                .tools([
                    __ember::Tool::from(<get_weather as __ember::ToolItem>::TOOL),
                    __ember::Tool::from(<math::add as __ember::ToolItem>::TOOL),
                ]);
            __ember::AiOptions::of(options).model("small");
            __ember::AiOptions::of(options).system("Be brief.");
            __ember::AiOptions::of(options).openai_model("bot");
            __ember::AiOptions::of(options)
                .token_limits(TokenLimits::per_minute(60_000));
            __ember::AiOptions::of(options).semantic_cache(answers());
            __ember::AiOptions::of(options).stream(StreamDialect::Events);
            __ember::AiOptions::of(options).on_disconnect(OnDisconnect::Keep);
        }
    }
    __ember::inventory::submit! {
        < chat as __ember::RouteItem > ::ROUTE
    }
};
