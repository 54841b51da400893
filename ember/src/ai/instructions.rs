use crate::base::Error;
use crate::llm::{PromptError, PromptTemplate};
use crate::web::RequestParts;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What a route tells its model to be: a text as it is, or a [`PromptTemplate`] that parameters of the
/// path and defaults fill.
#[derive(Debug, Clone)]
pub struct Instructions(Form);

#[derive(Debug, Clone)]
enum Form {
    Text(String),
    /// With its variables. One that cannot be read has none here, and is found at the start.
    Template(PromptTemplate, BTreeSet<String>),
}

impl From<&str> for Instructions {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Instructions {
    fn from(text: String) -> Self {
        Self(Form::Text(text))
    }
}

impl From<PromptTemplate> for Instructions {
    fn from(template: PromptTemplate) -> Self {
        let names = template.variables().unwrap_or_default();
        Self(Form::Template(template, names))
    }
}

impl Instructions {
    /// Tells whether parameters of these names, and defaults, fill the template.
    pub(super) fn check<'a>(
        &self,
        parameters: impl Iterator<Item = &'a str>,
    ) -> Result<(), PromptError> {
        let Form::Template(template, names) = &self.0 else { return Ok(()) };
        template.check()?;
        let given = parameters.filter(|name| names.contains(*name)).map(|name| (name, ""));
        template.render(given).map(drop)
    }

    /// The instructions for a request.
    pub(super) fn render(&self, parts: &RequestParts) -> Result<String, Error> {
        let (template, names) = match &self.0 {
            Form::Text(text) => return Ok(text.clone()),
            Form::Template(template, names) => (template, names),
        };
        let mut values = Vec::new();
        for parameter in parts.params() {
            let (name, value) = parameter?;
            if names.contains(name) {
                values.push((name, Cow::into_owned(value)));
            }
        }
        Ok(template.render(values)?)
    }
}
