/// The current weather in a city.
///
/// # Errors
/// This is not for the model.
async fn get_weather(city: String, unit: Unit) -> Result<Weather, ToolError> {
    weather(city, unit).await
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
struct get_weather {}
const _: () = {
    use ::ember::__private as __ember;
    fn __default1() -> Unit {
        Unit::Celsius
    }
    impl __ember::ToolItem for get_weather {
        const TOOL: __ember::ToolDescriptor = __ember::ToolDescriptor::new::<
            Self,
        >(
            "get_weather",
            "The current weather in a city.",
            __ember::Location {
                module: ::core::module_path!(),
                file: ::core::file!(),
                line: ::core::line!(),
            },
        );
        fn parameters(parameters: &mut __ember::Parameters) {
            parameters.add::<String>("city", "Name of the city, for example \"Paris\".");
            parameters
                .add_or::<
                    Unit,
                >(
                    "unit",
                    "Unit of the temperature.",
                    __ember::default_json!(__default1()),
                );
        }
        fn call(mut arguments: __ember::Arguments) -> __ember::ToolFuture {
            #[allow(unused_imports)]
            use __ember::{ToolResultKind as _, ToolValueKind as _};
            __ember::Box::pin(async move {
                let (
                    ::core::option::Option::Some(arg0),
                    ::core::option::Option::Some(arg1),
                ) = (
                    arguments.take::<String>("city"),
                    arguments.take_or::<Unit>("unit", __default1),
                ) else {
                    return ::core::result::Result::Err(arguments.refuse());
                };
                arguments.finish()?;
                let __result = get_weather(arg0, arg1).await;
                (&&__ember::ToolOutput::of(&__result)).kind().write(__result)
            })
        }
    }
    __ember::inventory::submit! {
        < get_weather as __ember::ToolItem > ::TOOL
    }
};
fn get_current_time() -> String {
    time()
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
struct get_current_time {}
const _: () = {
    use ::ember::__private as __ember;
    impl __ember::ToolItem for get_current_time {
        const TOOL: __ember::ToolDescriptor = __ember::ToolDescriptor::new::<
            Self,
        >(
            "now",
            "The time.",
            __ember::Location {
                module: ::core::module_path!(),
                file: ::core::file!(),
                line: ::core::line!(),
            },
        );
        fn parameters(_: &mut __ember::Parameters) {}
        fn call(arguments: __ember::Arguments) -> __ember::ToolFuture {
            #[allow(unused_imports)]
            use __ember::{ToolResultKind as _, ToolValueKind as _};
            __ember::Box::pin(async move {
                arguments.finish()?;
                let __result = __ember::blocking(move || get_current_time()).await;
                (&&__ember::ToolOutput::of(&__result)).kind().write(__result)
            })
        }
        fn options(options: &mut __ember::ToolOptions) {
            options.timeout(secs(1));
        }
    }
    __ember::inventory::submit! {
        < get_current_time as __ember::ToolItem > ::TOOL
    }
};
async fn count_tasks(tasks: Component<Tasks>, at_least: Option<u8>) -> usize {
    tasks.count(at_least)
}
#[doc(hidden)]
#[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
struct count_tasks {}
const _: () = {
    use ::ember::__private as __ember;
    impl __ember::ToolItem for count_tasks {
        const TOOL: __ember::ToolDescriptor = __ember::ToolDescriptor::new::<
            Self,
        >(
            "count_tasks",
            "",
            __ember::Location {
                module: ::core::module_path!(),
                file: ::core::file!(),
                line: ::core::line!(),
            },
        );
        fn parameters(parameters: &mut __ember::Parameters) {
            parameters.add::<Option<u8>>("at_least", "");
        }
        fn needs(needs: &mut __ember::ToolNeeds) {
            <Component<Tasks> as __ember::FromToolContext>::describe(needs);
        }
        fn call(mut arguments: __ember::Arguments) -> __ember::ToolFuture {
            #[allow(unused_imports)]
            use __ember::{ToolResultKind as _, ToolValueKind as _};
            __ember::Box::pin(async move {
                let (::core::option::Option::Some(arg1),) = (
                    arguments.take::<Option<u8>>("at_least"),
                ) else {
                    return ::core::result::Result::Err(arguments.refuse());
                };
                let arg0 = arguments.supply::<Component<Tasks>>()?;
                arguments.finish()?;
                let __result = count_tasks(arg0, arg1).await;
                (&&__ember::ToolOutput::of(&__result)).kind().write(__result)
            })
        }
    }
    __ember::inventory::submit! {
        < count_tasks as __ember::ToolItem > ::TOOL
    }
};
