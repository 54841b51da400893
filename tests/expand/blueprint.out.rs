const _: () = {
    use ::ember::__private as __ember;
    fn __options(options: &mut __ember::RouteOptions) {
        options.tags(["tasks"]);
        options.middleware(log);
        options.middleware(RateLimit::per_minute(60));
        __ember::AiOptions::of(options).token_limits(limits());
    }
    __ember::inventory::submit! {
        __ember::BlueprintDescriptor::new("/tasks", __ember::Location { module :
        ::core::module_path!(), file : ::core::file!(), line : ::core::line!() },
        __options)
    }
};
