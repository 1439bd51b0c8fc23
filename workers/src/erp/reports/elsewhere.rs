//! Reports that are kept elsewhere than in a folder: which bucket, and how it is reached.

use fairlane::config::{Config, ConfigError, Kind, Problem, Setting};
use object_store::path::Path;
use secrecy::{ExposeSecret, SecretString};

/// The settings of a bucket.
pub const BUCKET_SETTINGS: &[Setting] = &[
    Setting::new(
        "reports.url",
        Kind::Text,
        "",
        "Where reports are kept in place of the folder: s3://bucket/prefix, in a build with the feature s3; empty = in the folder.",
    ),
    Setting::new(
        "reports.s3_endpoint",
        Kind::Text,
        "",
        "Where the bucket is, such as https://minio.example.com; empty = AWS_ENDPOINT_URL, else Amazon's.",
    ),
    Setting::new("reports.s3_region", Kind::Text, "", "The bucket's region; empty = AWS_REGION."),
    Setting::new(
        "reports.s3_access_key_id",
        Kind::Text,
        "",
        "Who asks; empty = AWS_ACCESS_KEY_ID, else the role that the machine has.",
    ),
    Setting::new(
        "reports.s3_secret_access_key",
        Kind::Secret,
        "",
        "The secret of who asks; empty = AWS_SECRET_ACCESS_KEY, else the role that the machine has.",
    ),
];

/// A place in a bucket. What it does not say is said by the usual variables (`AWS_...`).
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// The bucket.
    pub bucket: String,
    /// What its names begin with.
    pub prefix: Path,
    /// Where it is.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Who asks, and with which secret.
    pub login: Option<(String, SecretString)>,
}

impl Elsewhere {
    /// Reads where reports are kept; none where that is the folder.
    pub(super) fn read(config: &Config) -> Result<Option<Self>, ConfigError> {
        let Some(url) = filled(config, "reports.url")? else { return Ok(None) };
        let refused = |key: &str, message: &str, hint: &str| {
            let problem = Problem::new(key, message).hint(hint);
            ConfigError::Invalid(vec![match config.origin(key) {
                Some(origin) => problem.at(origin.clone()),
                None => problem,
            }])
        };
        if !cfg!(feature = "s3") {
            return Err(refused(
                "reports.url",
                "this fairlane keeps reports in folders alone: it was built without the feature s3",
                "build it with: cargo build --release -p fairlane-workers --features s3",
            ));
        }
        let (bucket, prefix) = parts(&url).map_err(|why| {
            refused("reports.url", &why, "for example: url = \"s3://acme-reports/fairlane\"")
        })?;
        if config.secret("reports.link_secret")?.expose_secret().is_empty() {
            return Err(refused(
                "reports.link_secret",
                "it must be set where reports are kept in a bucket: there is no folder that all processes share",
                "make one: openssl rand -hex 32",
            ));
        }
        let (name, secret) =
            (filled(config, "reports.s3_access_key_id")?, config.secret("reports.s3_secret_access_key")?);
        let login = match (name, secret.expose_secret().is_empty()) {
            (Some(name), false) => Some((name, secret)),
            (None, true) => None,
            _ => {
                return Err(refused(
                    "reports.s3_access_key_id",
                    "it goes with reports.s3_secret_access_key: set both or none",
                    "the usual variables count where none is set: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
                ));
            }
        };
        let (endpoint, region) =
            (filled(config, "reports.s3_endpoint")?, filled(config, "reports.s3_region")?);
        Ok(Some(Self { bucket, prefix, endpoint, region, login }))
    }
}

fn filled(config: &Config, key: &str) -> Result<Option<String>, ConfigError> {
    let text = config.text(key)?.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Bucket and prefix of `s3://bucket/prefix`.
fn parts(url: &str) -> Result<(String, Path), String> {
    let shown = url.escape_debug();
    let rest = url.strip_prefix("s3://").ok_or_else(|| format!("\"{shown}\" does not begin with s3://"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if bucket.is_empty() || !bucket.chars().all(fits) {
        return Err(format!("\"{shown}\" names no bucket"));
    }
    let prefix = Path::parse(prefix).map_err(|why| format!("\"{shown}\": {why}"))?;
    Ok((bucket.to_owned(), prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_perhaps_a_prefix() {
        let said = |url: &str| parts(url).map(|(bucket, prefix)| format!("{bucket}|{prefix}"));
        assert_eq!(said("s3://acme-reports").unwrap(), "acme-reports|");
        assert_eq!(said("s3://acme.reports/").unwrap(), "acme.reports|");
        assert_eq!(said("s3://acme/a/b/").unwrap(), "acme|a/b");
        for none in
            ["", "https://acme/a", "s3://", "s3:///a", "s3://a b/c", "s3://key:secret@acme/a", "s3://a/../b"]
        {
            assert!(said(none).is_err(), "{none}");
        }
    }

    fn read(lines: &str) -> Result<Option<Elsewhere>, ConfigError> {
        Elsewhere::read(&crate::erp::settings::settings().read(&format!("[reports]\n{lines}"))?)
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn a_bucket_is_refused_by_a_build_without_the_feature_which_says_how_to_get_another() {
        assert!(read("").unwrap().is_none());
        let error = read("url = \"s3://acme/a\"").unwrap_err();
        assert!(error.to_string().contains("without the feature s3"), "{error}");
        assert!(error.hint().contains("--features s3"), "{}", error.hint());
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_bucket_needs_a_secret_for_links_and_both_halves_of_a_login_and_shows_none() {
        const SECRET: &str = "link_secret = \"0123456789abcdef\"\nurl = \"s3://acme/a\"\n";
        let why = |lines: &str| read(lines).unwrap_err().to_string();
        assert!(why("url = \"s3://acme/a\"").contains("reports.link_secret"));
        assert!(why(&format!("{SECRET}s3_access_key_id = \"me\"")).contains("set both or none"));
        let both = format!("{SECRET}s3_access_key_id = \"me\"\ns3_secret_access_key = \"hidden-words\"");
        let place = read(&both).unwrap().unwrap();
        assert_eq!((place.bucket.as_str(), place.prefix.as_ref()), ("acme", "a"));
        assert!(place.login.is_some() && !format!("{place:?}").contains("hidden-words"));
        assert!(read(SECRET).unwrap().unwrap().login.is_none(), "the usual variables say it");
    }
}
