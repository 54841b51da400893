use std::any::{Any, TypeId, type_name};
use std::fmt;

/// A type that must be provided before the application can start.
#[derive(Clone, Copy)]
pub struct Need {
    id: TypeId,
    name: &'static str,
    /// What makes a value of the type, where an application does so by itself. Its kind is known to whoever uses it.
    maker: Option<&'static (dyn Any + Send + Sync)>,
}

impl Need {
    /// The need for a value of type `T`.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>(), maker: None }
    }

    /// Brings along what makes a value of the type.
    pub(crate) fn made_by(self, maker: &'static (dyn Any + Send + Sync)) -> Self {
        Self { maker: Some(maker), ..self }
    }

    /// Takes over what makes a value from another need for the same type.
    pub(crate) fn learn(&mut self, other: Self) {
        self.maker = self.maker.or(other.maker);
    }

    /// What makes a value, if it is of this kind.
    pub(crate) fn maker<M: Any>(&self) -> Option<&'static M> {
        self.maker?.downcast_ref()
    }

    /// What to do where nobody provides it.
    pub(crate) fn advice(&self) -> String {
        let name = self.name;
        format!(
            "add `.component(…)` with a `{name}` to the application, or a `#[component]` function that makes one"
        )
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
