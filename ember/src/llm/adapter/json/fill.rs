use super::reader::{Reader, Refused, Result};
use super::{AnyText, Raw, WireText};
use smallvec::{Array, SmallVec};

/// What can be read into its place.
///
/// serde makes a value and moves it to where it belongs, one level after the other, and with structures of
/// some hundred bytes the moves cost as much as the reading.
pub(in crate::llm::adapter) trait Fill<'a> {
    /// Reads the next value.
    ///
    /// # Errors
    /// When it is not to be taken; what stands in the place then is of no use.
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()>;
}

impl<'a, T: Fill<'a> + Default> Fill<'a> for Option<T> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        match reader.null()? {
            true => Ok(()),
            false => self.insert(T::default()).fill(reader),
        }
    }
}

impl<'a, A: Array<Item: Fill<'a> + Default>> Fill<'a> for SmallVec<A> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        reader.array(|reader| {
            self.push(A::Item::default());
            self.last_mut().ok_or(Refused)?.fill(reader)
        })
    }
}

impl<'a> Fill<'a> for u64 {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        *self = reader.whole_number()?;
        Ok(())
    }
}

impl<'a> Fill<'a> for WireText<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0 = reader.text()?;
        Ok(())
    }
}

impl<'a> Fill<'a> for AnyText<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        match reader.is_at_text() {
            true => self.0.insert(WireText::default()).fill(reader),
            false => reader.pass(),
        }
    }
}

impl<'a> Fill<'a> for Raw<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0 = reader.raw()?;
        Ok(())
    }
}

/// Defines what an object is read into: each field with the names of its member, for serde and for [`Fill`] alike.
///
/// A member that is not there leaves the default in its place; others are passed over, and one that comes twice
/// is refused.
macro_rules! wire {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident<$lifetime:lifetime> { $($fields:tt)* }) => {
        wire! { @ <$lifetime> $name<$lifetime> [$(#[$attribute])* $visibility struct $name<$lifetime>] $($fields)* }
    };
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($fields:tt)* }) => {
        wire! { @ <'a> $name [$(#[$attribute])* $visibility struct $name] $($fields)* }
    };
    (
        @ <$lifetime:lifetime> $type:ty [$($head:tt)*]
        $(
            $(#[$attribute:meta])*
            $visibility:vis $field:ident: $value:ty = $member:literal $(| $alias:literal)*
        ),+ $(,)?
    ) => {
        #[derive(Debug, Default, serde::Deserialize)]
        $($head)* {
            $(
                $(#[$attribute])*
                #[serde(default, rename = $member $(, alias = $alias)*)]
                $visibility $field: $value
            ),+
        }

        impl<$lifetime> $crate::llm::adapter::json::Fill<$lifetime> for $type {
            fn fill(
                &mut self,
                reader: &mut $crate::llm::adapter::json::Reader<$lifetime>,
            ) -> $crate::llm::adapter::json::Filled<()> {
                $(let mut $field = false;)+
                reader.object(|reader, name| match name {
                    $($member $(| $alias)* => {
                        if std::mem::replace(&mut $field, true) {
                            return Err($crate::llm::adapter::json::Refused);
                        }
                        self.$field.fill(reader)
                    })+
                    _ => reader.pass(),
                })
            }
        }
    };
}
pub(in crate::llm::adapter) use wire;
