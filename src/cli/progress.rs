//! How far an operation on many jobs is, on standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::session::Session;

/// Below this nobody needs a progress bar.
const SHOWN_FROM: i64 = 2000;

/// A bar for so many jobs; invisible where nobody looks, and for a few.
pub(super) fn progress(session: &Session, verb: &str, count: i64) -> ProgressBar {
    let shown = count >= SHOWN_FROM && !session.out.quiet && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(u64::try_from(count).ok(), target).with_prefix(verb.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}  {per_sec}  eta {eta}") {
        bar.set_style(style);
    }
    bar
}
