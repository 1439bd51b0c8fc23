//! A tenant's own words for its mails.

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};

use crate::erp::mail::Content;
use crate::erp::mail::templates::{self, NOTIFICATION, Template};
use crate::erp::notifications::Kind;
use crate::erp::store::mail_templates::{self as store, StoredTemplate};

/// Which words are used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The words.
    pub template: Template,
    /// Whether they are the tenant's own.
    pub own: bool,
}

/// What of a template shall change; the rest stays as it is used now.
#[derive(Debug, Clone, Default)]
pub struct TemplateChange {
    /// The subject.
    pub subject: Option<String>,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part, in MJML.
    pub mjml: Option<String>,
}

/// The name of a kind's template.
pub fn for_kind(kind: &str) -> Option<&'static str> {
    Kind::named(kind).map(|kind| kind.name)
}

/// The tenant's own words: for the template itself, or those for all notifications.
pub async fn own(conn: &mut Conn<'_>, tenant: i64, name: &str) -> Result<Option<Template>> {
    let stored = store::list(conn, tenant).await?;
    let of = |name: &str| stored.iter().find(|template| template.name == name);
    let all_kinds = || Kind::named(name).and_then(|_| of(NOTIFICATION));
    Ok(of(name).or_else(all_kinds).map(template))
}

/// The words that are used now.
pub async fn effective(conn: &mut Conn<'_>, tenant: i64, name: &str) -> Result<Effective> {
    let built_in = templates::built_in(name).ok_or_else(|| missing(name))?;
    let own = own(conn, tenant, name).await?;
    Ok(Effective { own: own.is_some(), template: own.unwrap_or(built_in) })
}

/// Keeps a tenant's words once they have been filled in with an example; returns what that gave.
pub async fn set(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    change: TemplateChange,
) -> Result<Content> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let mut template = effective(conn, id, name).await?.template;
    let parts = [
        (&mut template.subject, change.subject),
        (&mut template.text, change.text),
        (&mut template.mjml, change.mjml),
    ];
    for (part, new) in parts {
        if let Some(new) = new {
            *part = new.into();
        }
    }
    let content = templates::check(name, &template)
        .map_err(|why| Error::Invalid { what: format!("the template {name}"), why: why.to_string() })?;
    store::save(conn, id, name, &template.subject, &template.text, &template.mjml).await?;
    Ok(content)
}

/// Goes back to the product's words; returns whether there were others.
pub async fn reset(tx: &mut Transaction, tenant: &Tenant, name: &str) -> Result<bool> {
    templates::built_in(name).ok_or_else(|| missing(name))?;
    store::remove(&mut tx.conn(), tenant.id().await?, name).await
}

fn template(stored: &StoredTemplate) -> Template {
    Template {
        subject: stored.subject.clone().into(),
        text: stored.text.clone().into(),
        mjml: stored.mjml.clone().into(),
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound { what: "template", name: name.to_owned() }
}
