#[component]
fn config(env: Env) -> Config {
    Config::read(&env)
}

#[component(teardown = close)]
async fn pool(config: Config, log: Component<Log>) -> Result<Pool> {
    Pool::open(config, log).await
}
