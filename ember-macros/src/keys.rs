//! The words that attributes understand, each in one place.

/// Another path to the `ember` crate, for a dependency that was renamed. Understood everywhere.
pub(crate) const CRATE: &str = "crate";

pub(crate) const CACHE: &str = "cache";
pub(crate) const DEPRECATED: &str = "deprecated";
pub(crate) const HIDDEN: &str = "hidden";
pub(crate) const HOST: &str = "host";
pub(crate) const HOSTS: &str = "hosts";
pub(crate) const LIMITS: &str = "limits";
pub(crate) const METHODS: &str = "methods";
pub(crate) const MIDDLEWARE: &str = "middleware";
pub(crate) const PREFIX: &str = "prefix";
pub(crate) const SECURITY: &str = "security";
pub(crate) const STATUS: &str = "status";
pub(crate) const SUMMARY: &str = "summary";
pub(crate) const TAGS: &str = "tags";

/// The options that are switched on or off.
pub(crate) const SWITCHES: &[&str] = &[DEPRECATED, HIDDEN];

pub(crate) const SCOPE: &str = "scope";
pub(crate) const TEARDOWN: &str = "teardown";

pub(crate) const ON_DISCONNECT: &str = "on_disconnect";
pub(crate) const STREAM: &str = "stream";
pub(crate) const MODEL: &str = "model";
pub(crate) const OPENAI_MODEL: &str = "openai_model";
pub(crate) const SEMANTIC_CACHE: &str = "semantic_cache";
pub(crate) const SPEND_LIMIT: &str = "spend_limit";
pub(crate) const SYSTEM: &str = "system";
pub(crate) const TOKEN_LIMITS: &str = "token_limits";
pub(crate) const TOOLS: &str = "tools";

pub(crate) const DESCRIPTION: &str = "description";
pub(crate) const MAX_CALLS: &str = "max_calls";
pub(crate) const STRICT: &str = "strict";
pub(crate) const NAME: &str = "name";
pub(crate) const TIMEOUT: &str = "timeout";

pub(crate) const API_KEY_ENV: &str = "api_key_env";
pub(crate) const BASE_URL_ENV: &str = "base_url_env";
pub(crate) const DEFAULT_MODEL: &str = "default_model";
pub(crate) const MODEL_ENV: &str = "model_env";

pub(crate) const KIND: &str = "kind";
pub(crate) const MAKE: &str = "make";

/// The attribute of a tool's argument that gives its default.
pub(crate) const DEFAULT: &str = "default";
