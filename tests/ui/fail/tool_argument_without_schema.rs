use ember::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Place {
    name: String,
}

/// Finds a place.
#[tool]
async fn find(place: Place) -> String {
    place.name
}

fn main() {}
