use super::Error;
use std::error::Error as StdError;

/// Says how the errors of another module are answered.
///
/// `?` turns any error into a 500, because [`Error`] cannot know the types of the
/// wings above it. A wing whose errors deserve better submits a class; the first
/// cause in the chain that a class recognises decides.
pub(crate) struct ErrorClass(pub(crate) fn(&(dyn StdError + 'static)) -> Option<Error>);

inventory::collect!(ErrorClass);

impl ErrorClass {
    pub(super) fn find(error: &(dyn StdError + 'static)) -> Option<Error> {
        std::iter::successors(Some(error), |&cause| cause.source())
            .find_map(|cause| inventory::iter::<Self>().find_map(|class| (class.0)(cause)))
    }
}
