//! What mails say: templates, a text and an HTML one for each. The HTML ones escape what they are given.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::erp::store::invoices::{Invoice, InvoiceLine};

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

const TEMPLATES: [(&str, &str); 2] = [
    ("invoice.txt", include_str!("templates/invoice.txt")),
    ("invoice.html", include_str!("templates/invoice.html")),
];

/// The mail that brings an invoice.
pub fn invoice(seller: &str, invoice: &Invoice, lines: &[InvoiceLine]) -> Result<Content, minijinja::Error> {
    let values = context! {
        seller,
        invoice => Value::from(Serde(invoice)),
        lines => Value::from(Serde(lines)),
    };
    Ok(Content {
        subject: format!("Invoice {} from {seller}", invoice.number),
        text: render("invoice.txt", &values)?,
        html: render("invoice.html", &values)?,
    })
}

fn render(name: &str, values: &Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    // A misspelt name in a template shall be an error of the tests, not a hole in a mail.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (template, source) in TEMPLATES {
        environment.add_template(template, source)?;
    }
    environment.get_template(name)?.render(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(description: &str, customer: &str) -> Content {
        let header = Invoice {
            id: 1,
            number: "INV-2026-00001".into(),
            order_id: 1,
            order_number: "SO-2026-00001".into(),
            customer_id: 1,
            customer_name: customer.into(),
            status: "open".into(),
            currency: "EUR".into(),
            decimals: 2,
            net: "100.01".parse().unwrap(),
            tax: "19.00".parse().unwrap(),
            total: "119.01".parse().unwrap(),
            issued_on: "2026-03-01".parse().unwrap(),
            due_on: "2026-03-31".parse().unwrap(),
            sent_at: None,
        };
        let line = InvoiceLine {
            line_no: 1,
            sku: None,
            description: description.into(),
            quantity: "3".parse().unwrap(),
            unit_price: "33.335".parse().unwrap(),
            discount: "0".parse().unwrap(),
            tax_rate: "19".parse().unwrap(),
            net: "100.01".parse().unwrap(),
            tax: "19.00".parse().unwrap(),
            total: "119.01".parse().unwrap(),
        };
        invoice("Acme", &header, &[line]).unwrap()
    }

    #[test]
    fn an_invoice_says_number_amounts_and_due_day_in_both_parts() {
        let content = content("Blue tiles", "Ana");
        assert_eq!(content.subject, "Invoice INV-2026-00001 from Acme");
        for part in [&content.text, &content.html] {
            for fact in
                ["INV-2026-00001", "119.01 EUR", "19.00 EUR", "2026-03-31", "Blue tiles", "33.335", "Ana"]
            {
                assert!(part.contains(fact), "{fact} is missing in {part}");
            }
        }
    }

    #[test]
    fn what_customers_wrote_is_text_in_the_html_part() {
        let content = content("<script>alert(1)</script>", "A & <b>B</b>");
        assert!(content.html.contains("&lt;script&gt;") && content.html.contains("A &amp; &lt;b&gt;B"));
        assert!(!content.html.contains("<script>") && !content.html.contains("<b>B"));
        assert!(content.text.contains("<script>alert(1)</script>"));
    }
}
