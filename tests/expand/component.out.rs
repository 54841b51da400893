fn config(env: Env) -> Config {
    Config::read(&env)
}
const _: () = {
    use ::ember::__private as __ember;
    fn __build(components: &__ember::Components) -> __ember::BuildFuture<'_> {
        __ember::Box::pin(async move {
            let _ = components;
            let arg0 = __ember::cloned::<Env>(components)?;
            __ember::built(config(arg0))
        })
    }
    fn __needs(needs: &mut __ember::Vec<__ember::Need>) {
        needs.push(__ember::need_of::<Env>());
    }
    __ember::inventory::submit! {
        __ember::ComponentDescriptor::new:: < Config > ("config", __ember::Location {
        module : ::core::module_path!(), file : ::core::file!(), line : ::core::line!()
        }, __needs, __build, __ember::Option::None)
    }
};
async fn pool(config: Config, log: Component<Log>) -> Result<Pool> {
    Pool::open(config, log).await
}
const _: () = {
    use ::ember::__private as __ember;
    fn __build(components: &__ember::Components) -> __ember::BuildFuture<'_> {
        __ember::Box::pin(async move {
            let _ = components;
            let arg0 = __ember::cloned::<Config>(components)?;
            let arg1 = __ember::component::<Component<Log>>(components)?;
            __ember::built(pool(arg0, arg1).await?)
        })
    }
    fn __teardown(components: &__ember::Components) -> __ember::TeardownFuture<'_> {
        __ember::Box::pin(async move {
            __ember::outcome(close(__ember::component(components)?).await)
        })
    }
    fn __needs(needs: &mut __ember::Vec<__ember::Need>) {
        needs.push(__ember::need_of::<Config>());
        needs.push(<Component<Log> as __ember::FromComponents>::need());
    }
    __ember::inventory::submit! {
        __ember::ComponentDescriptor::new:: < < Result < Pool > as __ember::Fallible >
        ::Value > ("pool", __ember::Location { module : ::core::module_path!(), file :
        ::core::file!(), line : ::core::line!() }, __needs, __build,
        __ember::Option::Some(__teardown))
    }
};
