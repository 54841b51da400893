/// A provider's idea of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI, where the schema is a hint.
    OpenAi,
    /// OpenAI with `strict: true`: the answer is constrained to the schema.
    OpenAiStrict,
    /// Anthropic, where the schema is a hint.
    Anthropic,
    /// Anthropic with `strict: true` or `output_config`: the answer is constrained to the schema.
    AnthropicStrict,
    /// Gemini's `parametersJsonSchema` and `responseJsonSchema`: JSON Schema.
    Gemini,
    /// Gemini's `parameters` and `responseSchema`: a subset of OpenAPI's kind of schema, to which
    /// the answer is constrained.
    GeminiSchema,
}

impl Dialect {
    /// The dialect of the same provider that promises less and accepts more.
    pub(super) fn plain(self) -> Self {
        match self {
            Self::OpenAi | Self::OpenAiStrict => Self::OpenAi,
            Self::Anthropic | Self::AnthropicStrict => Self::Anthropic,
            Self::Gemini | Self::GeminiSchema => Self::Gemini,
        }
    }

    pub(super) fn rules(self) -> &'static Rules {
        match self {
            Self::OpenAi | Self::Anthropic | Self::Gemini => &PLAIN,
            Self::OpenAiStrict => &OPENAI_STRICT,
            Self::AnthropicStrict => &ANTHROPIC_STRICT,
            Self::GeminiSchema => &GEMINI_SCHEMA,
        }
    }
}

/// What a dialect accepts, as data.
#[derive(Debug)]
pub(super) struct Rules {
    /// Whether the provider enforces the schema; the other rules only matter if it does.
    pub(super) strict: bool,
    /// Every property must be listed as required; an optional one is made nullable.
    pub(super) all_required: bool,
    /// Objects are said to have no other members; otherwise nothing is said.
    pub(super) closed: bool,
    /// What is said of JSON Schema is said in OpenAPI's words instead, without references.
    pub(super) openapi: bool,
    /// References may lead back to themselves.
    pub(super) recursion: bool,
    /// `const` is known; otherwise it is said as an `enum` of one.
    pub(super) constants: bool,
    /// Constraints that are enforced.
    pub(super) constraints: &'static [&'static str],
    /// The greatest `minItems` that is enforced.
    pub(super) max_min_items: u64,
    /// Values of `format` that are enforced.
    pub(super) formats: &'static [&'static str],
    /// How deep objects may nest.
    pub(super) max_depth: usize,
    /// How many properties there may be in all.
    pub(super) max_properties: usize,
}

const PLAIN: Rules = Rules {
    strict: false,
    all_required: false,
    closed: false,
    openapi: false,
    recursion: true,
    constants: true,
    constraints: &[],
    max_min_items: u64::MAX,
    formats: &[],
    max_depth: usize::MAX,
    max_properties: usize::MAX,
};

// https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas".
const OPENAI_STRICT: Rules = Rules {
    strict: true,
    all_required: true,
    closed: true,
    openapi: false,
    recursion: true,
    constants: true,
    constraints: &[
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ],
    max_min_items: u64::MAX,
    formats: &[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
    ],
    max_depth: 10,
    max_properties: 5_000,
};

// https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs, "JSON Schema limitations".
const ANTHROPIC_STRICT: Rules = Rules {
    strict: true,
    all_required: false,
    closed: true,
    openapi: false,
    recursion: false,
    constants: false,
    constraints: &["format", "minItems"],
    max_min_items: 1,
    formats: &[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ],
    max_depth: usize::MAX,
    max_properties: usize::MAX,
};

// https://ai.google.dev/api/caching#Schema
const GEMINI_SCHEMA: Rules = Rules {
    strict: true,
    all_required: false,
    closed: false,
    openapi: true,
    recursion: false,
    constants: false,
    constraints: &["format", "minimum", "maximum", "minItems", "maxItems"],
    max_min_items: u64::MAX,
    formats: &["enum", "date-time"],
    max_depth: usize::MAX,
    max_properties: usize::MAX,
};
