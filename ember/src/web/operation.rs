use super::components::Need;

/// What a route needs and does, as far as the types of its function tell.
///
/// Each extractor and each response adds its part. The start-up check reads the needs.
#[derive(Debug, Clone, Default)]
pub struct Operation {
    needs: Vec<Need>,
    touches_response: bool,
}

impl Operation {
    /// An operation of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a component of type `T` must be provided.
    pub fn needs<T: ?Sized + 'static>(&mut self) -> &mut Self {
        self.requires(Need::of::<T>())
    }

    /// Says that a component must be provided.
    pub fn requires(&mut self, need: Need) -> &mut Self {
        if !self.needs.contains(&need) {
            self.needs.push(need);
        }
        self
    }

    /// Says that an extractor changes the response: see [`RequestParts::on_response`](super::RequestParts::on_response).
    pub fn touches_response(&mut self) -> &mut Self {
        self.touches_response = true;
        self
    }

    pub(crate) fn response_is_touched(&self) -> bool {
        self.touches_response
    }

    /// The components that must be provided.
    pub fn all_needs(&self) -> impl Iterator<Item = Need> {
        self.needs.iter().copied()
    }
}
