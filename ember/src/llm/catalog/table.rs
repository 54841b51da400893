use super::model::{Capability, Model};
use super::price::{Price, million};
use std::sync::{Arc, LazyLock};

/// The table, sorted by provider and id.
pub(super) static TABLE: LazyLock<Vec<Arc<Model>>> = LazyLock::new(|| {
    let lines = include_str!("catalog.csv").lines().filter(|line| !line.starts_with('#'));
    // A line that does not parse would be a model that is unknown; a test sees that none is.
    let mut table: Vec<_> = lines.filter_map(parse).map(Arc::new).collect();
    table.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    table
});

fn parse(line: &str) -> Option<Model> {
    let fields: Vec<_> = line.split(',').collect();
    let [provider, id, kind, window, output, prices @ .., letters, dimensions, deprecated] =
        &fields[..]
    else {
        return None;
    };
    let [input, answer, read, write] = prices else { return None };
    let price = |text: &str| match text {
        "" => Some(None),
        text => million(text).ok().map(Some),
    };
    Some(Model {
        context_window: number(window)?,
        max_output: number(output)?,
        price: Price {
            input: price(input)?,
            output: price(answer)?,
            cache_read: price(read)?,
            cache_write: price(write)?,
        },
        dimensions: number(dimensions)?,
        deprecated_from: Some(*deprecated).filter(|day| !day.is_empty()).map(Into::into),
        embeds: *kind == "e",
        capabilities: LETTERS
            .iter()
            .filter(|(letter, _)| letters.contains(*letter))
            .map(|(_, capability)| *capability)
            .collect(),
        ..Model::new(*provider, *id)
    })
}

/// A number, or nothing; `None` where it is neither.
fn number<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

/// Each capability, and its letter in the table.
const LETTERS: [(char, Capability); 6] = [
    ('t', Capability::Tools),
    ('p', Capability::ParallelTools),
    ('j', Capability::JsonSchema),
    ('v', Capability::Vision),
    ('r', Capability::Reasoning),
    ('c', Capability::PromptCaching),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("catalog.csv").lines().filter(|line| !line.starts_with('#'));
        for line in lines.clone() {
            let model = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(model.price.input.is_some(), "{line}");
        }
        assert_eq!(TABLE.len(), lines.count());
        assert!(TABLE.len() > 250);
        assert!(
            TABLE.is_sorted_by(|a, b| (&a.provider, &a.id) < (&b.provider, &b.id)),
            "no model twice"
        );
    }
}
