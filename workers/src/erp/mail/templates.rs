//! What mails say: the product's own words, and examples by which a tenant's words are checked before they are kept.

use std::borrow::Cow;

use minijinja::{Value, context};

use super::content::{Content, TemplateError, render, unknown_names};
use crate::erp::notifications::{DigestNotification, KINDS, Kind, Notification};

/// A mail's words, to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The subject.
    pub subject: Cow<'static, str>,
    /// The text part.
    pub text: Cow<'static, str>,
    /// The HTML part, in MJML.
    pub mjml: Cow<'static, str>,
}

/// The name of the template for what users are told; each kind of notification may have one of its own.
pub const NOTIFICATION: &str = "notification";

/// The templates of mails to people outside, and the one for users.
const NAMES: [(&str, &str); 4] = [
    ("invoice", "Brings an invoice to its customer"),
    ("payment_receipt", "Confirms a payment to its customer"),
    ("purchase_order", "Tells a vendor that a purchase order was approved"),
    (NOTIFICATION, "Tells a user a notification of any kind"),
];

/// All names of templates, with what they are for.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let kinds = KINDS.iter().map(|kind| (kind.name, "Tells a user a notification of this kind"));
    NAMES.into_iter().chain(kinds)
}

/// The product's own words; none where there is no such template.
pub fn built_in(name: &str) -> Option<Template> {
    let template = |subject: &'static str, text: &'static str, mjml: &'static str| Template {
        subject: subject.into(),
        text: text.into(),
        mjml: mjml.into(),
    };
    Some(match name {
        "invoice" => template(
            "Invoice {{ invoice.number }} from {{ seller }}",
            include_str!("template_files/invoice.txt"),
            include_str!("template_files/invoice.mjml"),
        ),
        "payment_receipt" => template(
            "{% if payment.is_refund %}Refund{% else %}Payment{% endif %} for invoice {{ payment.invoice_number }}",
            include_str!("template_files/payment_receipt.txt"),
            include_str!("template_files/payment_receipt.mjml"),
        ),
        "purchase_order" => template(
            "Purchase order {{ order.number }} from {{ seller }}",
            include_str!("template_files/purchase_order.txt"),
            include_str!("template_files/purchase_order.mjml"),
        ),
        DigestNotification::TYPE => template(
            "{{ notification.title }}",
            include_str!("template_files/digest.txt"),
            include_str!("template_files/digest.mjml"),
        ),
        name if name == NOTIFICATION || Kind::named(name).is_some() => template(
            "{{ notification.title }}",
            include_str!("template_files/notification.txt"),
            include_str!("template_files/notification.mjml"),
        ),
        _ => return None,
    })
}

/// Example values for a template: what its mails are filled in with.
pub fn example(name: &str) -> Value {
    let seller = "Acme Ltd";
    match name {
        "invoice" => context! {
            seller,
            invoice => context! {
                number => "INV-2026-00001", order_number => "SO-2026-00001", customer_name => "Northshore Cafés",
                issued_on => "2026-03-01", due_on => "2026-03-31", currency => "EUR", net => "100.01", tax => "19.00",
                total => "119.01", status => "open",
            },
            lines => vec![context! {
                line_no => 1, sku => "T-1", description => "Blue tiles", quantity => "3", unit_price => "33.335",
                discount => "0", tax_rate => "19", net => "100.01", tax => "19.00", total => "119.01",
            }],
        },
        "payment_receipt" => context! {
            seller,
            payment => context! {
                customer_name => "Northshore Cafés", amount => "50.00", currency => "EUR", method => "transfer",
                reference => "BANK-1", received_on => "2026-03-20", invoice_number => "INV-2026-00001",
                outstanding => "69.01", is_settled => false, is_refund => false,
            },
        },
        "purchase_order" => context! {
            seller,
            order => context! {
                number => "PO-2026-00001", vendor_name => "Tile Works", total => "500.00", currency => "EUR",
                approved_on => "2026-03-01", expected_on => "2026-03-15",
            },
        },
        kind => context! {
            seller,
            user => context! { name => "Ana", email => "ana@example.com" },
            notification => context! {
                type => kind, severity => "warning", title => "Low stock: Blue tiles",
                message => "Blue tiles (T-1) at MAIN: 3 left, 10 should be there.", context => context! {},
            },
            action => context! { label => "View product details", url => "https://app.example.com/product/T-1" },
            unsubscribe => "https://app.example.com/unsubscribe/token",
        },
    }
}

/// Fills a template in with its example, and looks for names that nobody gives it.
///
/// # Errors
/// When a part is empty, cannot be read or filled in, or uses what mails of this name do not have.
pub fn check(name: &str, template: &Template) -> Result<Content, TemplateError> {
    let parts = [("subject", &template.subject), ("text", &template.text), ("mjml", &template.mjml)];
    let values = example(name);
    for (part, source) in parts {
        if source.trim().is_empty() {
            return Err(TemplateError { part, why: "it is empty".into() });
        }
        if let Some(unknown) = unknown_names(part, source, &values)?.first() {
            return Err(TemplateError {
                part,
                why: format!("\"{unknown}\" is nothing that these mails have"),
            });
        }
    }
    let content = render(template, &values)?;
    for (part, filled) in [("subject", &content.subject), ("text", &content.text)] {
        if filled.trim().is_empty() {
            return Err(TemplateError { part, why: "it is empty once it is filled in".into() });
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_template_passes_its_own_check_and_says_the_facts_in_both_parts() {
        for (name, _) in names() {
            let content = check(name, &built_in(name).unwrap()).unwrap_or_else(|why| panic!("{name}: {why}"));
            let facts: &[&str] = match name {
                "invoice" => &[
                    "INV-2026-00001",
                    "119.01 EUR",
                    "19.00 EUR",
                    "2026-03-31",
                    "Blue tiles",
                    "33.335",
                    "Cafés",
                ],
                "payment_receipt" => &["50.00 EUR", "BANK-1", "69.01 EUR", "INV-2026-00001"],
                "purchase_order" => &["PO-2026-00001", "500.00 EUR", "2026-03-15"],
                _ => &["3 left, 10 should be there", "View product details", "Ana"],
            };
            for fact in facts {
                assert!(content.text.contains(fact), "{name}: {fact} is missing in {}", content.text);
                assert!(content.html.contains(fact), "{name}: {fact} is missing in {}", content.html);
            }
        }
        assert_eq!(names().count(), 15);
        assert_eq!(built_in("nonsense"), None);
    }

    #[test]
    fn what_people_wrote_is_text_in_the_html_part() {
        let hostile = "<script>alert(1)</script><mj-button href=\"javascript:x\">";
        let values = context! {
            seller => "A & <b>B</b>",
            user => context! { name => hostile, email => "a@example.com" },
            notification => context! { title => hostile, message => hostile, severity => "info" },
            action => context! { label => hostile, url => "https://example.com/\" onclick=\"x" },
            unsubscribe => "",
        };
        let content = render(&built_in(NOTIFICATION).unwrap(), &values).unwrap();
        for inert in ["<script>", "<b>B", "<mj-button", "onclick=\"x"] {
            assert!(!content.html.contains(inert), "{inert} in {}", content.html);
        }
        assert!(content.html.contains("&lt;script&gt;") && content.html.contains("A &amp; &lt;b&gt;B"));
        assert!(content.text.contains(hostile));
    }

    #[test]
    fn an_action_that_leads_nowhere_is_left_out_of_both_parts() {
        for name in [NOTIFICATION, DigestNotification::TYPE] {
            let values = context! {
                seller => "Acme", user => context! { name => "Ana" },
                notification => context! { title => "Order", message => "Told.", severity => "info", context => context! {} },
                action => context! { label => "View order", url => None::<String> },
                unsubscribe => "",
            };
            let content = render(&built_in(name).unwrap(), &values).unwrap();
            assert!(
                !content.text.contains("View order") && !content.html.contains("View order"),
                "{}",
                content.text
            );
        }
    }

    #[test]
    fn a_template_that_cannot_be_used_is_refused_with_its_part_and_line() {
        let with = |subject: &str, text: &str, mjml: Option<&str>| {
            let own = built_in("invoice").unwrap();
            let mjml = mjml.map_or(own.mjml, |mjml| mjml.to_owned().into());
            check(
                "invoice",
                &Template { subject: subject.to_owned().into(), text: text.to_owned().into(), mjml },
            )
            .map_err(|why| why.to_string())
            .err()
            .unwrap_or_default()
        };
        assert_eq!(with("Invoice", "Pay {{ invoice.total }}", None), "");
        let why = with("Invoice", "one\n{{ invoice.totl }}", None);
        assert!(why.starts_with("the text: ") && why.ends_with("(line 2)"), "{why}");
        let why = with("{{ customer }}", "x", None);
        assert!(why.starts_with("the subject: \"customer\" is nothing"), "{why}");
        assert!(with("{% if", "x", None).starts_with("the subject: syntax error"));
        assert_eq!(with(" ", "x", None), "the subject: it is empty");
        assert!(with("x", "x", Some("<mjml><mj-body><p></mj-body></mjml>")).starts_with("the mjml: "));
        let circles =
            "{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}";
        assert!(with("x", circles, None).contains("fuel"), "{}", with("x", circles, None));
    }
}
