/// One task.
pub async fn task(id: u64, db: Component<Db>) -> Result<Json<Task>> {
    db.task(id)
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
pub struct task {}
const _: () = {
    use ::ember::__private as __ember;
    impl __ember::RouteItem for task {
        const ROUTE: __ember::RouteDescriptor = __ember::RouteDescriptor::new::<
            Self,
        >(
                "task",
                &["GET"],
                "/tasks/{id}",
                "One task.",
                __ember::Location {
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: ::core::line!(),
                },
            )
            .arguments(&["db"]);
        const HANDLE: __ember::HandlerFn = __ember::HandlerFn::OfRequest(|request| {
            __ember::Box::pin(async move {
                let arg0 = __ember::path::<u64>(&request, "id")?;
                let arg1 = __ember::last::<Component<Db>, _>(request).await?;
                __ember::answer::<Result<Json<Task>>>(task(arg0, arg1).await)
            })
        });
        fn describe(operation: &mut __ember::Operation) {
            #[allow(unused_imports)]
            use __ember::describe::{
                DescribeBody as _, DescribeHead as _, DescribeNothing as _,
                DescribeOutput as _, DescribeType as _,
            };
            (&&__ember::Known::<u64>::NEW).describe(operation);
            (&&__ember::Known::<Db>::NEW).describe(operation);
            (&&__ember::Known::<Json<Task>>::NEW).describe(operation);
            (&&__ember::Known::<Task>::NEW).describe(operation);
            operation.path_parameter::<u64>("id", "");
            (&&&__ember::Input::<Component<Db>>::NEW).describe(operation);
            (&&__ember::Output::<Result<Json<Task>>>::NEW).describe(operation);
        }
        fn options(options: &mut __ember::RouteOptions) {
            options.cache(TtlCache::new(secs(30)));
        }
    }
    __ember::inventory::submit! {
        < task as __ember::RouteItem > ::ROUTE
    }
};
async fn hello() -> &'static str {
    "Hello"
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
struct hello {}
const _: () = {
    use ::ember::__private as __ember;
    impl __ember::RouteItem for hello {
        const ROUTE: __ember::RouteDescriptor = __ember::RouteDescriptor::new::<
            Self,
        >(
            "hello",
            &["GET"],
            "/hello",
            "",
            __ember::Location {
                module: ::core::module_path!(),
                file: ::core::file!(),
                line: ::core::line!(),
            },
        );
        const HANDLE: __ember::HandlerFn = __ember::HandlerFn::OfNothing(|| {
            __ember::Box::pin(async move {
                __ember::answer::<&'static str>(hello().await)
            })
        });
        fn describe(operation: &mut __ember::Operation) {
            #[allow(unused_imports)]
            use __ember::describe::{
                DescribeBody as _, DescribeHead as _, DescribeNothing as _,
                DescribeOutput as _, DescribeType as _,
            };
            (&&__ember::Known::<str>::NEW).describe(operation);
            (&&__ember::Output::<&'static str>::NEW).describe(operation);
        }
    }
    __ember::inventory::submit! {
        < hello as __ember::RouteItem > ::ROUTE
    }
};
async fn change(Json(change): Json<Change>, id: u64, user: User) -> impl IntoResponse {
    user.change(id, change)
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
struct change {}
const _: () = {
    use ::ember::__private as __ember;
    impl __ember::RouteItem for change {
        const ROUTE: __ember::RouteDescriptor = __ember::RouteDescriptor::new::<
            Self,
        >(
                "change",
                &["PUT", "PATCH"],
                "/tasks/{id}",
                "",
                __ember::Location {
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: ::core::line!(),
                },
            )
            .arguments(&["user"]);
        const HANDLE: __ember::HandlerFn = __ember::HandlerFn::OfRequest(|mut request| {
            __ember::Box::pin(async move {
                let arg0 = __ember::head::<Json<Change>, _>(&mut request).await?;
                let arg1 = __ember::path::<u64>(&request, "id")?;
                let arg2 = __ember::last::<User, _>(request).await?;
                __ember::answer(change(arg0, arg1, arg2).await)
            })
        });
        fn describe(operation: &mut __ember::Operation) {
            #[allow(unused_imports)]
            use __ember::describe::{
                DescribeBody as _, DescribeHead as _, DescribeNothing as _,
                DescribeOutput as _, DescribeType as _,
            };
            (&&__ember::Known::<Change>::NEW).describe(operation);
            (&&__ember::Known::<u64>::NEW).describe(operation);
            (&&&__ember::Input::<Json<Change>>::NEW).describe(operation);
            operation.path_parameter::<u64>("id", "");
            (&&&__ember::Input::<User>::NEW).describe(operation);
        }
    }
    __ember::inventory::submit! {
        < change as __ember::RouteItem > ::ROUTE
    }
};
