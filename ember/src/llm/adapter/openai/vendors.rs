//! Services and programs that speak chat completions, as a table.
//!
//! What sets one apart from OpenAI is data: another one is another row. Addresses and members are
//! those of each vendor's own reference; what is read needs no row, as reading is tolerant of all.
//! Default models were chosen in November 2026 from what each vendor then offered.

/// A service, or a program on one's own machine, that speaks chat completions.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Vendor {
    /// What `LLM_PROVIDER` names it by.
    pub name: &'static str,
    /// Where it is.
    pub base_url: &'static str,
    /// The variable that holds its address, if it is elsewhere.
    pub base_url_env: &'static str,
    /// The variable that holds the key.
    pub api_key_env: &'static str,
    /// Whether it can do without a key.
    pub key_optional: bool,
    /// The variable that names the default model.
    pub model_env: &'static str,
    /// The model where no variable names one; empty where it depends on what is installed.
    pub default_model: &'static str,
    /// How it differs.
    pub quirks: Quirks,
}

/// How a vendor's requests differ from OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// The member that limits the tokens of an answer.
    pub max_tokens: &'static str,
    /// The member that makes choices repeatable.
    pub seed: &'static str,
    /// The word for "some tool must be called".
    pub required: &'static str,
    /// The member under which reasoning without a signature goes back.
    pub reasoning: Option<&'static str>,
    /// Whether `stream_options` is understood; others send the usage unasked.
    pub stream_options: bool,
    /// Whether a schema for the answer is understood.
    pub json_schema: bool,
    /// Whether ids of calls must be nine letters or digits.
    pub short_ids: bool,
    /// The member that says how many dimensions the vectors of texts have.
    pub dimensions: &'static str,
    /// How many texts a request for vectors holds.
    pub batch: usize,
    /// Members that are refused.
    pub refuses: &'static [&'static str],
}

impl Quirks {
    /// OpenAI's own ways.
    pub const NONE: Self = Self {
        max_tokens: "max_completion_tokens",
        seed: "seed",
        required: "required",
        reasoning: None,
        stream_options: true,
        json_schema: true,
        short_ids: false,
        dimensions: "dimensions",
        batch: 2_048,
        refuses: &[],
    };

    /// The ways of servers that know the older name of the limit only.
    const OLDER: Self = Self { max_tokens: "max_tokens", ..Self::NONE };
}

macro_rules! vendor {
    ($name:literal, $url:literal, $prefix:literal, key_optional: $optional:literal, model: $model:literal, $quirks:expr) => {
        Vendor {
            name: $name,
            base_url: $url,
            base_url_env: concat!($prefix, "_BASE_URL"),
            api_key_env: concat!($prefix, "_API_KEY"),
            key_optional: $optional,
            model_env: concat!($prefix, "_MODEL"),
            default_model: $model,
            quirks: $quirks,
        }
    };
}

/// The vendors that are known by name.
pub const VENDORS: [Vendor; 11] = [
    vendor!("ollama", "http://localhost:11434/v1", "OLLAMA", key_optional: true, model: "",
        Quirks { reasoning: Some("reasoning"), ..Quirks::OLDER }),
    vendor!("llamacpp", "http://localhost:8080/v1", "LLAMACPP", key_optional: true, model: "default",
        Quirks { reasoning: Some("reasoning_content"), ..Quirks::OLDER }),
    vendor!("vllm", "http://localhost:8000/v1", "VLLM", key_optional: true, model: "",
        Quirks::OLDER),
    vendor!("lmstudio", "http://localhost:1234/v1", "LMSTUDIO", key_optional: true, model: "",
        Quirks::OLDER),
    vendor!("groq", "https://api.groq.com/openai/v1", "GROQ", key_optional: false, model: "openai/gpt-oss-120b",
        Quirks::NONE),
    vendor!("mistral", "https://api.mistral.ai/v1", "MISTRAL", key_optional: false, model: "mistral-small-latest",
        Quirks { seed: "random_seed", required: "any", stream_options: false, short_ids: true,
            dimensions: "output_dimension", batch: 256, ..Quirks::OLDER }),
    vendor!("deepseek", "https://api.deepseek.com", "DEEPSEEK", key_optional: false, model: "deepseek-v4-flash",
        // An answer with calls is refused if its thoughts do not come back.
        Quirks { reasoning: Some("reasoning_content"), json_schema: false, refuses: &["seed"],
            ..Quirks::OLDER }),
    vendor!("xai", "https://api.x.ai/v1", "XAI", key_optional: false, model: "grok-4.3",
        Quirks::NONE),
    vendor!("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER", key_optional: false, model: "openrouter/auto",
        Quirks { reasoning: Some("reasoning"), ..Quirks::OLDER }),
    vendor!("together", "https://api.together.xyz/v1", "TOGETHER", key_optional: false, model: "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        Quirks::OLDER),
    vendor!("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS", key_optional: false, model: "gpt-oss-120b",
        Quirks { reasoning: Some("reasoning"), ..Quirks::NONE }),
];

impl Vendor {
    /// The vendor of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        VENDORS.iter().find(|vendor| vendor.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        for (at, vendor) in VENDORS.iter().enumerate() {
            let url: http::Uri = vendor.base_url.parse().unwrap();
            let local = url.host() == Some("localhost");
            assert_eq!(
                (vendor.key_optional, url.scheme_str()),
                (local, Some(if local { "http" } else { "https" }))
            );
            assert!(!vendor.base_url.ends_with('/'), "{}", vendor.name);
            assert!(!VENDORS[..at].iter().any(|other| other.name == vendor.name));
            assert!(vendor.api_key_env.ends_with("_API_KEY"));
        }
        assert_eq!(Vendor::find("groq").unwrap().api_key_env, "GROQ_API_KEY");
        assert!(Vendor::find("openai").is_none());
    }
}
