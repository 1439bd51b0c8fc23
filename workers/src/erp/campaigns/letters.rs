//! The mails of a campaign: written once, filled in for each reader.

use fairlane::db::Conn;
use fairlane::{Result, Tenant};
use minijinja::Value;

use super::{kind_of, note_of};
use crate::erp::Erp;
use crate::erp::jobs::send_mail::user_values;
use crate::erp::mail::templates::{NOTIFICATION, Template, built_in};
use crate::erp::mail::{self, Content, Mail, MailError, Mailbox, Mould, Stop, TemplateError};
use crate::erp::notifications::{Note, Severity};
use crate::erp::services::mail_templates;
use crate::erp::store::campaigns::Campaign;
use crate::erp::store::people::User;
use crate::erp::store::profiles;

/// What all mails of a campaign have in common.
pub(crate) struct Letters {
    kind: &'static str,
    note: Note,
    seller: String,
    own: Option<Mould>,
    product: Mould,
    from: Mailbox,
    app_url: String,
    unsubscribe_url: String,
}

impl Letters {
    /// Looks up what a campaign's mails have in common.
    pub(crate) async fn load(
        conn: &mut Conn<'_>,
        tenant: i64,
        erp: &Erp,
        campaign: &Campaign,
    ) -> Result<Self> {
        let (kind, note) = (kind_of(campaign).name, note_of(campaign));
        let seller = profiles::find(conn, tenant).await?.name;
        let own = mail_templates::own(conn, tenant, kind).await?;
        let product = built_in(kind).or_else(|| built_in(NOTIFICATION)).unwrap_or_else(nothing);
        let marked = |to: &User, stop: &str| user_values(&seller, to, (kind, &note), &erp.app_url, stop);
        let with_link = !erp.unsubscribe_url.is_empty() && campaign.severity != Severity::Critical;
        let values = Mould::marked(with_link, marked);
        Ok(Self {
            own: own.map(|own| Mould::new(own, &values)),
            product: Mould::new(product, &values),
            kind,
            seller,
            note,
            from: erp.from.clone(),
            app_url: erp.app_url.clone(),
            unsubscribe_url: erp.unsubscribe_url.clone(),
        })
    }

    /// One reader's mail.
    pub(crate) fn write(
        &self,
        user: &User,
        address: &str,
        message_id: String,
        token: Option<&str>,
    ) -> Result<Mail, MailError> {
        let to = mail::check_address(address).map_err(MailError::AddressInvalid)?;
        let stop = token.map(|token| Stop::new(token, &self.unsubscribe_url));
        let link = stop.as_ref().and_then(|stop| stop.url.clone()).unwrap_or_default();
        let values = user_values(&self.seller, user, (self.kind, &self.note), &self.app_url, &link);
        let content = self
            .content(&values, user, &link)
            .map_err(|why| MailError::MessageRefused(format!("template {}: {why}", self.kind)))?;
        let to = Mailbox::new(Some(mail::plain_text(&user.name)), to);
        Mail::compose(message_id, &self.from, to, content, stop.as_ref())
    }

    /// The tenant's words; where those cannot be filled in, the product's: a mail is not lost for them.
    fn content(&self, values: &Value, user: &User, link: &str) -> Result<Content, TemplateError> {
        if let Some(own) = &self.own {
            match own.render(values, user, link) {
                Ok(content) => return Ok(content),
                Err(why) => {
                    tracing::warn!(%why, template = self.kind, "the tenant's template cannot be filled in");
                }
            }
        }
        self.product.render(values, user, link)
    }
}

/// Of a tenant's campaign no mail is out: what a person types to see one as it would be.
pub(crate) async fn write_one(
    tenant: &Tenant,
    erp: &Erp,
    campaign: &Campaign,
    user: &User,
) -> anyhow::Result<Mail> {
    let id = tenant.id().await?;
    let mut tx = crate::erp::store::reading(tenant).await?;
    let letters = Letters::load(&mut tx.conn(), id, erp, campaign).await?;
    let address = user.email.clone().unwrap_or_default();
    let key = format!("{}/{}:{}:test", tenant.slug(), campaign.key(), user.id);
    Ok(letters.write(user, &address, mail::message_id(&key, &erp.from), Some("a-token-of-no-mail"))?)
}

fn nothing() -> Template {
    Template { subject: "".into(), text: "".into(), mjml: "<mjml><mj-body></mj-body></mjml>".into() }
}
