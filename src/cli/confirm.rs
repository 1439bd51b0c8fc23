//! Asking before something that can't be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Session;
use super::args::Consent;
use super::exit::Failure;

/// Goes on only with consent: `--yes`, or a person who types it.
pub(super) fn confirm(session: &Session, consent: Consent, question: &str) -> anyhow::Result<()> {
    if consent.yes {
        return Ok(());
    }
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal() && !session.globals.no_input;
    if !can_ask {
        return Err(Failure::usage(format!(
            "{question} needs your consent, and there is no terminal to ask on"
        ))
        .hint("add --yes to do it, or --dry-run to see what it would do")
        .into());
    }
    let mut err = io::stderr().lock();
    write!(err, "{question}? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(super::Exit::Refused, "not confirmed; nothing was done").into()),
    }
}
