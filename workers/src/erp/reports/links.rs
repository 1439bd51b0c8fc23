//! Links to reports: signed, so that nobody makes one, and with an end.
//!
//! A link says which tenant's report it opens, until when, and a sum of both that only who has the secret can make
//! (HMAC-SHA256). It opens nothing for another tenant: who opens it says for whom.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use fairlane::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::settings::ReportSettings;

/// The shortest secret that is taken.
const SHORTEST: usize = 16;
/// The file of the secret that is made where none is set.
const FILE: &str = "link.secret";

/// What links are signed with.
#[derive(Clone)]
pub struct LinkKey {
    secret: Vec<u8>,
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey")
    }
}

impl LinkKey {
    /// The secret of the settings, else the one in the folder of reports, which is made when it is missing.
    pub fn load(settings: &ReportSettings) -> Result<Self> {
        let set = settings.link_secret.expose_secret();
        let invalid = |why: String| Error::Invalid { what: "reports.link_secret".into(), why };
        if !set.is_empty() && set.len() < SHORTEST {
            return Err(invalid(format!("it has less than {SHORTEST} characters")));
        }
        let secret = match set.is_empty() {
            false => set.as_bytes().to_vec(),
            true => own_secret(&settings.folder).map_err(|why| {
                invalid(format!("the secret in {} can't be read or made: {why}", settings.folder.display()))
            })?,
        };
        Ok(Self { secret })
    }

    /// A link to a tenant's report that opens it until a time.
    pub fn sign(&self, tenant: i64, report: i64, until: DateTime<Utc>) -> Result<String> {
        let end = until.timestamp();
        let sum = URL_SAFE_NO_PAD.encode(self.sum(tenant, report, end)?);
        Ok(format!("r1.{tenant}.{report}.{end}.{sum}"))
    }

    /// The report that a link opens for a tenant.
    ///
    /// # Errors
    /// Whatever is wrong with a link that nobody signed for this tenant is answered alike; one that is over says so.
    pub fn open(&self, tenant: i64, link: &str, now: DateTime<Utc>) -> Result<i64> {
        let invalid = || Error::Refused {
            what: "opening the report".into(),
            why: "the link was not made for this tenant, or is damaged; copy all of it, or ask for another"
                .into(),
        };
        // People copy the whole address.
        let token = link.trim().rsplit('/').next().unwrap_or_default();
        let [version, owner, report, end, sum] =
            <[&str; 5]>::try_from(token.split('.').collect::<Vec<_>>()).map_err(|_| invalid())?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| invalid());
        let (owner, report, end) = (number(owner)?, number(report)?, number(end)?);
        let given = URL_SAFE_NO_PAD.decode(sum).map_err(|_| invalid())?;
        let right = self.sum(owner, report, end)?;
        let signed = bool::from(right.as_slice().ct_eq(given.as_slice()));
        if !signed || version != "r1" || owner != tenant {
            return Err(invalid());
        }
        if now.timestamp() >= end {
            return Err(Error::Refused {
                what: "opening the report".into(),
                why: format!("the link is over; ask for a new one: fairlane erp report link {report}"),
            });
        }
        Ok(report)
    }

    fn sum(&self, tenant: i64, report: i64, end: i64) -> Result<Vec<u8>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)
            .map_err(|why| Error::Invalid { what: "reports.link_secret".into(), why: why.to_string() })?;
        mac.update(format!("fairlane report link r1\n{tenant}\n{report}\n{end}").as_bytes());
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

/// What of an address leads to a report: a path that `mail.app_url` stands before.
pub fn target(token: &str) -> String {
    format!("reports/{token}")
}

/// The secret in the folder. Of several processes that make one, the first keeps it: a file is put in its place only where
/// there is none.
fn own_secret(folder: &Path) -> std::io::Result<Vec<u8>> {
    let path = folder.join(FILE);
    let read = |path: &Path| match std::fs::read(path) {
        Ok(secret) if secret.len() >= SHORTEST => Ok(Some(secret)),
        Ok(_) => Err(std::io::Error::other(format!("{} is damaged; remove it", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    if let Some(secret) = read(&path)? {
        return Ok(secret);
    }
    std::fs::create_dir_all(folder)?;
    // Readable by its owner alone, as all temporary files are.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    file.write_all(secret.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(secret.into_bytes()),
        Err(_) => read(&path)?.ok_or_else(|| std::io::Error::other(format!("{} vanished", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(folder: &Path) -> LinkKey {
        LinkKey::load(&ReportSettings::in_folder(folder)).unwrap()
    }

    #[test]
    fn a_link_opens_its_tenants_report_until_its_end_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path());
        let end = DateTime::from_timestamp(2_000_000_000, 0).unwrap();
        let (before, second) = (end - chrono::Duration::seconds(1), chrono::Duration::seconds(1));
        let link = key.sign(7, 42, end).unwrap();
        assert_eq!(key.open(7, &link, before).unwrap(), 42);
        assert_eq!(key.open(7, &format!("https://app.example.com/{}", target(&link)), before).unwrap(), 42);
        assert!(key.open(7, &link, end).unwrap_err().to_string().contains("is over"));
        let refused = |link: &str, tenant: i64| key.open(tenant, link, before).unwrap_err().to_string();
        let missing = refused("nothing", 7);
        assert_eq!(refused(&link, 8), missing, "another tenant's link is no link");
        for (from, to) in
            [(".42.", ".43."), ("r1.7.", "r1.8."), ("r1.", "r2."), (".2000000000.", ".2000000009.")]
        {
            assert_eq!(refused(&link.replace(from, to), 7), missing, "{from} {to}");
        }
        let mut forged = link.clone().into_bytes();
        for at in link.rfind('.').unwrap() + 1..link.len() - 1 {
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(forged.clone()).unwrap();
            assert!(text == link || refused(&text, 7) == missing);
            forged[at] = link.as_bytes()[at];
        }
        let other = tempfile::tempdir().unwrap();
        let foreign = LinkKey::load(&ReportSettings::in_folder(other.path())).unwrap();
        assert_eq!(refused(&foreign.sign(7, 42, end + second).unwrap(), 7), missing);
    }

    #[test]
    fn the_secret_in_the_folder_is_made_once_and_read_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(key(folder.path()).secret, key(folder.path()).secret);
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        let short = ReportSettings {
            link_secret: "short".to_owned().into(),
            ..ReportSettings::in_folder(folder.path())
        };
        assert!(LinkKey::load(&short).unwrap_err().to_string().contains("less than 16"));
        assert_eq!(format!("{:?}", key(folder.path())), "LinkKey");
    }
}
