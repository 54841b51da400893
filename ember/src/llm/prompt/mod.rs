//! Texts with variables: what a model is told, written once and filled for each request.
//!
//! A [`PromptTemplate`] is a text with variables in braces, `{question}`, known when the program
//! runs; [`prompt!`](crate::prompt) is one whose variables the compiler checks. Neither has
//! loops: prompts that need those are Jinja templates (feature `minijinja`).

mod error;
mod parse;
mod variable;
#[cfg(feature = "minijinja")]
mod jinja;
mod template;

pub use error::PromptError;
pub use template::PromptTemplate;
pub use variable::TemplateVar;
