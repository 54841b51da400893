async fn nothing_here(error: &Error, uri: Uri) -> Html<String> {
    Html(uri.to_string())
}
const _: () = {
    use ::ember::__private as __ember;
    fn __run<'a>(
        error: &'a __ember::Error,
        parts: &'a mut __ember::RequestParts,
    ) -> __ember::CatchFuture<'a> {
        __ember::Box::pin(async move {
            let _ = &parts;
            let arg0 = __ember::part::<Uri>(parts).await?;
            __ember::answer::<Html<String>>(nothing_here(error, arg0).await)
        })
    }
    fn __describe(operation: &mut __ember::Operation) {
        let _ = &operation;
        <Uri as __ember::FromRequestParts>::describe(operation);
        #[allow(unused_imports)]
        use __ember::describe::{
            DescribeNothing as _, DescribeOutput as _, DescribeType as _,
        };
        (&&__ember::Known::<String>::NEW).describe(operation);
        operation
            .failures(|operation| {
                (&&__ember::Output::<Html<String>>::NEW).describe(operation)
            });
    }
    __ember::inventory::submit! {
        __ember::CatcherDescriptor::new("nothing_here", __ember::Catches::Status(404),
        __ember::Reach::Blueprint, __ember::Location { module : ::core::module_path!(),
        file : ::core::file!(), line : ::core::line!() }, __run, __describe)
    }
};
async fn conflict(error: &Error) -> &'static str {
    "later"
}
const _: () = {
    use ::ember::__private as __ember;
    fn __run<'a>(
        error: &'a __ember::Error,
        parts: &'a mut __ember::RequestParts,
    ) -> __ember::CatchFuture<'a> {
        __ember::Box::pin(async move {
            let _ = &parts;
            __ember::answer::<&'static str>(conflict(error).await)
        })
    }
    fn __describe(operation: &mut __ember::Operation) {
        let _ = &operation;
        #[allow(unused_imports)]
        use __ember::describe::{
            DescribeNothing as _, DescribeOutput as _, DescribeType as _,
        };
        (&&__ember::Known::<str>::NEW).describe(operation);
        operation
            .failures(|operation| {
                (&&__ember::Output::<&'static str>::NEW).describe(operation)
            });
    }
    __ember::inventory::submit! {
        __ember::CatcherDescriptor::new("conflict",
        __ember::Catches::Kind(ErrorKind::Conflict), __ember::Reach::App,
        __ember::Location { module : ::core::module_path!(), file : ::core::file!(), line
        : ::core::line!() }, __run, __describe).of_error_alone()
    }
};
