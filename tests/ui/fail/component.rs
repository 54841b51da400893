//! A component is known by its type, and made of components.

use ember::prelude::*;

struct NotClone;

#[component]
fn nameless() -> impl Send {
    0
}

#[component]
fn by_value(_needs: NotClone) -> u8 {
    0
}

#[component(teardown = |_| {})]
fn closed_by_a_closure() -> u16 {
    0
}

#[component]
fn fails() -> Result<std::rc::Rc<u8>> {
    Ok(std::rc::Rc::new(0))
}

fn main() {}
