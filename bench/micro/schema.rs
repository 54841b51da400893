//! Schemas of types, and their lowering to what providers accept. Both happen at start-up.

use crate::{Area, Work};
use ember::base::schema::Dialect;
use ember::{JsonSchema, Schema};
use serde::Deserialize;
use std::hint::black_box;

pub(crate) const ALL: Area = &[
    ("schema/of a type", || Box::new(|| assert!(is_object(&Schema::of::<Order>())))),
    ("schema/lowered for OpenAI, strict", || lower(Dialect::OpenAiStrict)),
    ("schema/lowered for Anthropic", || lower(Dialect::Anthropic)),
    ("schema/lowered for Gemini", || lower(Dialect::GeminiSchema)),
];

fn lower(dialect: Dialect) -> Work {
    let schema = Schema::of::<Order>();
    Box::new(move || {
        let lowered = black_box(&schema).lower(dialect);
        assert!(lowered.schema["properties"].is_object());
    })
}

fn is_object(schema: &Schema) -> bool {
    schema.as_value()["properties"].is_object()
}

/// An order of a shop.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "what it holds is of no interest, but how it is described")]
struct Order {
    /// Its number.
    id: u64,
    /// Who has ordered.
    customer: Customer,
    /// What was ordered, at least one thing.
    items: Vec<Item>,
    /// What was said beside.
    note: Option<String>,
}

/// Somebody who orders.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "as above")]
struct Customer {
    name: String,
    email: Option<String>,
    kind: Kind,
}

/// What somebody is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "as above")]
enum Kind {
    Person,
    Company { vat: String },
}

/// So many of one thing.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "as above")]
struct Item {
    name: String,
    #[serde(default)]
    count: u32,
    price: f64,
}
