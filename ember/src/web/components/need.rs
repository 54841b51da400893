use std::any::{TypeId, type_name};
use std::fmt;

/// A type that must be provided before the application can start.
#[derive(Clone, Copy)]
pub struct Need {
    id: TypeId,
    name: &'static str,
}

impl Need {
    /// The need for a value of type `T`.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
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
