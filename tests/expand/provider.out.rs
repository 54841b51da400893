struct Ollama {
    config: ProviderConfig,
}
const _: () = {
    use ::ember::__private as __ember;
    __ember::inventory::submit! {
        __ember::ProviderDescriptor::new:: < Ollama > ("ollama", __ember::Location {
        module : ::core::module_path!(), file : ::core::file!(), line : ::core::line!()
        }).api_key_env("OLLAMA_API_KEY").model_env("OLLAMA_MODEL")
        .default_model("llama3")
    }
};
