async fn migrate(pool: Component<Pool>, config: Config) -> Result {
    pool.migrate(config).await
}
const _: () = {
    use ::ember::__private as __ember;
    fn __run(components: &__ember::Components) -> __ember::HookFuture<'_, ()> {
        __ember::Box::pin(async move {
            let _ = components;
            let arg0 = __ember::component::<Component<Pool>>(components)?;
            let arg1 = __ember::cloned::<Config>(components)?;
            __ember::outcome::<Result>(migrate(arg0, arg1).await)
        })
    }
    fn __describe(operation: &mut __ember::Operation) {
        operation.requires(<Component<Pool> as __ember::FromComponents>::need());
        operation.requires(__ember::need_of::<Config>());
    }
    __ember::inventory::submit! {
        __ember::HookDescriptor::new("migrate", __ember::HookEvent::BeforeServerStart,
        __ember::Reach::Blueprint, __ember::Location { module : ::core::module_path!(),
        file : ::core::file!(), line : ::core::line!() },
        __ember::HookRun::Server(__run), __describe,)
    }
};
async fn gate(headers: HeaderMap) -> Option<Response> {
    None
}
const _: () = {
    use ::ember::__private as __ember;
    fn __run(
        parts: &mut __ember::RequestParts,
    ) -> __ember::HookFuture<'_, __ember::Option<__ember::Response>> {
        __ember::Box::pin(async move {
            let _ = &parts;
            let arg0 = __ember::part::<HeaderMap>(parts).await?;
            __ember::before_outcome::<Option<Response>>(gate(arg0).await)
        })
    }
    fn __describe(operation: &mut __ember::Operation) {
        let _ = &operation;
        <HeaderMap as __ember::FromRequestParts>::describe(operation);
        operation.problems();
    }
    __ember::inventory::submit! {
        __ember::HookDescriptor::new("gate", __ember::HookEvent::BeforeEndpoint,
        __ember::Reach::Blueprint, __ember::Location { module : ::core::module_path!(),
        file : ::core::file!(), line : ::core::line!() },
        __ember::HookRun::Before(__run), __describe,)
    }
};
async fn stamp(response: Response, uri: Uri) -> Response {
    response
}
const _: () = {
    use ::ember::__private as __ember;
    fn __run(
        response: __ember::Response,
        parts: &mut __ember::RequestParts,
    ) -> __ember::HookFuture<'_, __ember::Response> {
        __ember::Box::pin(async move {
            let _ = &parts;
            let arg0 = __ember::part::<Uri>(parts).await?;
            __ember::answer::<Response>(stamp(response, arg0).await)
        })
    }
    fn __describe(operation: &mut __ember::Operation) {
        let _ = &operation;
        <Uri as __ember::FromRequestParts>::describe(operation);
    }
    __ember::inventory::submit! {
        __ember::HookDescriptor::new("stamp", __ember::HookEvent::AfterEndpoint,
        __ember::Reach::App, __ember::Location { module : ::core::module_path!(), file :
        ::core::file!(), line : ::core::line!() }, __ember::HookRun::After(__run),
        __describe,)
    }
};
