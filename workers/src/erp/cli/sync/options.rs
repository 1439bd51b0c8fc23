//! What can be said of a connection on the command line.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use fairlane::Error;
use fairlane::cli::{Exit, Failure};
use secrecy::SecretString;

use crate::erp::outbound::network::Network;
use crate::erp::sync::connection::{Auth, Connection, Policy};
use crate::erp::sync::dialects::Description;

/// A secret is no longer than this.
const LONGEST_SECRET: u64 = 16 << 10;

#[derive(Debug, Clone, Default, Args)]
pub(in super::super) struct Options {
    /// How requests say who sends them: none, bearer, basic, hmac, oauth2
    #[arg(long)]
    auth: Option<Auth>,
    /// Read the secret from this file; - is standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The login, the client of oauth2, the key's name of hmac, the user's number of Odoo
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Where oauth2 gets its tokens
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// The scope oauth2 asks for
    #[arg(long)]
    scope: Option<String>,
    /// The header of the token or the signature, in place of the usual one
    #[arg(long, value_name = "NAME")]
    header: Option<String>,
    /// The database of Odoo
    #[arg(long, value_name = "NAME")]
    odoo_database: Option<String>,
    /// How the system is asked, as JSON: all of it for the generic dialect, what is otherwise for the others
    #[arg(long, value_name = "FILE")]
    description: Option<PathBuf>,
    /// A private address or network it may lead to; can be given more than once, "none" takes all away
    #[arg(long, value_name = "ADDRESS")]
    allow_address: Vec<String>,
    /// Requests a second
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Requests at once
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Records of a page
    #[arg(long, value_name = "N")]
    page_size: Option<u64>,
    /// Most pages of a run
    #[arg(long, value_name = "N")]
    max_pages: Option<u64>,
    /// Most bytes of an answer
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Seconds an answer may take
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Seconds by which a run reaches back behind the one before
    #[arg(long, value_name = "SECONDS")]
    overlap: Option<u64>,
    /// Most records that may have vanished there to be made inactive here
    #[arg(long, value_name = "PERCENT")]
    max_deletions: Option<u32>,
    /// Who wins where both sides have changed a field: products.price=local_wins; also remote_wins, newest_wins, manual
    #[arg(long, value_name = "FIELDS=POLICY")]
    policy: Vec<String>,
    /// Our location for one of theirs: 123=MAIN
    #[arg(long, value_name = "THEIRS=CODE")]
    location: Vec<String>,
    /// Whether it is used
    #[arg(long)]
    active: Option<bool>,
}

impl Options {
    /// The connection with what was said.
    pub(super) fn apply(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let settings = &mut connection.settings;
        if let Some(auth) = self.auth {
            connection.auth = auth;
        }
        let texts = [
            (&self.username, &mut settings.username),
            (&self.token_url, &mut settings.token_url),
            (&self.scope, &mut settings.scope),
            (&self.header, &mut settings.header),
            (&self.odoo_database, &mut settings.database),
        ];
        for (given, text) in texts {
            if let Some(given) = given {
                *text = (!given.is_empty()).then(|| given.clone());
            }
        }
        settings.per_second = self.rate.unwrap_or(settings.per_second);
        settings.burst = self.burst.unwrap_or(settings.burst);
        settings.page_size = self.page_size.or(settings.page_size);
        settings.max_pages = self.max_pages.unwrap_or(settings.max_pages);
        settings.max_bytes = self.max_bytes.unwrap_or(settings.max_bytes);
        settings.timeout_seconds = self.timeout.unwrap_or(settings.timeout_seconds);
        settings.overlap_seconds = self.overlap.unwrap_or(settings.overlap_seconds);
        settings.max_deletions_percent = self.max_deletions.unwrap_or(settings.max_deletions_percent);
        if !self.allow_address.is_empty() {
            let named = self.allow_address.iter().filter(|address| *address != "none");
            settings.allow_addresses =
                named.map(|address| address.parse()).collect::<Result<Vec<Network>, Error>>()?;
        }
        for pair in &self.policy {
            let (fields, policy) = split(pair, "products.price=local_wins")?;
            settings.policies.insert(fields.to_owned(), policy.parse::<Policy>()?);
        }
        for pair in &self.location {
            let (theirs, ours) = split(pair, "123=MAIN")?;
            settings.locations.insert(theirs.to_owned(), ours.to_owned());
        }
        if let Some(path) = &self.description {
            settings.description = Some(description(path)?);
        }
        connection.active = self.active.unwrap_or(connection.active);
        Ok(())
    }

    /// The secret, where one was given; never from the command line, which everybody on the machine can read.
    pub(super) fn secret(&self) -> anyhow::Result<Option<SecretString>> {
        let Some(path) = &self.secret_file else { return Ok(None) };
        let mut text = String::new();
        let read = match path.as_os_str() == "-" {
            true => std::io::stdin().take(LONGEST_SECRET).read_to_string(&mut text),
            false => {
                std::fs::File::open(path).and_then(|file| file.take(LONGEST_SECRET).read_to_string(&mut text))
            }
        };
        read.map_err(|why| cannot_read(path, &why.to_string()))?;
        let secret = text.trim();
        if secret.is_empty() {
            return Err(cannot_read(path, "it is empty").into());
        }
        Ok(Some(SecretString::from(secret.to_owned())))
    }
}

fn split<'p>(pair: &'p str, example: &str) -> Result<(&'p str, &'p str), Failure> {
    let parts = pair.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    parts.ok_or_else(|| {
        Failure::usage(format!("\"{pair}\" is no pair")).hint(format!("for example: {example}"))
    })
}

fn description(path: &Path) -> anyhow::Result<Description> {
    let text = std::fs::read_to_string(path).map_err(|why| cannot_read(path, &why.to_string()))?;
    serde_json::from_str(&text).map_err(|why| {
        Failure::usage(format!("{} is no description: {why}", path.display()))
            .hint("docs/ERP.md has an example")
            .into()
    })
}

fn cannot_read(path: &Path, why: &str) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read {}: {why}", path.display()))
}
