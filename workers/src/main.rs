//! The one binary: the engine's command line with the domains that ship with it.

use std::process::ExitCode;

use fairlane::cli::{App, run};
use fairlane_workers::erp;

fn main() -> ExitCode {
    run(App::new("fairlane", env!("CARGO_PKG_VERSION")).settings(erp::settings::settings()))
}
