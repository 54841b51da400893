/// A unit.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Celsius,
    Fahrenheit,
}

#[derive(JsonSchema)]
#[serde(default)]
struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    #[other]
    offset: u64,
}
