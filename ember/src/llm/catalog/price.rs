use crate::llm::usage::Usage;
use crate::llm::usd::{ParseUsdError, Usd};

/// The prices of a model, each for a million tokens.
///
/// ```
/// use ember::llm::{Price, Usage};
///
/// let price = Price::per_million("0.15", "0.6")?.cache_read("0.075")?;
/// assert_eq!(price.cost(&Usage::new(1_000, 100)).unwrap().to_string(), "0.00021");
/// # Ok::<(), ember::llm::ParseUsdError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// For input that is read anew.
    pub input: Option<Usd>,
    /// For output, reasoning included.
    pub output: Option<Usd>,
    /// For input that the provider had cached; that of input where there is none.
    pub cache_read: Option<Usd>,
    /// For input that the provider caches for later; that of input where there is none.
    pub cache_write: Option<Usd>,
}

impl Price {
    /// Dollars for a million tokens of input and of output, as text: `"0.15"`.
    ///
    /// # Errors
    /// When one is no amount, or has more than six decimals.
    pub fn per_million(input: &str, output: &str) -> Result<Self, ParseUsdError> {
        Ok(Self { input: Some(million(input)?), output: Some(million(output)?), ..Self::default() })
    }

    /// Sets the price of a million tokens that the provider had cached.
    ///
    /// # Errors
    /// As [`Price::per_million`].
    pub fn cache_read(mut self, price: &str) -> Result<Self, ParseUsdError> {
        self.cache_read = Some(million(price)?);
        Ok(self)
    }

    /// Sets the price of a million tokens that the provider caches for later.
    ///
    /// # Errors
    /// As [`Price::per_million`].
    pub fn cache_write(mut self, price: &str) -> Result<Self, ParseUsdError> {
        self.cache_write = Some(million(price)?);
        Ok(self)
    }

    /// Tells whether there is a price of all that a call may use.
    pub(in crate::llm) fn is_whole(&self) -> bool {
        self.input.is_some() && self.output.is_some()
    }

    /// What no call of either price exceeds, if both are whole.
    pub(in crate::llm) fn or_higher(&self, other: &Self) -> Self {
        let cached = |price: &Self| price.cache_read.or(price.input);
        let written = |price: &Self| price.cache_write.or(price.input);
        Self {
            input: self.input.max(other.input).filter(|_| other.is_whole()),
            output: self.output.max(other.output).filter(|_| other.is_whole()),
            cache_read: cached(self).max(cached(other)),
            cache_write: written(self).max(written(other)),
        }
    }

    /// What a call costs; `None` where it used something whose price is unknown.
    pub fn cost(&self, usage: &Usage) -> Option<Usd> {
        let parts = [
            (usage.input_tokens, self.input),
            (usage.cache_read_tokens, self.cache_read.or(self.input)),
            (usage.cache_write_tokens, self.cache_write.or(self.input)),
            (usage.output_tokens, self.output),
            (usage.reasoning_tokens, self.output),
        ];
        let mut cost = Usd::ZERO;
        for (tokens, price) in parts {
            let tokens = tokens.unwrap_or(0);
            if tokens > 0 {
                cost += per_token(price?).times(tokens);
            }
        }
        Some(cost)
    }
}

/// Reads a price whose millionth part is a whole number of the smallest amount.
pub(super) fn million(text: &str) -> Result<Usd, ParseUsdError> {
    let price: Usd = text.parse()?;
    match price.picos() % 1_000_000 {
        0 => Ok(price),
        _ => Err(ParseUsdError),
    }
}

fn per_token(price: Usd) -> Usd {
    Usd::from_picos(price.picos() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_price_is_unknown() {
        let usage = Usage {
            input_tokens: Some(1_000_000),
            cache_read_tokens: Some(1_000_000),
            cache_write_tokens: Some(1_000_000),
            output_tokens: Some(1_000_000),
            reasoning_tokens: Some(1_000_000),
            estimated: false,
        };
        let price = Price::per_million("1", "10").unwrap();
        let cost = |price: Price| price.cost(&usage).map(|cost| cost.to_string());
        assert_eq!(
            cost(price).as_deref(),
            Some("23"),
            "without a price of its own, all input costs the same"
        );
        let cached = price.cache_read("0.1").unwrap().cache_write("1.25").unwrap();
        assert_eq!(cost(cached).as_deref(), Some("22.35"));
        assert_eq!(cost(Price { output: None, ..price }), None);
        assert_eq!(
            Price { output: None, ..price }.cost(&Usage::new(1, 0)).unwrap().to_string(),
            "0.000001"
        );
        assert!(Price::per_million("0.0000001", "1").is_err());
        assert_eq!(Price::default().cost(&Usage::default()), Some(Usd::ZERO));
    }
}
