#[provider("ollama", api_key_env = "OLLAMA_API_KEY", model_env = "OLLAMA_MODEL", default_model = "llama3")]
struct Ollama {
    config: ProviderConfig,
}
