//! The one binary: the engine's command line with the domains that ship with it.

use std::process::ExitCode;

use fairlane::cli::{App, Setup, run};
use fairlane_workers::erp::{self, Erp};

fn main() -> ExitCode {
    run(App::new("fairlane", env!("CARGO_PKG_VERSION"))
        .settings(erp::settings::settings())
        .migrations(erp::migrations())
        .command(erp::cli::ImportCommand)
        .command(erp::cli::ImportsCommand)
        .command(erp::cli::BenchImportCommand)
        .command(erp::cli::BenchCampaignCommand)
        .command(erp::cli::BenchValuationCommand)
        .command(erp::cli::BenchReportCommand)
        .command(erp::cli::BenchRoomCommand)
        .command(erp::cli::ErpCommand)
        .command(erp::cli::StatsCommand)
        .command(erp::cli::NotificationsCommand)
        .command(erp::demo::DemoCommand)
        .domain(async |setup: Setup| Ok((erp::registry(), Erp::from_config(&setup.config)?))))
}
