//! What a tenant's things are called: numbers inside the database, and the names people use.

/// The things of a tenant that a call may be about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) user: i64,
    pub(crate) email: String,
    pub(crate) customer: String,
    pub(crate) customer_id: i64,
    pub(crate) sku: String,
    pub(crate) product_id: i64,
    /// A product that nothing refers to.
    pub(crate) loose_sku: String,
    /// A product with batches.
    pub(crate) tracked_id: i64,
    pub(crate) tracked_sku: String,
    pub(crate) lot: String,
    pub(crate) batch_id: i64,
    pub(crate) location: String,
    pub(crate) location_id: i64,
    pub(crate) other_location: String,
    pub(crate) other_location_id: i64,
    pub(crate) vendor: String,
    /// An order of a product, not approved.
    pub(crate) draft_id: i64,
    pub(crate) draft: String,
    /// An order that is approved and not billed.
    pub(crate) approved_id: i64,
    pub(crate) approved: String,
    /// An order that is delivered.
    pub(crate) delivered_id: i64,
    pub(crate) delivered: String,
    /// An open invoice.
    pub(crate) invoice_id: i64,
    pub(crate) invoice: String,
    pub(crate) payment: String,
    pub(crate) lead_id: i64,
    /// Another open lead.
    pub(crate) cold_lead_id: i64,
    /// A lead that is converted and has no customer yet.
    pub(crate) converted_lead_id: i64,
    pub(crate) draft_po_id: i64,
    pub(crate) draft_po: String,
    pub(crate) pending_po_id: i64,
    pub(crate) pending_po: String,
    pub(crate) approved_po_id: i64,
    pub(crate) approved_po: String,
    pub(crate) receipt_id: i64,
    pub(crate) receipt: String,
    pub(crate) movement_id: i64,
    pub(crate) import_id: i64,
    /// A valuation of the stock.
    pub(crate) run_id: i64,
    /// A report that is made.
    pub(crate) report_id: i64,
    /// A report that waits.
    pub(crate) waiting_report_id: i64,
    /// A link to the one that is made.
    pub(crate) report_link: String,
    /// What a notification is told under.
    pub(crate) notice: String,
    /// The user's copy of it.
    pub(crate) notification: String,
    /// A mail of which nobody knows whether it is out.
    pub(crate) delivery_id: i64,
    /// What stops mails to the user.
    pub(crate) token: String,
    /// An address that takes no mail.
    pub(crate) suppressed: String,
    /// A device of the user that takes push messages.
    pub(crate) device_id: i64,
    /// Where webhooks go.
    pub(crate) endpoint_id: i64,
    /// What was sent there, or was to be.
    pub(crate) hook_delivery_id: i64,
    /// A campaign that was told.
    pub(crate) campaign_id: i64,
    pub(crate) draft_campaign_id: i64,
    pub(crate) running_campaign_id: i64,
    pub(crate) paused_campaign_id: i64,
    /// Another system that data is exchanged with.
    pub(crate) connection: String,
    pub(crate) connection_id: i64,
    pub(crate) sync_run: i64,
    pub(crate) conflict_id: i64,
}

impl Names {
    /// Names that nobody has.
    pub(crate) fn missing() -> Self {
        let id = |number: i64| 9_000_000_000 + number;
        let name = |number: i64| format!("NOBODYS-{number:03}");
        Self {
            user: id(1),
            email: "nobody@nowhere.example.com".into(),
            customer: name(2),
            customer_id: id(3),
            sku: name(4),
            product_id: id(5),
            loose_sku: name(6),
            tracked_id: id(7),
            tracked_sku: name(8),
            lot: name(9),
            batch_id: id(10),
            location: name(11),
            location_id: id(12),
            other_location: name(13),
            other_location_id: id(14),
            vendor: name(15),
            draft_id: id(16),
            draft: "SO-2020-90016".into(),
            approved_id: id(17),
            approved: "SO-2020-90017".into(),
            delivered_id: id(34),
            delivered: "SO-2020-90034".into(),
            invoice_id: id(18),
            invoice: "INV-2020-90018".into(),
            payment: name(19),
            lead_id: id(20),
            cold_lead_id: id(29),
            converted_lead_id: id(21),
            draft_po_id: id(22),
            draft_po: "PO-2020-90022".into(),
            pending_po_id: id(23),
            pending_po: "PO-2020-90023".into(),
            approved_po_id: id(24),
            approved_po: "PO-2020-90024".into(),
            receipt_id: id(27),
            receipt: "GR-2020-90027".into(),
            movement_id: id(25),
            import_id: id(26),
            run_id: id(30),
            report_id: id(61),
            waiting_report_id: id(31),
            report_link: "r1.1.1.1.AAAA".into(),
            notice: "news:nobodys".into(),
            notification: "00000000-0000-7000-8000-00000000dead".into(),
            delivery_id: id(28),
            token: "00000000000000000000000000000000".into(),
            suppressed: "nobody@gone.example.com".into(),
            device_id: id(62),
            endpoint_id: id(63),
            hook_delivery_id: id(32),
            campaign_id: id(64),
            draft_campaign_id: id(65),
            running_campaign_id: id(66),
            paused_campaign_id: id(33),
            connection: name(30),
            connection_id: id(67),
            sync_run: id(68),
            conflict_id: id(69),
        }
    }

    /// Every name with the word that stands for it.
    pub(crate) fn words(&self) -> Vec<(String, &'static str)> {
        vec![
            (self.user.to_string(), "user-id"),
            (self.email.clone(), "email"),
            (self.customer.clone(), "customer"),
            (self.customer_id.to_string(), "customer-id"),
            (self.sku.clone(), "sku"),
            (self.product_id.to_string(), "product-id"),
            (self.loose_sku.clone(), "loose-sku"),
            (self.tracked_id.to_string(), "tracked-id"),
            (self.tracked_sku.clone(), "tracked-sku"),
            (self.lot.clone(), "lot"),
            (self.batch_id.to_string(), "batch-id"),
            (self.location.clone(), "location"),
            (self.location_id.to_string(), "location-id"),
            (self.other_location.clone(), "other-location"),
            (self.other_location_id.to_string(), "other-location-id"),
            (self.vendor.clone(), "vendor"),
            (self.draft_id.to_string(), "draft-id"),
            (self.draft.clone(), "draft"),
            (self.approved_id.to_string(), "approved-id"),
            (self.approved.clone(), "approved"),
            (self.delivered_id.to_string(), "delivered-id"),
            (self.delivered.clone(), "delivered"),
            (self.invoice_id.to_string(), "invoice-id"),
            (self.invoice.clone(), "invoice"),
            (self.payment.clone(), "payment"),
            (self.lead_id.to_string(), "lead-id"),
            (self.cold_lead_id.to_string(), "cold-lead-id"),
            (self.converted_lead_id.to_string(), "converted-lead-id"),
            (self.draft_po_id.to_string(), "draft-po-id"),
            (self.draft_po.clone(), "draft-po"),
            (self.pending_po_id.to_string(), "pending-po-id"),
            (self.pending_po.clone(), "pending-po"),
            (self.approved_po_id.to_string(), "approved-po-id"),
            (self.approved_po.clone(), "approved-po"),
            (self.receipt_id.to_string(), "receipt-id"),
            (self.receipt.clone(), "receipt"),
            (self.movement_id.to_string(), "movement-id"),
            (self.import_id.to_string(), "import-id"),
            (self.run_id.to_string(), "run-id"),
            (self.report_id.to_string(), "report-id"),
            (self.waiting_report_id.to_string(), "waiting-report-id"),
            (self.report_link.clone(), "report-link"),
            (self.notice.clone(), "notice"),
            (self.notification.clone(), "notification"),
            (self.delivery_id.to_string(), "delivery-id"),
            (self.token.clone(), "token"),
            (self.suppressed.clone(), "suppressed"),
            (self.device_id.to_string(), "device-id"),
            (self.endpoint_id.to_string(), "endpoint-id"),
            (self.hook_delivery_id.to_string(), "hook-delivery-id"),
            (self.campaign_id.to_string(), "campaign-id"),
            (self.draft_campaign_id.to_string(), "draft-campaign-id"),
            (self.running_campaign_id.to_string(), "running-campaign-id"),
            (self.paused_campaign_id.to_string(), "paused-campaign-id"),
            (self.connection.clone(), "connection"),
            (self.connection_id.to_string(), "connection-id"),
            (self.sync_run.to_string(), "sync-run"),
            (self.conflict_id.to_string(), "conflict-id"),
        ]
    }

    /// A text with each `[word]` replaced by the name it stands for, and each `{word}` by the caller's own.
    pub(crate) fn fill(&self, template: &str, own: &Self) -> String {
        let mut text = template.to_owned();
        for ((name, word), (mine, _)) in self.words().into_iter().zip(own.words()) {
            text = text.replace(&format!("[{word}]"), &name).replace(&format!("{{{word}}}"), &mine);
        }
        assert!(!text.contains(['[', '{']), "an unknown word: {text}");
        text
    }
}

/// A text in which each of the names is a star: what is left is what was said about it.
pub(crate) fn without(text: &str, names: &[String]) -> String {
    let mut names: Vec<&String> = names.iter().filter(|name| !name.is_empty() && *name != "0").collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut text = text.to_owned();
    for name in names {
        text = replaced(&text, name);
    }
    text
}

/// Only where it is a word of its own: 7 is not in 17, nor in 7.90.
fn replaced(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let word_goes_on =
            is_part(before.chars().last().or(out.chars().last())) || is_part(after.chars().next());
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let decimals = after.starts_with('.') && digit(after.chars().nth(1))
            || before.ends_with('.') && digit(before.chars().rev().nth(1));
        let part = word_goes_on || decimals;
        out.push_str(before);
        out.push_str(if part { name } else { "*" });
        rest = after;
    }
    out + rest
}

#[test]
fn names_are_replaced_where_they_are_words() {
    let names = ["7".to_owned(), "T-7".to_owned()];
    assert_eq!(without("order 7 of 17 (T-7) \"7\" 7", &names), "order * of 17 (*) \"*\" *");
}

/// The names of the tenant are not all the same thing.
#[test]
fn missing_names_differ_from_each_other() {
    let words = Names::missing().words();
    let mut names: Vec<&String> = words.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), words.len());
}
