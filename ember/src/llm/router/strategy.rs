use super::model::RoutedModel;
use super::needs::Needs;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// In which order the models of a router are asked. The first is asked, and where it fails the
/// call moves on to the next.
///
/// Models that lack what a request needs, and those that are to be left alone, are passed over whatever the
/// strategy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoutingStrategy {
    /// In the order in which they were given.
    #[default]
    Fallback,
    /// The one for which this request costs least, by the estimated prompt and the limit of the answer (500 tokens where
    /// there is none). One whose price is not known comes last.
    Cheapest,
    /// The one whose first token comes soonest, by a moving average. One that has not been measured for a minute gets
    /// the next request. Whole answers are asked for as streams, so that they are measured as well.
    Fastest,
    /// Each in its turn, by weight: with weights of 2 and 1, two of three requests, evenly spread.
    RoundRobin,
    /// Those that are known to have all that the request needs, and only then those of which it is not known; in
    /// the order in which they were given.
    Capability,
}

/// Each strategy, and what `EMBER_ROUTING` calls it.
const NAMES: [(&str, RoutingStrategy); 5] = [
    ("fallback", RoutingStrategy::Fallback),
    ("cheapest", RoutingStrategy::Cheapest),
    ("fastest", RoutingStrategy::Fastest),
    ("round_robin", RoutingStrategy::RoundRobin),
    ("capability", RoutingStrategy::Capability),
];

impl fmt::Display for RoutingStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, strategy)| strategy == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// A word that names no strategy. It says which was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseStrategyError(String);

impl fmt::Display for ParseStrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.map(|(name, _)| name);
        write!(f, "`{}` is no way of routing", self.0)?;
        match crate::base::nearest(names, &self.0) {
            Some(near) => write!(f, "; did you mean `{near}`? It can be {}", names.join(", ")),
            None => write!(f, "; it can be {}", names.join(", ")),
        }
    }
}

impl std::error::Error for ParseStrategyError {}

impl FromStr for RoutingStrategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, ParseStrategyError> {
        let word = text.trim().to_lowercase().replace('-', "_");
        let found = NAMES.iter().find(|(name, _)| *name == word);
        found.map(|(_, strategy)| *strategy).ok_or(ParseStrategyError(word))
    }
}

impl RoutingStrategy {
    /// Puts models in order; they are given by their places in the list of all, in its order. Without
    /// turns, nobody's turn is taken.
    pub(super) fn order(
        self,
        all: &[RoutedModel],
        mut places: Vec<usize>,
        needs: &Needs,
        turns: Option<&Turns>,
    ) -> Vec<usize> {
        match self {
            Self::Fallback => {}
            Self::Cheapest => {
                // A stable sort: of two that cost the same, the first remains the first.
                places.sort_by_cached_key(|place| {
                    let cost = all[*place].cost(needs);
                    (cost.is_none(), cost)
                });
            }
            Self::Fastest => {
                let mut to_explore = places.iter();
                let explored =
                    turns.and_then(|_| to_explore.position(|place| all[*place].gauge.explore()));
                let explored = explored.map(|at| places.remove(at));
                places.sort_by_cached_key(|place| {
                    let speed = all[*place].gauge.first_token();
                    (speed.is_none(), speed)
                });
                places.splice(0..0, explored);
            }
            Self::RoundRobin => {
                if let Some(place) = turns.and_then(|turns| turns.next(all, &places)) {
                    places.sort_by_key(|other| *other != place);
                }
            }
            Self::Capability => {
                places.sort_by_cached_key(|place| Reverse(needs.surely_met(&all[*place])));
            }
        }
        places
    }
}

/// Whose turn it is, by weight.
///
/// Smooth weighted round-robin, as nginx does it (`ngx_http_upstream_round_robin.c`): everybody gains its weight with each
/// turn, who has most has the turn, and pays for it what all have gained together. So a heavy one has its turns
/// spread among those of the others.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<usize, i64>>);

impl Turns {
    fn next(&self, all: &[RoutedModel], places: &[usize]) -> Option<usize> {
        let weights: Vec<_> = places.iter().map(|place| (*place, all[*place].weight)).collect();
        self.turn(&weights)
    }

    fn turn(&self, weights: &[(usize, u32)]) -> Option<usize> {
        let mut gained = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        let mut best: Option<(i64, usize)> = None;
        for (place, weight) in weights {
            let weight = i64::from(*weight);
            let own = gained.entry(*place).or_default();
            *own += weight;
            total += weight;
            if best.is_none_or(|(most, _)| *own > most) {
                best = Some((*own, *place));
            }
        }
        let (_, place) = best?;
        *gained.entry(place).or_default() -= total;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_by_weight() {
        let turns = Turns::default();
        let take = |weights: &[(usize, u32)], count: usize| -> Vec<usize> {
            (0..count).map(|_| turns.turn(weights).unwrap()).collect()
        };
        assert_eq!(take(&[(0, 5), (1, 1), (2, 1)], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(take(&[(1, 1), (2, 1)], 4), [1, 2, 1, 2], "one is away");
        assert_eq!(turns.turn(&[]), None);
    }

    #[test]
    fn names_are_read_and_mistakes_are_told() {
        for (name, strategy) in NAMES {
            assert_eq!(name.parse(), Ok(strategy));
            assert_eq!(strategy.to_string(), name);
        }
        assert_eq!(" Round-Robin ".parse(), Ok(RoutingStrategy::RoundRobin));
        let error = "cheepest".parse::<RoutingStrategy>().unwrap_err().to_string();
        assert!(
            error.starts_with("`cheepest` is no way of routing; did you mean `cheapest`?"),
            "{error}"
        );
    }
}
