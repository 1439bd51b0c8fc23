//! Filling templates in: minijinja for the words, MJML for the HTML part. What is put into HTML is escaped.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::mjml;
use super::plain_text;
use super::templates::Template;

/// A mail's subject and its two bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The subject.
    pub subject: String,
    /// The body for programs that show text.
    pub text: String,
    /// The body for programs that show HTML.
    pub html: String,
}

/// A template that cannot be filled in, by its part and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {part}: {why}")]
pub struct TemplateError {
    /// `subject`, `text` or `mjml`.
    pub part: &'static str,
    /// What is wrong, and where.
    pub why: String,
}

/// Steps that one part may take: a template that runs in circles ends here.
const FUEL: u64 = 500_000;

/// Fills a template in.
pub fn render(template: &Template, values: &Value) -> Result<Content, TemplateError> {
    let subject = plain_text(&fill("subject", &template.subject, false, values)?);
    let text = fill("text", &template.text, false, values)?;
    let filled = fill("mjml", &template.mjml, true, values)?;
    let html = mjml::to_html(&filled).map_err(|why| TemplateError { part: "mjml", why })?;
    Ok(Content { subject, text, html })
}

/// The names that a part uses and nobody gives it.
pub(super) fn unknown_names(
    part: &'static str,
    source: &str,
    known: &Value,
) -> Result<Vec<String>, TemplateError> {
    let environment = environment(part, source, false)?;
    let template = environment.get_template(part).map_err(|why| explain(part, &why))?;
    let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    let given = |name: &str| known.get_attr(name).is_ok_and(|value| !value.is_undefined());
    names.retain(|name| !given(name) && !environment.globals().any(|(global, _)| global == name));
    names.sort();
    Ok(names)
}

/// Fills one part in.
pub(super) fn fill(
    part: &'static str,
    source: &str,
    html: bool,
    values: &Value,
) -> Result<String, TemplateError> {
    let environment = environment(part, source, html)?;
    let template = environment.get_template(part).map_err(|why| explain(part, &why))?;
    template.render(values).map_err(|why| explain(part, &why))
}

fn environment<'s>(
    part: &'static str,
    source: &'s str,
    html: bool,
) -> Result<Environment<'s>, TemplateError> {
    let mut environment = Environment::new();
    // A misspelt name shall be an error when the template is stored, not a hole in a mail.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(move |_| if html { AutoEscape::Html } else { AutoEscape::None });
    environment.set_fuel(Some(FUEL));
    environment.add_template(part, source).map_err(|why| explain(part, &why))?;
    Ok(environment)
}

fn explain(part: &'static str, error: &minijinja::Error) -> TemplateError {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    let why = match error.detail() {
        Some(detail) => format!("{}: {detail}{line}", error.kind()),
        None => format!("{}{line}", error.kind()),
    };
    TemplateError { part, why }
}
