/// How far something annotated reaches that belongs to no route: a hook, a catcher, middleware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// The routes of the innermost blueprint around the module in which it stands; where there is
    /// none, everything.
    #[default]
    Blueprint,
    /// Everything, wherever it stands.
    App,
}
