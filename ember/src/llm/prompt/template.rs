use super::error::{PromptError, hint};
use super::parse::{Piece, parse};
use super::variable::TemplateVar;
use crate::base::tokens::estimate_tokens;
use crate::llm::message::{Message, Role};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A text with variables in braces, for what a model is told.
///
/// Values are taken over as they are, and only once: braces in them are no variables. What
/// stands in a template is trusted, and what fills it need not be, as far as a model can keep
/// the two apart.
///
/// ```
/// use ember::llm::{PromptTemplate, TemplateVar};
///
/// let template = PromptTemplate::new("Answer in {language}: {question}")
///     .var(TemplateVar::new("language").default("English"));
/// assert_eq!(template.render([("question", "Why?")])?, "Answer in English: Why?");
///
/// let error = template.render([("qestion", "Why?")]).unwrap_err().to_string();
/// assert!(error.contains("did you mean `question`?"));
/// # Ok::<(), ember::llm::PromptError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PromptTemplate {
    text: Source,
    system: Option<Source>,
    variables: Vec<TemplateVar>,
    /// Other texts, for the models whose names begin so.
    variants: Vec<(String, Source)>,
    /// Which of them stands in the place of the text.
    chosen: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    Plain(Cow<'static, str>),
    #[cfg(feature = "minijinja")]
    Jinja(Cow<'static, str>),
}

impl PromptTemplate {
    /// No values, for a template whose variables all have defaults.
    pub const NO_VALUES: [(&'static str, &'static str); 0] = [];

    /// A template whose variables are words in braces, `{question}`; `{{` and `}}` are the braces
    /// themselves.
    ///
    /// A text that cannot be read is told of by [`check`](Self::check), and when it is rendered.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Source::Plain(text.into()))
    }

    /// A template in the language of Jinja, with loops and conditions.
    ///
    /// Nothing can be included, and a template that runs for too long fails. A value that may be missing is
    /// asked for with `{{ name | default('you') }}` or `{% if name is defined %}`.
    ///
    /// ```
    /// use ember::llm::PromptTemplate;
    /// use ember::serde_json::json;
    ///
    /// let template = PromptTemplate::jinja("{% for rule in rules %}- {{ rule }}\n{% endfor %}");
    /// assert_eq!(template.render([("rules", json!(["Be kind.", "Be brief."]))])?, "- Be kind.\n- Be brief.\n");
    /// # Ok::<(), ember::llm::PromptError>(())
    /// ```
    #[cfg(feature = "minijinja")]
    pub fn jinja(text: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Source::Jinja(text.into()))
    }

    fn of(text: Source) -> Self {
        Self { text, system: None, variables: Vec::new(), variants: Vec::new(), chosen: None }
    }

    /// Says more of a variable: a default, or what it is for.
    #[must_use]
    pub fn var(mut self, variable: TemplateVar) -> Self {
        self.variables.retain(|known| known.name != variable.name);
        self.variables.push(variable);
        self
    }

    /// Sets the instructions that go before what was said, in the language of the text.
    #[must_use]
    pub fn system(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.system = Some(self.text.like(text.into()));
        self
    }

    /// Sets another text for a model, or for all whose names begin so: `claude-*`.
    #[must_use]
    pub fn for_model(
        mut self,
        model: impl Into<String>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let text = self.text.like(text.into());
        self.variants.push((model.into(), text));
        self
    }

    /// The template as it is for a model: with the text that names it most exactly, or else its first one,
    /// whatever model it was for before.
    #[must_use]
    pub fn of_model(&self, model: &str) -> Self {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix),
            None => pattern == model,
        };
        let exact = |pattern: &str| (!pattern.ends_with('*'), pattern.len());
        let variants = self.variants.iter().enumerate();
        let fitting = variants.filter(|(_, (pattern, _))| fits(pattern));
        let chosen = fitting.max_by_key(|(_, (pattern, _))| exact(pattern)).map(|(place, _)| place);
        Self { chosen, ..self.clone() }
    }

    /// The text that is filled.
    fn present(&self) -> &Source {
        self.chosen.and_then(|place| self.variants.get(place)).map_or(&self.text, |(_, text)| text)
    }

    /// The names of the variables of all texts.
    ///
    /// # Errors
    /// When a text cannot be read, with line and column.
    pub fn variables(&self) -> Result<BTreeSet<String>, PromptError> {
        let mut names = BTreeSet::new();
        let variants = self.variants.iter().map(|(_, text)| text);
        for text in [&self.text].into_iter().chain(&self.system).chain(variants) {
            names.extend(text.variables()?);
        }
        Ok(names)
    }

    /// Tells whether the template can be used: its texts can be read, and have the variables that
    /// something is said of.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(&self) -> Result<(), PromptError> {
        let names = self.variables()?;
        let stray = self.variables.iter().filter(|variable| !names.contains(&*variable.name));
        let reasons = stray.map(|variable| {
            let hint = hint(&variable.name, names.iter().map(String::as_str));
            format!("it has no variable `{}`{hint}", variable.name)
        });
        PromptError::of(reasons.collect())
    }

    /// Fills the text. A value that is no text is written as JSON.
    ///
    /// # Errors
    /// When the text cannot be read, a variable without a default has no value, or a value has
    /// no variable; all names are told. A variable of a Jinja template of which nothing is
    /// [said](Self::var) needs a value where the text comes to use it, and not where it asks whether
    /// there is one; of those that are missing, the first is told.
    pub fn render<K, V>(
        &self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<String, PromptError>
    where
        K: Into<String>,
        V: Into<Value>,
    {
        let text = self.present();
        text.render(&self.filled(collected(values), &[text])?)
    }

    /// The conversation that a model is asked with: the instructions, what was said before, and
    /// the text as what the user says. Instructions in the history make way for those of the template.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_messages<K, V>(
        &self,
        history: &[Message],
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Vec<Message>, PromptError>
    where
        K: Into<String>,
        V: Into<Value>,
    {
        let texts: Vec<_> = [self.present()].into_iter().chain(&self.system).collect();
        let values = self.filled(collected(values), &texts)?;
        let mut messages = Vec::with_capacity(history.len() + 2);
        if let Some(system) = &self.system {
            messages.push(Message::system(system.render(&values)?));
        }
        let stays = |message: &&Message| self.system.is_none() || message.role != Role::System;
        messages.extend(history.iter().filter(stays).cloned());
        messages.push(Message::user(self.present().render(&values)?));
        Ok(messages)
    }

    /// Estimates how many tokens the filled text has.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn estimate_tokens<K, V>(
        &self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<u64, PromptError>
    where
        K: Into<String>,
        V: Into<Value>,
    {
        Ok(estimate_tokens(&self.render(values)?))
    }

    /// The values, with the defaults of those that are not given.
    fn filled(
        &self,
        mut values: Map<String, Value>,
        texts: &[&Source],
    ) -> Result<Map<String, Value>, PromptError> {
        let known = self.variables()?;
        // Whether a value is needed for sure, by the name of its variable.
        let mut needed = BTreeMap::<_, bool>::new();
        for text in texts {
            for name in text.variables()? {
                *needed.entry(name).or_default() |= text.needs_all();
            }
        }
        let unknown = values.keys().filter(|name| !known.contains(*name)).map(|name| {
            let hint = hint(name, known.iter().map(String::as_str));
            format!("there is no variable `{name}`{hint}")
        });
        let mut reasons: Vec<_> = unknown.collect();
        for (name, is_needed) in needed {
            if values.contains_key(&name) {
                continue;
            }
            let variable = self.variables.iter().find(|variable| *variable.name == name);
            match variable.and_then(|variable| variable.default.clone()) {
                Some(default) => {
                    values.insert(name, default);
                }
                None if !is_needed && variable.is_none() => {}
                None => {
                    let about = variable.map_or("", |variable| &*variable.description);
                    let about =
                        if about.is_empty() { String::new() } else { format!(" ({about})") };
                    reasons.push(format!("the variable `{name}`{about} has no value"));
                }
            }
        }
        PromptError::of(reasons)?;
        Ok(values)
    }
}

fn collected<K: Into<String>, V: Into<Value>>(
    values: impl IntoIterator<Item = (K, V)>,
) -> Map<String, Value> {
    values.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

impl Source {
    /// A text in the same language.
    fn like(&self, text: Cow<'static, str>) -> Self {
        match self {
            Self::Plain(_) => Self::Plain(text),
            #[cfg(feature = "minijinja")]
            Self::Jinja(_) => Self::Jinja(text),
        }
    }

    /// Tells whether each of its variables needs a value, and not only those that it comes to use.
    fn needs_all(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn variables(&self) -> Result<BTreeSet<String>, PromptError> {
        match self {
            Self::Plain(text) => Ok(parse(text)?
                .into_iter()
                .filter_map(|piece| match piece {
                    Piece::Variable(name) => Some(name),
                    Piece::Text(_) => None,
                })
                .collect()),
            #[cfg(feature = "minijinja")]
            Self::Jinja(text) => super::jinja::variables(text),
        }
    }

    fn render(&self, values: &Map<String, Value>) -> Result<String, PromptError> {
        match self {
            Self::Plain(text) => {
                let mut filled = String::with_capacity(text.len());
                for piece in parse(text)? {
                    match piece {
                        Piece::Text(text) => filled.push_str(&text),
                        Piece::Variable(name) => match values.get(&name) {
                            Some(Value::String(text)) => filled.push_str(text),
                            Some(value) => filled.push_str(&value.to_string()),
                            None => {}
                        },
                    }
                }
                Ok(filled)
            }
            #[cfg(feature = "minijinja")]
            Self::Jinja(text) => super::jinja::render(text, values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template() -> PromptTemplate {
        PromptTemplate::new("{question} ({language})")
            .var(TemplateVar::new("language").default("English"))
            .var(TemplateVar::new("question").description("what the user asks"))
    }

    #[test]
    fn values_and_defaults_fill_the_text() {
        assert_eq!(template().render([("question", "Why?")]).unwrap(), "Why? (English)");
        let both = [("question", "{language}"), ("language", "German")];
        assert_eq!(template().render(both).unwrap(), "{language} (German)", "filled once");
        let other = PromptTemplate::new("{n} {all}");
        assert_eq!(other.render([("n", json!(7)), ("all", json!(["a"]))]).unwrap(), "7 [\"a\"]");
        assert_eq!(PromptTemplate::new("{{}}").render(PromptTemplate::NO_VALUES).unwrap(), "{}");
        assert!(template().estimate_tokens([("question", "Why?")]).unwrap() > 2);
    }

    #[test]
    fn all_that_is_wrong_with_values_is_told() {
        let error = template().render([("langage", "x"), ("colour", "y")]).unwrap_err();
        assert_eq!(
            error.reasons(),
            [
                "there is no variable `langage` (did you mean `language`?)",
                "there is no variable `colour`",
                "the variable `question` (what the user asks) has no value",
            ]
        );
    }

    #[test]
    fn what_is_said_of_a_variable_must_fit_the_text() {
        template().check().unwrap();
        let stray = template().var(TemplateVar::new("questions"));
        let reasons = stray.check().unwrap_err();
        assert_eq!(
            reasons.reasons(),
            ["it has no variable `questions` (did you mean `question`?)"]
        );
        assert!(PromptTemplate::new("a {").check().unwrap_err().to_string().contains("column 3"));
    }

    #[test]
    fn messages_are_instructions_history_and_question() {
        let template = template().system("You speak {language}.");
        let history = [Message::system("old"), Message::user("Hi"), Message::assistant("Hello")];
        let messages = template.render_messages(&history, [("question", "Why?")]).unwrap();
        let expected = [
            Message::system("You speak English."),
            Message::user("Hi"),
            Message::assistant("Hello"),
            Message::user("Why? (English)"),
        ];
        assert_eq!(messages, expected);
        let plain = PromptTemplate::new("Why?");
        let messages = plain.render_messages(&history, PromptTemplate::NO_VALUES).unwrap();
        assert_eq!(messages[0], history[0], "without instructions of its own those before stay");
    }

    #[test]
    fn the_most_exact_variant_is_for_a_model() {
        let template = PromptTemplate::new("any {a}")
            .for_model("claude-*", "claude {a}")
            .for_model("claude-small*", "small {a} {b}")
            .for_model("claude-smallest", "smallest");
        for (model, expected) in [
            ("gpt", "any 1"),
            ("claude-large", "claude 1"),
            ("claude-small-2", "small 1 2"),
            ("claude-smallest", "smallest"),
        ] {
            let values = [("a", "1"), ("b", "2")];
            assert_eq!(template.of_model(model).render(values).unwrap(), expected);
            for before in ["gpt", "claude-large", "claude-smallest"] {
                let template = template.of_model(before).of_model(model);
                assert_eq!(template.render(values).unwrap(), expected, "{before}");
                let messages = template.render_messages(&[], values).unwrap();
                assert_eq!(messages, [Message::user(expected)]);
            }
        }
    }

    #[cfg(feature = "minijinja")]
    #[test]
    fn jinja_needs_the_values_that_it_comes_to_use() {
        let text = "{% if mood is defined %}{{ mood }}: {% endif %}Hello, {{ name | default('you') }}.\
                    {% if signed %} {{ signature }}{% endif %}";
        let template = PromptTemplate::jinja(text).var(TemplateVar::new("signed").default(false));
        template.check().unwrap();
        assert_eq!(template.render(PromptTemplate::NO_VALUES).unwrap(), "Hello, you.");
        let values = [("name", "Ada"), ("mood", "Glad")];
        assert_eq!(template.render(values).unwrap(), "Glad: Hello, Ada.");
        let error = template.render([("signed", true)]).unwrap_err();
        assert_eq!(error.reasons(), ["line 1, column 102: the variable `signature` has no value"]);
        let declared = template.var(TemplateVar::new("name").description("who is greeted"));
        let error = declared.render(PromptTemplate::NO_VALUES).unwrap_err();
        assert_eq!(error.reasons(), ["the variable `name` (who is greeted) has no value"]);
    }

    #[cfg(feature = "minijinja")]
    #[test]
    fn jinja_has_loops_conditions_and_the_same_checks() {
        let template = PromptTemplate::jinja("{% if kind %}Be kind. {% endif %}{{ name }}")
            .var(TemplateVar::new("kind").default(true));
        assert_eq!(template.render([("name", "<Ada>")]).unwrap(), "Be kind. <Ada>");
        let error = template.render([("nme", "x")]).unwrap_err();
        assert_eq!(error.reasons(), ["there is no variable `nme` (did you mean `name`?)"]);
        let broken = PromptTemplate::jinja("a\n{% if %}").check().unwrap_err().to_string();
        assert!(broken.contains("line 2"), "{broken}");
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let error = PromptTemplate::jinja(endless).render(PromptTemplate::NO_VALUES).unwrap_err();
        assert!(error.to_string().contains("fuel"), "{error}");
        let include = PromptTemplate::jinja("{% include '/etc/passwd' %}");
        assert!(include.render(PromptTemplate::NO_VALUES).is_err());
    }
}
