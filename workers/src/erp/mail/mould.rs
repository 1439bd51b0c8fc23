//! A template for many readers: its HTML part is made once.
//!
//! Making HTML of MJML takes a thousand times as long as putting a name into it. So it is made with marks in the place of
//! what differs between readers. Whether the marks stand for everything that differs is seen for each reader: the MJML
//! filled in for the reader has to be the marked one with the marks replaced. Where it is not (a template that asks who
//! its reader is), the reader gets HTML of their own.

use minijinja::{Value, context};

use super::content::{Content, TemplateError, fill};
use super::templates::Template;
use super::{mjml, plain_text};
use crate::erp::store::people::User;

const NAME: &str = "fairlane0mark0name0eraM";
const EMAIL: &str = "fairlane0mark0email0eraM";
const LINK: &str = "fairlane0mark0link0eraM";

/// A template with its HTML part made.
#[derive(Debug)]
pub struct Mould {
    template: Template,
    /// The MJML with marks, and its HTML; none where that could not be made.
    made: Option<(String, String)>,
}

impl Mould {
    /// What marks are filled in with: values for a reader who has them for a name, an address and, where readers have one,
    /// a link.
    pub fn marked(with_link: bool, values: impl FnOnce(&User, &str) -> Value) -> Value {
        let user = User { id: 0, name: NAME.into(), email: Some(EMAIL.into()), active: true };
        values(&user, if with_link { LINK } else { "" })
    }

    /// Makes the HTML part with marked values.
    pub fn new(template: Template, marked: &Value) -> Self {
        let filled = fill("mjml", &template.mjml, true, marked).ok();
        let made = filled.and_then(|filled| {
            let html = mjml::to_html(&filled).ok()?;
            Some((filled, html))
        });
        Self { template, made }
    }

    /// Fills the template in for a reader.
    pub fn render(&self, values: &Value, user: &User, link: &str) -> Result<Content, TemplateError> {
        let subject = plain_text(&fill("subject", &self.template.subject, false, values)?);
        let text = fill("text", &self.template.text, false, values)?;
        let filled = fill("mjml", &self.template.mjml, true, values)?;
        let html = match self.cast(&filled, user, link)? {
            Some(html) => html,
            None => mjml::to_html(&filled).map_err(|why| TemplateError { part: "mjml", why })?,
        };
        Ok(Content { subject, text, html })
    }

    /// The HTML with the marks replaced, where they are all that differs.
    fn cast(&self, filled: &str, user: &User, link: &str) -> Result<Option<String>, TemplateError> {
        let Some((marked, html)) = &self.made else { return Ok(None) };
        let escaped = |value: &str| fill("mjml", "{{ value }}", true, &context! { value });
        let email = user.email.as_deref().unwrap_or_default();
        let (name, email, link) = (escaped(&user.name)?, escaped(email)?, escaped(link)?);
        let replaced = |text: &str| text.replace(NAME, &name).replace(EMAIL, &email).replace(LINK, &link);
        Ok((replaced(marked) == filled).then(|| replaced(html)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::super::templates::{NOTIFICATION, built_in};
    use super::*;

    fn values(user: &User, link: &str) -> Value {
        context! {
            seller => "A & B",
            user => context! { name => &user.name, email => &user.email },
            notification => context! { title => "Closed", message => "On <Monday>", severity => "info", context => context! {} },
            action => context! { label => "More", url => "https://example.com/?a=1&b=2" },
            unsubscribe => link,
        }
    }

    fn reader(name: &str) -> User {
        User { id: 1, name: name.into(), email: Some("ana@example.com".into()), active: true }
    }

    #[test]
    fn every_reader_gets_what_a_mail_of_their_own_would_say() {
        let template = built_in(NOTIFICATION).unwrap();
        let mould = Mould::new(template.clone(), &Mould::marked(true, values));
        for name in ["Ana", "<b>Bo</b> & \"Co\"", "Ünal / Söhne", "", NAME] {
            for link in ["https://example.com/stop/1?x=<y>&z='", ""] {
                let user = reader(name);
                let own = render(&template, &values(&user, link)).unwrap();
                assert_eq!(mould.render(&values(&user, link), &user, link).unwrap(), own, "{name} {link}");
            }
        }
    }

    #[test]
    fn a_template_that_asks_who_its_reader_is_is_asked_for_each() {
        let mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>{% if user.name == 'Ana' %}first{% else %}\
            {{ user.name | upper }}{% endif %}</mj-text></mj-column></mj-section></mj-body></mjml>";
        let template = Template { subject: "s".into(), text: "t".into(), mjml: mjml.into() };
        let mould = Mould::new(template, &Mould::marked(true, values));
        let html = |name: &str| mould.render(&values(&reader(name), ""), &reader(name), "").unwrap().html;
        assert!(html("Ana").contains("first") && html("Bo").contains("BO"));
    }
}
