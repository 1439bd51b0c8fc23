//! Where the files of reports are: a folder for each tenant, names that nobody guesses.
//!
//! A file is written under another name first (`parts/`), and moved when it is complete: what is found under a report's name
//! is whole. What a killed worker leaves in `parts/`, or a finished file whose report was never noted, goes with the clean-up.
//! A bucket in the folder's place (the feature `s3`) has files that are whole or not there by itself.

#[cfg(feature = "s3")]
mod bucket;

use std::io::Write;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use super::error::{ReportError, Result};
use super::settings::ReportSettings;

/// How long something may lie around before it is left over: longer than any report is written.
const LEFT_OVER: Duration = Duration::from_secs(24 * 3600);
/// Bytes moved at once.
const CHUNK: usize = 1 << 16;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it is: below the folder of reports.
    pub key: String,
    /// Of its bytes.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What was read or written.
#[derive(Debug, Clone, Default)]
struct Sum {
    hash: Sha256,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, part: &[u8]) {
        self.hash.update(part);
        self.bytes += part.len() as u64;
    }

    fn sha256(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How a file comes to its place.
#[derive(Debug, Clone)]
enum Place {
    /// Written beside it and moved.
    Folder,
    /// As one object.
    #[cfg(feature = "s3")]
    Bucket(bucket::Bucket),
}

/// The files of reports.
#[derive(Debug, Clone)]
pub struct ReportFiles {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
    place: Place,
}

impl ReportFiles {
    /// The files in the folder, which is made when it is missing, or in the bucket.
    pub fn open(settings: &ReportSettings) -> Result<Self> {
        std::fs::create_dir_all(&settings.folder)?;
        let folder = settings.folder.canonicalize()?;
        #[cfg(feature = "s3")]
        if let Some(elsewhere) = &settings.elsewhere {
            let bucket = bucket::Bucket::open(elsewhere)?;
            return Ok(Self { store: bucket.store(), folder, place: Place::Bucket(bucket) });
        }
        let store = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder, place: Place::Folder })
    }

    /// A folder to write in, on the disk of the folder; what is in it goes with it.
    pub fn workbench(&self) -> Result<tempfile::TempDir> {
        let parts = self.folder.join("parts");
        std::fs::create_dir_all(&parts)?;
        Ok(tempfile::Builder::new().prefix("making-").tempdir_in(parts)?)
    }

    /// Keeps a file of a tenant, with this ending, under a new name.
    pub async fn keep(&self, tenant: &str, file: &FsPath, ending: &str) -> Result<Stored> {
        let name = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let file_name = format!("{name}.{ending}");
        let whole = Path::from_iter([tenant, "reports", file_name.as_str()]);
        let mut source = tokio::fs::File::open(file).await?;
        let sum = match &self.place {
            Place::Folder => self.write_beside(&mut source, &name, &whole).await?,
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.write(&mut source, &whole).await?,
        };
        Ok(Stored { key: whole.to_string(), bytes: sum.bytes, sha256: sum.sha256() })
    }

    async fn write_beside(&self, source: &mut tokio::fs::File, name: &str, whole: &Path) -> Result<Sum> {
        let beside = Path::from_iter(["parts", name]);
        let mut target = BufWriter::new(self.store.clone(), beside.clone());
        let (mut sum, mut chunk) = (Sum::default(), vec![0; CHUNK]);
        loop {
            let read = source.read(&mut chunk).await?;
            let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
            sum.add(part);
            target.write_all(part).await?;
        }
        target.shutdown().await?;
        self.store.rename(&beside, whole).await?;
        Ok(sum)
    }

    /// Copies a file of a tenant; what does not have the size and the sum that were noted is refused.
    pub async fn copy(&self, tenant: &str, stored: &Stored, out: &mut (impl Write + Send)) -> Result<()> {
        let path = self.own(tenant, &stored.key)?;
        let found = self.store.get(&path).await.map_err(|error| missing(error, &stored.key))?;
        let mut stream = found.into_stream();
        let mut sum = Sum::default();
        while let Some(chunk) = stream.try_next().await? {
            sum.add(&chunk);
            out.write_all(&chunk)?;
        }
        out.flush()?;
        if sum.bytes != stored.bytes || sum.sha256() != stored.sha256 {
            return Err(ReportError::refused(
                "file_changed",
                "the report's file is not the one that was made: somebody changed it; make the report again",
            ));
        }
        Ok(())
    }

    /// Removes a file of a tenant; one that is gone already is gone.
    pub async fn remove(&self, tenant: &str, key: &str) -> Result<()> {
        match self.store.delete(&self.own(tenant, key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Files of a tenant that have lain here for a day, or since `before` for tests.
    pub async fn old(&self, tenant: &str, before: Option<DateTime<Utc>>) -> Result<Vec<String>> {
        let before = before.unwrap_or_else(left_over);
        let folder = Path::from_iter([tenant, "reports"]);
        let mut found = self.store.list(Some(&folder));
        let mut old = Vec::new();
        while let Some(file) = found.try_next().await? {
            if file.last_modified < before {
                old.push(file.location.to_string());
            }
        }
        Ok(old)
    }

    /// Removes what killed workers have left half-written; returns how many.
    pub async fn sweep_parts(&self, tenant: &str) -> Result<u64> {
        let here = self.sweep_folder()?;
        match (&self.place, Path::from_iter([tenant, "reports"])) {
            (Place::Folder, _) => Ok(here),
            #[cfg(feature = "s3")]
            (Place::Bucket(bucket), below) => Ok(here + bucket.sweep(&below, left_over()).await?),
        }
    }

    fn sweep_folder(&self) -> Result<u64> {
        let Ok(parts) = std::fs::read_dir(self.folder.join("parts")) else { return Ok(0) };
        let mut removed = 0;
        for part in parts {
            let part = part?;
            // Another clean-up may be at it too.
            let Ok(about) = part.metadata() else { continue };
            let age = SystemTime::now().duration_since(about.modified()?).unwrap_or_default();
            if age < LEFT_OVER {
                continue;
            }
            let gone = if about.is_dir() {
                std::fs::remove_dir_all(part.path())
            } else {
                std::fs::remove_file(part.path())
            };
            removed += u64::from(gone.is_ok());
        }
        Ok(removed)
    }

    /// The path of a tenant's own file: neither another folder nor a link out of it.
    fn own(&self, tenant: &str, key: &str) -> Result<Path> {
        let outside = || {
            ReportError::refused("path_outside", "the report's file does not lie in the folder of its tenant")
        };
        let path = Path::parse(key).map_err(|_| outside())?;
        let folder = Path::from_iter([tenant, "reports"]);
        if !path.prefix_matches(&folder) || path == folder {
            return Err(outside());
        }
        if !matches!(self.place, Place::Folder) {
            return Ok(path);
        }
        let place = self.folder.join(path.as_ref());
        match (place.canonicalize(), self.folder.join(folder.as_ref()).canonicalize()) {
            (Ok(place), Ok(folder)) if !place.starts_with(&folder) => Err(outside()),
            _ => Ok(path),
        }
    }
}

/// What is older is left over.
fn left_over() -> DateTime<Utc> {
    Utc::now() - chrono::Duration::from_std(LEFT_OVER).unwrap_or_default()
}

fn missing(error: object_store::Error, key: &str) -> ReportError {
    match error {
        object_store::Error::NotFound { .. } => ReportError::refused(
            "file_missing",
            format!("the report's file {key} is gone; make the report again"),
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn kept(files: &ReportFiles, tenant: &str, text: &str) -> Stored {
        let bench = files.workbench().unwrap();
        let path = bench.path().join("x");
        std::fs::write(&path, text).unwrap();
        files.keep(tenant, &path, "csv").await.unwrap()
    }

    #[tokio::test]
    async fn a_file_is_kept_whole_under_a_name_of_its_own_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = ReportFiles::open(&ReportSettings::in_folder(folder.path())).unwrap();
        let (one, two) = (kept(&files, "acme", "abc").await, kept(&files, "acme", "abc").await);
        assert_ne!(one.key, two.key);
        assert!(one.key.starts_with("acme/reports/") && one.key.len() > 64, "{}", one.key);
        assert_eq!(one.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut out = Vec::new();
        files.copy("acme", &one, &mut out).await.unwrap();
        assert_eq!(out, b"abc");
        assert_eq!(std::fs::read_dir(folder.path().join("parts")).unwrap().count(), 0);
        assert_eq!(files.old("acme", None).await.unwrap(), Vec::<String>::new());
        files.remove("acme", &one.key).await.unwrap();
        files.remove("acme", &one.key).await.unwrap();
        let soon = Some(Utc::now() + chrono::Duration::seconds(5));
        assert_eq!(files.old("acme", soon).await.unwrap(), [two.key]);
    }

    #[tokio::test]
    async fn a_changed_file_and_one_of_another_tenant_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = ReportFiles::open(&ReportSettings::in_folder(folder.path())).unwrap();
        let stored = kept(&files, "beta", "secret").await;
        let mut out = Vec::new();
        for key in [
            stored.key.clone(),
            format!("acme/reports/../../{}", stored.key),
            "/etc/passwd".into(),
            String::new(),
        ] {
            let error = files.copy("acme", &Stored { key, ..stored.clone() }, &mut out).await.unwrap_err();
            assert!(error.to_string().contains("does not lie in the folder"), "{error}");
        }
        kept(&files, "acme", "x").await;
        std::os::unix::fs::symlink(
            folder.path().join(&stored.key),
            folder.path().join("acme/reports/link.csv"),
        )
        .unwrap();
        let link = Stored { key: "acme/reports/link.csv".into(), ..stored.clone() };
        assert!(files.copy("acme", &link, &mut out).await.unwrap_err().to_string().contains("does not lie"));
        assert!(out.is_empty());
        std::fs::write(folder.path().join(&stored.key), "secreT").unwrap();
        let error = files.copy("beta", &stored, &mut out).await.unwrap_err().to_string();
        assert!(error.contains("not the one that was made"), "{error}");
    }
}
