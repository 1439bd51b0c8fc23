//! `erp callback twilio|bounce`: what providers report, fed by hand.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Failure, printable};
use serde_json::json;

use crate::erp::services::callbacks::{self, Bounce};
use crate::erp::sms::{TwilioStatus, signature_matches};
use crate::erp::store::deliveries::Delivery;

#[derive(Debug, Subcommand)]
pub(super) enum Callback {
    /// What became of a text message: the form that Twilio posts
    Twilio {
        /// A file with the form: MessageSid=SM...&MessageStatus=delivered
        #[arg(long)]
        file: PathBuf,
        /// The address it was posted to
        #[arg(long)]
        url: Option<String>,
        /// Its X-Twilio-Signature, to be verified with sms.twilio_token
        #[arg(long, requires = "url")]
        signature: Option<String>,
    },
    /// A mail that came back, or whose reader complains: {"address": ..., "kind": "hard", "soft" or "complaint"}
    Bounce {
        /// A file with the report, in JSON
        #[arg(long)]
        file: PathBuf,
    },
}

pub(super) async fn run(verb: &Callback, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let delivery = match verb {
        Callback::Twilio { file, url, signature } => {
            let form = read(file)?;
            let form = form.trim_end();
            if let (Some(url), Some(signature)) = (url, signature) {
                let token = env.config.secret("sms.twilio_token")?;
                if !signature_matches(&token, url, form, signature) {
                    let hint =
                        "the address must be the one the provider called, and sms.twilio_token its account's";
                    return Err(Failure::usage("the signature is not right for this form").hint(hint).into());
                }
            }
            let report = TwilioStatus::read(form, url.as_deref())?;
            let mut tx = tenant.begin().await?;
            let delivery = callbacks::twilio_status(&mut tx, tenant, &report).await?;
            tx.commit().await?;
            delivery
        }
        Callback::Bounce { file } => {
            let bounce: Bounce = serde_json::from_str(&read(file)?)
                .with_context(|| format!("{} is no report of a bounce", file.display()))?;
            let mut tx = tenant.begin().await?;
            let delivery = callbacks::mail_bounce(&mut tx, tenant, &bounce).await?;
            tx.commit().await?;
            delivery
        }
    };
    told(env, delivery.as_ref())
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn told(env: &CommandEnv, delivery: Option<&Delivery>) -> anyhow::Result<()> {
    let id = delivery.map(|delivery| delivery.id.to_string());
    let line = match delivery {
        Some(delivery) => format!("Delivery {} is {}.", delivery.id, delivery.status.as_str()),
        None => "Noted; no delivery here is known by it.".to_owned(),
    };
    Ok(env.output.result(&json!({ "delivery": delivery }), id.as_deref(), &[printable(&line)])?)
}
