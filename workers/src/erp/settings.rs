//! The ERP's own settings: the exchange with other systems here, mail, imports and what leaves by HTTP in files of their own.

mod channels;
mod imports;
mod mail;

use fairlane::config::{Config, ConfigError, Kind, Problem, Setting, Settings, Sources, load};

use super::reports::{BUCKET_SETTINGS, REPORT_SETTINGS};
use super::sync::SyncRuntime;
pub use channels::{
    GatewaySettings, PushSettings, SmsSettings, SmsTransport, TwilioSettings, outbound, sealer,
};
pub use imports::ImportSettings;
pub use mail::{MailSettings, MailTransport, SmtpSettings, SmtpTls};

/// The section `sync`.
const SYNC_SETTINGS: &[Setting] = &[
    Setting::new(
        "sync.breaker_failures",
        Kind::Integer { min: 1, max: 1000 },
        "5",
        "After so many failures in a row another system is left alone for a while.",
    ),
    Setting::new("sync.breaker_cooldown", Kind::PositiveDuration, "30s", "For how long, at first."),
    Setting::new(
        "sync.breaker_longest",
        Kind::PositiveDuration,
        "10m",
        "For how long at most: each try that fails doubles it.",
    ),
    Setting::new(
        "sync.retry_wait",
        Kind::Duration,
        "5s",
        "How long an exchange waits after a failure between pages, and where it is asked to wait without a time.",
    ),
];

/// Everything the `fairlane` binary can be told: the engine's settings and the ERP's.
pub fn settings() -> Settings {
    Settings::engine()
        .with(mail::SETTINGS)
        .with(imports::SETTINGS)
        .with(SYNC_SETTINGS)
        .with(channels::SETTINGS)
        .with(super::campaigns::settings::SETTINGS)
        .with(REPORT_SETTINGS)
        .with(BUCKET_SETTINGS)
        .check(mail::check)
        .check(check_sync)
        .check(super::reports::check)
        .check(channels::check)
}

/// Loads the configuration of the `fairlane` binary.
pub fn configure(sources: &Sources) -> Result<Config, ConfigError> {
    load(&settings(), sources)
}

fn check_sync(config: &Config) -> Vec<Problem> {
    SyncRuntime::read(config).err().map(|error| error.problems().to_vec()).unwrap_or_default()
}

fn problem(config: &Config, key: &str, message: &str, example: &str) -> Problem {
    let problem = Problem::new(key, message).hint(format!("for example: {example}"));
    match config.origin(key) {
        Some(origin) => problem.at(origin.clone()),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use fairlane::config::Origin;

    use super::*;

    const DEFAULT: &str = include_str!("../../../config/default.toml");
    const PRODUCTION: &str = include_str!("../../../config/production.toml");

    #[test]
    fn the_file_of_defaults_is_the_template_byte_for_byte() {
        let template = settings().template();
        if std::env::var_os("FAIRLANE_TEST_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/default.toml");
            std::fs::write(path, &template).unwrap();
        }
        assert!(
            template == DEFAULT,
            "config/default.toml is stale: FAIRLANE_TEST_BLESS=1 with this test rewrites it"
        );
    }

    #[test]
    fn the_file_of_defaults_parses_back_to_the_defaults() {
        let shown = |config: Config| config.show().into_iter().map(|s| (s.key, s.value)).collect::<Vec<_>>();
        assert_eq!(shown(settings().read(DEFAULT).unwrap()), shown(settings().defaults().unwrap()));
    }

    #[test]
    fn the_production_file_is_valid_and_says_only_what_differs() {
        let (production, defaults) = (settings().read(PRODUCTION).unwrap(), settings().defaults().unwrap());
        let mut different = 0;
        for (set, default) in production.show().iter().zip(&defaults.show()) {
            if set.origin != Origin::Default {
                assert_ne!(set.value, default.value, "{} does not differ from its default", set.key);
                different += 1;
            }
        }
        assert!(different > 0);
    }
}
