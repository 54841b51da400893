async fn by_name(headers: HeaderMap, request: Request, next: Next) -> Response {
    next.run(request).await
}
const _: () = {
    use ::ember::__private as __ember;
    fn __make() -> __ember::BoxMiddleware {
        __ember::boxed_middleware(by_name)
    }
    const _: fn() -> __ember::BoxMiddleware = __make;
};
async fn by_itself(request: Request, next: Next) -> Response {
    next.run(request).await
}
const _: () = {
    use ::ember::__private as __ember;
    fn __make() -> __ember::BoxMiddleware {
        __ember::boxed_middleware(by_itself)
    }
    __ember::inventory::submit! {
        __ember::MiddlewareDescriptor::new("by_itself", __ember::Reach::Blueprint,
        __ember::Location { module : ::core::module_path!(), file : ::core::file!(), line
        : ::core::line!() }, __make)
    }
};
