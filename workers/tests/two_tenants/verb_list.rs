//! The verbs of the command line, with what is tried of each.

/// A verb and what is tried of it: `[word]` stands for the name under attack, `{word}` for the caller's own.
pub(crate) struct Verb {
    /// `erp order approve`.
    pub(crate) path: &'static str,
    /// Arguments with which it does something for its own tenant; in this order, each once.
    pub(crate) own: Option<&'static str>,
    /// Whether it changes nothing: then what it says is compared before and after the other tenant has grown.
    pub(crate) reads: bool,
    /// Arguments that name something of the other's.
    pub(crate) foreign: &'static [&'static str],
}

impl Verb {
    /// Whether it tells of nothing where it finds nothing, instead of refusing a name.
    pub(crate) fn is_list(&self) -> bool {
        self.reads && self.path.split(' ').next_back().is_some_and(|verb| LISTS.contains(&verb))
    }
}

const LISTS: [&str; 3] = ["list", "levels", "movements"];

const fn reads(path: &'static str, own: &'static str, foreign: &'static [&'static str]) -> Verb {
    Verb { path, own: Some(own), reads: true, foreign }
}

const fn does(path: &'static str, own: &'static str, foreign: &'static [&'static str]) -> Verb {
    Verb { path, own: Some(own), reads: false, foreign }
}

/// It makes a tenant and a database of its own.
const fn apart(path: &'static str) -> Verb {
    Verb { path, own: None, reads: false, foreign: &[] }
}

pub(crate) const VERBS: &[Verb] = &[
    apart("demo"),
    apart("bench import"),
    apart("bench campaign"),
    apart("bench valuation"),
    apart("bench report"),
    apart("bench room"),
    does("erp customer add", "NEW --name New", &[]),
    does("erp customer set-email", "[customer] eve@example.com", &["[customer] eve@example.com"]),
    does("erp customer update", "[customer] --phone 123", &["[customer] --name Eve"]),
    reads("erp customer list", "", &[]),
    reads("erp customer show", "[customer]", &["[customer]"]),
    reads("erp customer stats", "[customer]", &["[customer]", "[customer] --recompute"]),
    does(
        "erp order create",
        "--customer [customer] --line [sku]=0.75",
        &[
            "--customer [customer] --line {sku}=1",
            "--customer {customer} --line [sku]=0.75",
            "--customer {customer} --line {sku}=1 --from [location]",
            "--customer {customer} --line {sku}=1 --user [email]",
        ],
    ),
    does(
        "erp order place",
        "[draft] 1 --from [other-location]",
        &[
            "[draft] 1 --from {other-location}",
            "{draft} 1 --from [other-location]",
            "{draft} 1 --from {other-location} --lot [lot]",
        ],
    ),
    does("erp order approve", "[draft] --user [email]", &["[draft]", "{draft} --user [email]"]),
    does("erp order cancel", "[draft] --user [email]", &["[draft]", "{draft} --user [email]"]),
    does(
        "erp order return",
        "[delivered] --line 1=0.5 --location [location] --user [email]",
        &[
            "[delivered] --line 1=0.5",
            "{delivered} --line 1=0.5 --location [location]",
            "{delivered} --line 1=0.5 --user [email]",
        ],
    ),
    does("erp order fulfil", "[approved] --user [email]", &["[approved]", "{approved} --user [email]"]),
    reads("erp order list", "", &[]),
    reads("erp order show", "[approved]", &["[approved]"]),
    reads("erp invoice list", "", &[]),
    reads("erp invoice show", "[invoice]", &["[invoice]"]),
    does(
        "erp payment receive",
        "[invoice] 1 --reference NEW --user [email]",
        &["[invoice] 1 --reference NEW", "{invoice} 1 --reference NEW --user [email]"],
    ),
    reads("erp payment list", "--invoice [invoice]", &["--invoice [invoice]"]),
    does("erp lead create", "Bo", &[]),
    does("erp lead convert", "[lead-id] --user [email]", &["[lead-id]", "{lead-id} --user [email]"]),
    does("erp lead lose", "[cold-lead-id]", &["[cold-lead-id]"]),
    reads("erp lead list", "", &[]),
    does("erp vendor add", "NEW --name New", &[]),
    does("erp vendor update", "[vendor] --phone 123", &["[vendor] --name Eve"]),
    reads("erp vendor list", "", &[]),
    does(
        "erp po create",
        "--vendor [vendor] --line [sku]=0.75@2 --user [email]",
        &[
            "--vendor [vendor] --line {sku}=1@2",
            "--vendor {vendor} --line [sku]=0.75@2",
            "--vendor {vendor} --line {sku}=1@2 --user [email]",
        ],
    ),
    does("erp po submit", "[draft-po]", &["[draft-po]"]),
    does("erp po approve", "[pending-po] --user [email]", &["[pending-po]", "{pending-po} --user [email]"]),
    does("erp po cancel", "[draft-po]", &["[draft-po]"]),
    reads("erp po show", "[approved-po]", &["[approved-po]"]),
    reads("erp po list", "", &[]),
    does(
        "erp goods receive",
        "[approved-po] --all --location [location] --user [email]",
        &[
            "[approved-po] --all",
            "{approved-po} --all --location [location]",
            "{approved-po} --all --user [email]",
        ],
    ),
    does(
        "erp goods return",
        "[receipt] --line 1=0.5 --location [location] --user [email]",
        &[
            "[receipt] --line 1=0.5",
            "{receipt} --line 1=0.5 --location [location]",
            "{receipt} --line 1=0.5 --user [email]",
        ],
    ),
    reads("erp scanners list", "", &[]),
    does("erp scanners on", "", &[]),
    does("erp scanners off", "", &[]),
    does("erp scanners run", "", &[]),
    reads("erp events", "", &[]),
    reads("erp stock levels", "--product [sku] --at [location]", &["--product [sku]", "--at [location]"]),
    reads("erp stock movements", "--product [sku] --at [location]", &["--product [sku]", "--at [location]"]),
    reads("erp stock alerts", "--all", &[]),
    does(
        "erp stock move",
        "receipt [sku] 1 --at [location] --user [email]",
        &[
            "receipt [sku] 1 --at {location}",
            "receipt {sku} 1 --at [location]",
            "receipt {sku} 1 --at {location} --user [email]",
        ],
    ),
    does(
        "erp stock count",
        "[sku] 7 --at [location]",
        &["[sku] 7 --at {location}", "{sku} 7 --at [location]"],
    ),
    does(
        "erp stock transfer",
        "[sku] 1 --from [location] --to [other-location]",
        &[
            "[sku] 1 --from {location} --to {other-location}",
            "{sku} 1 --from [location] --to {other-location}",
            "{sku} 1 --from {location} --to [other-location]",
            "{tracked-sku} 1 --from {location} --to {other-location} --lot [lot]",
        ],
    ),
    does("erp stock reverse", "[movement-id]", &["[movement-id]"]),
    does(
        "erp stock lot set",
        "[tracked-sku] [lot] --expires 2097-03-31",
        &["[tracked-sku] [lot] --expires none", "{tracked-sku} [lot] --expires none"],
    ),
    does("erp stock rebuild", "", &[]),
    does("erp stock terms", "--negative allow", &[]),
    does(
        "erp valuation run",
        "--product [sku] --location [location]",
        &["--product [sku]", "--location [location]", "--product {sku} --force --user [email]"],
    ),
    reads("erp valuation list", "", &[]),
    reads("erp valuation show", "[run-id]", &["[run-id]"]),
    reads("erp valuation of", "[sku] --scope location", &["[sku]"]),
    reads("erp valuation age", "--product [sku] --scope location", &["--product [sku]"]),
    does("erp product create", "NEW --name New", &[]),
    does(
        "erp product update",
        "[sku] --name Renamed",
        &["[sku] --name Eve", "{sku} --name Eve --user [email]"],
    ),
    reads("erp product list", "", &[]),
    reads("erp product show", "[tracked-sku]", &["[tracked-sku]"]),
    does("erp product delete", "[loose-sku]", &["[loose-sku]", "{loose-sku} --user [email]"]),
    does("erp location add", "NEW --name New --parent [location]", &["NEW --name New --parent [location]"]),
    does("erp location set-active", "[other-location] false", &["[other-location] false"]),
    reads("erp location list", "", &[]),
    does(
        "erp user add",
        "bo@example.com --name Bo --permission billing.view --at [location]",
        &["bo@example.com --name Bo --permission billing.view --at [location]"],
    ),
    does(
        "erp user revoke",
        "bo@example.com --permission billing.view --at [location]",
        &["[email] --permission billing.view", "{email} --permission billing.view --at [location]"],
    ),
    reads("erp user show", "[email]", &["[email]", "[user-id]"]),
    reads("erp user list", "", &[]),
    reads("erp user permissions", "", &[]),
    does("erp user deactivate", "[email]", &["[email]", "[user-id]"]),
    does("erp user activate", "[email]", &["[email]", "[user-id]"]),
    does(
        "erp user set-email",
        "[user-id] ana@example.com",
        &["[email] eve@example.com", "[user-id] eve@example.com"],
    ),
    reads("erp user preferences list", "[user-id]", &["[email]", "[user-id]"]),
    does(
        "erp user preferences set",
        "[user-id] * in_app off",
        &["[email] * mail off", "[user-id] * mail off"],
    ),
    does("erp user preferences reset", "[user-id] * in_app", &["[email] * mail", "[user-id] * mail"]),
    reads("erp user suppressions list", "", &[]),
    does("erp user suppressions lift", "[suppressed]", &["[suppressed]"]),
    does("erp user unsubscribe", "[token]", &["[token]"]),
    does(
        "erp user phone set",
        "[user-id] +4915112345678",
        &["[email] +4915112345678", "[user-id] +4915112345678"],
    ),
    does("erp user phone clear", "[user-id]", &["[email]", "[user-id]"]),
    does("erp user device add", "[user-id] --fcm new", &["[email] --fcm new", "[user-id] --fcm new"]),
    reads("erp user device list", "[user-id]", &["[email]", "[user-id]"]),
    does("erp user device remove", "[device-id]", &["[device-id]"]),
    does(
        "erp webhook add",
        "https://hooks.example.com/new",
        &["https://hooks.example.com/new --user [email]"],
    ),
    reads("erp webhook list", "", &[]),
    reads("erp webhook show", "[endpoint-id]", &["[endpoint-id]"]),
    reads("erp webhook attempts", "[endpoint-id]", &["[endpoint-id]"]),
    does("erp webhook test", "[endpoint-id]", &["[endpoint-id]"]),
    does("erp webhook rotate", "[endpoint-id]", &["[endpoint-id]"]),
    does("erp webhook disable", "[endpoint-id]", &["[endpoint-id]"]),
    does("erp webhook enable", "[endpoint-id]", &["[endpoint-id]"]),
    does("erp webhook replay", "[hook-delivery-id]", &["[hook-delivery-id]", "--failed [endpoint-id]"]),
    does("erp webhook remove", "[endpoint-id]", &["[endpoint-id]"]),
    does("erp callback twilio", "--file report.form", &[]),
    does("erp callback bounce", "--file bounce.json", &[]),
    does(
        "erp user quiet-hours set",
        "[user-id] 22:00 07:00",
        &["[email] 22:00 07:00", "[user-id] 22:00 07:00 --timezone UTC"],
    ),
    does("erp user quiet-hours clear", "[user-id]", &["[email]", "[user-id]"]),
    does("erp user digest set", "[user-id] daily", &["[email] daily", "[user-id] daily"]),
    does("erp user digest clear", "[user-id]", &["[email]", "[user-id]"]),
    reads("erp profile show", "", &[]),
    does("erp profile set", "--name Renamed", &[]),
    reads("erp template list", "", &[]),
    reads("erp template show", "notification", &[]),
    does("erp template set", "notification --subject Hello", &[]),
    does("erp template reset", "notification", &[]),
    does("erp report run", "sales --period yesterday", &["sales --period yesterday --user [email]"]),
    reads("erp report list", "", &[]),
    reads("erp report show", "[report-id]", &["[report-id]"]),
    // Its own has another link every second.
    Verb { path: "erp report link", own: None, reads: false, foreign: &["[report-id]"] },
    does("erp report open", "[report-link] --out opened.json", &["[report-link] --out foreign.json"]),
    does("erp report cancel", "[waiting-report-id]", &["[waiting-report-id]"]),
    does("erp report delete", "[report-id]", &["[report-id]"]),
    does("erp report schedule add", "daily sales --every day", &[]),
    reads("erp report schedule list", "", &[]),
    does("erp report schedule remove", "daily", &[]),
    does("erp sync connection add", "NEW --dialect shopify --url https://shop.invalid", &[]),
    reads("erp sync connection list", "", &[]),
    reads("erp sync connection show", "[connection]", &["[connection]"]),
    does("erp sync connection set", "[connection] --rate 3", &["[connection] --rate 3"]),
    // It would ask a server.
    Verb { path: "erp sync connection test", own: None, reads: false, foreign: &["[connection]"] },
    does("erp sync run", "[connection] --entity products", &["[connection]", "[connection] --push --full"]),
    reads("erp sync log list", "", &[]),
    reads("erp sync log show", "[sync-run]", &["[sync-run]"]),
    reads("erp sync conflicts list", "", &[]),
    does("erp sync conflicts resolve", "[conflict-id] local", &["[conflict-id] remote"]),
    reads("erp sync breaker show", "[connection]", &["[connection]"]),
    does("erp sync breaker reset", "[connection]", &["[connection]"]),
    does("erp sync connection remove", "[connection]", &["[connection]"]),
    does("import", "new.csv --as products", &["new.csv --as products --user [email]"]),
    reads("import maps", "", &[]),
    reads("imports list", "", &[]),
    reads("imports show", "[import-id]", &["[import-id]"]),
    reads("imports errors", "[import-id]", &["[import-id]", "[import-id] --csv foreign.csv"]),
    // Its own is done: what is refused then is refused for that, not for being missing.
    Verb { path: "imports cancel", own: None, reads: false, foreign: &["[import-id]"] },
    reads("imports conflicts", "[import-id]", &["[import-id]"]),
    does("imports undo", "[import-id]", &["[import-id]", "[import-id] --dry-run"]),
    reads("stats pending", "", &[]),
    reads("stats failed", "", &[]),
    reads("stats unread", "", &[]),
    reads("stats imports", "", &[]),
    reads("stats reports", "", &[]),
    reads("notifications list", "--user [user-id]", &["--user [email]", "--user [user-id]"]),
    does("notifications read", "[notification]", &["[notification]", "--all --user [email]"]),
    reads(
        "notifications why",
        "[notice]",
        &["[notice]", "[delivery-id]", "[notification]", "{notice} --user [email]"],
    ),
    does("notifications resolve", "[delivery-id] sent", &["[delivery-id] sent", "[delivery-id] resend"]),
    does(
        "notifications campaign create",
        "announcement --title Hello --message There --user [user-id]",
        &[
            "announcement --title Hello --message There --user [email]",
            "announcement --title Hello --message There --user [user-id]",
            "announcement --title Hello --message There --permission sales.view --at [location]",
            "announcement --title Hello --message There --by [email]",
        ],
    ),
    reads("notifications campaign show", "[campaign-id]", &["[campaign-id]"]),
    reads("notifications campaign list", "", &[]),
    does("notifications campaign send", "[draft-campaign-id]", &["[draft-campaign-id]"]),
    does("notifications campaign pause", "[running-campaign-id]", &["[running-campaign-id]"]),
    does("notifications campaign resume", "[paused-campaign-id]", &["[paused-campaign-id]"]),
    does("notifications campaign cancel", "[draft-campaign-id]", &["[draft-campaign-id]"]),
    does(
        "notifications campaign test",
        "[campaign-id] --user [user-id] --folder tried",
        &["[campaign-id] --user {user-id} --folder tried", "{campaign-id} --user [user-id] --folder tried"],
    ),
    does("notifications campaign rate", "600/min", &[]),
];
