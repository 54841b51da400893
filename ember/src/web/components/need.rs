use std::any::{Any, TypeId, type_name};
use std::fmt;

/// A type that must be provided before the application can start.
#[derive(Clone, Copy)]
pub struct Need {
    id: TypeId,
    name: &'static str,
    /// What a wing further down knows of the type, in its own words.
    word: Option<&'static (dyn Any + Send + Sync)>,
}

impl Need {
    /// The need for a value of type `T`.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>(), word: None }
    }

    /// Adds what is known of the type, for whoever understands it.
    pub(crate) fn with(self, word: &'static (dyn Any + Send + Sync)) -> Self {
        Self { word: Some(word), ..self }
    }

    /// Takes over what somebody else knows of the same type.
    pub(crate) fn learn(&mut self, other: Self) {
        self.word = self.word.or(other.word);
    }

    /// What is known of the type, if it is told in these words.
    pub(crate) fn word<W: Any>(&self) -> Option<&'static W> {
        self.word?.downcast_ref()
    }

    /// The name of the type, with its path.
    pub fn type_name(&self) -> &'static str {
        self.name
    }
}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Need {}

impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
