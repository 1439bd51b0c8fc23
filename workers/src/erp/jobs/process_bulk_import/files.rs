//! Where files are kept: a folder per tenant, names of our own making.
//!
//! Each process has its own idea of `import.folder`: a relative one counts from its working directory. The log therefore
//! holds whole paths. A worker looks below its own folder first, where the files may have moved or be mounted otherwise,
//! and then where the file was put.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Why a file is not taken in, or not found again.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A stored file is not where this process looks for it.
    #[error("the file {} does not exist", .path.display())]
    Missing {
        /// Where it was put: an absolute path.
        path: PathBuf,
    },
    /// What was named is no file whose content can be copied.
    #[error("{} is {found}, not a file", .path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file is larger than allowed.
    #[error(
        "the file has more than {limit} bytes, the limit of import.max_bytes; split it or raise the limit"
    )]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The stored path leads out of the tenant's folder.
    #[error("the path `{path}` does not lie in the folder of tenant {tenant}")]
    Outside {
        /// The path as stored.
        path: String,
        /// The tenant.
        tenant: String,
    },
}

impl FileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "file_missing",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => "file_missing",
            Self::Io { .. } | Self::NotAFile { .. } => "file_unreadable",
            Self::TooLarge { .. } => "file_too_large",
            Self::Outside { .. } => "path_outside",
        }
    }

    /// What to do next, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => Some(
                "was it removed, or handed in on another machine? import.folder must be one that whoever imports and \
                 every worker reach",
            ),
            Self::NotAFile { .. } => Some("write it into a file and import that"),
            _ => None,
        }
    }
}

/// A file that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its whole path; below the folder, where the folder's own is no plain text.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// The folder of files.
#[derive(Debug, Clone)]
pub struct ImportFiles {
    folder: PathBuf,
}

impl ImportFiles {
    /// The files below `folder`; it is made when the first file comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Copies a file in, a piece at a time; what is not complete never has its final name.
    ///
    /// # Errors
    /// When it can't be read or written, or is larger than `max_bytes`.
    pub fn take_in(&self, tenant: &str, source: &Path, max_bytes: u64) -> Result<StoredFile, FileError> {
        let path = format!("{tenant}/imports/{}.csv", Uuid::now_v7());
        let target = self.locate(tenant, &path)?;
        let io_error = |what, path: &Path| {
            let path = path.to_owned();
            move |source| FileError::Io { what, path, source }
        };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(io_error("cannot make the folder", folder))?;
        }
        let mut input = File::open(source).map_err(io_error("cannot read", source))?;
        let part = target.with_extension("part");
        let copied = copy(&mut input, &part, max_bytes);
        match copied {
            Ok(Some((size, sha256))) => {
                fs::rename(&part, &target).map_err(io_error("cannot write", &target))?;
                Ok(StoredFile { path: whole(&target).unwrap_or(path), size, sha256 })
            }
            Ok(None) => {
                let _ = fs::remove_file(&part);
                Err(FileError::TooLarge { limit: max_bytes })
            }
            Err(error) => {
                let _ = fs::remove_file(&part);
                Err(io_error("cannot copy", source)(error))
            }
        }
    }

    /// Where a stored file belongs below this folder.
    ///
    /// # Errors
    /// When the path leads anywhere but into a tenant's folder.
    fn locate(&self, tenant: &str, path: &str) -> Result<PathBuf, FileError> {
        Ok(self.folder.join(below(tenant, path)?))
    }

    /// Where a stored file lies, if it does.
    ///
    /// # Errors
    /// When it is not there, or the path leads anywhere but below the tenant's folder. Links may move folders elsewhere, but
    /// not to other names: one from a tenant's folder into another's is a way out of it.
    pub fn find(&self, tenant: &str, path: &str) -> Result<PathBuf, FileError> {
        let below = below(tenant, path)?;
        let here = self.folder.join(&below);
        let put = if Path::new(path).is_absolute() { PathBuf::from(path) } else { here.clone() };
        // What else is wrong with it shows itself where it is read.
        let is_there =
            |path: &PathBuf| !matches!(fs::metadata(path), Err(why) if why.kind() == io::ErrorKind::NotFound);
        let missing = std::path::absolute(&put).unwrap_or(put.clone());
        let found = [here, put].into_iter().find(is_there).ok_or(FileError::Missing { path: missing })?;
        match fs::canonicalize(&found) {
            Ok(real) if !real.ends_with(&below) => Err(outside(tenant, path)),
            _ => Ok(found),
        }
    }

    /// Removes a stored file whose import was never entered.
    pub fn remove(&self, tenant: &str, path: &str) {
        if let Ok(path) = self.locate(tenant, path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Refuses a folder, a pipe or a device, which would be read for ever or not at all. What is not there is left to whoever
/// opens it.
///
/// # Errors
/// When it is there and is no regular file.
pub(super) fn check_regular(path: &Path) -> Result<(), FileError> {
    let found = match fs::metadata(path) {
        Ok(found) if found.is_dir() => "a folder",
        Ok(found) if !found.is_file() => "a pipe or a device",
        _ => return Ok(()),
    };
    Err(FileError::NotAFile { path: path.to_owned(), found })
}

/// The part of a stored path that begins with the tenant's folder.
fn below(tenant: &str, path: &str) -> Result<PathBuf, FileError> {
    let parts: Vec<_> = Path::new(path).components().collect();
    let below = match parts.as_slice() {
        [Component::RootDir, folder @ .., a, b, c] if folder.iter().all(is_plain) => vec![*a, *b, *c],
        _ => parts,
    };
    let own = below.first() == Some(&Component::Normal(tenant.as_ref()));
    if own && below.iter().all(is_plain) && !path.contains('\\') {
        Ok(below.iter().collect())
    } else {
        Err(outside(tenant, path))
    }
}

fn outside(tenant: &str, path: &str) -> FileError {
    FileError::Outside { path: path.to_owned(), tenant: tenant.to_owned() }
}

fn is_plain(part: &Component<'_>) -> bool {
    matches!(part, Component::Normal(_))
}

/// The whole path as text, where it is such that it can be found again by it.
fn whole(path: &Path) -> Option<String> {
    let whole = std::path::absolute(path).ok()?.into_os_string().into_string().ok()?;
    let plain = Path::new(&whole).components().skip(1).all(|part| is_plain(&part));
    (plain && !whole.contains('\\')).then_some(whole)
}

/// Copies and hashes; `None` when there is more than `max_bytes`.
fn copy(input: &mut File, target: &Path, max_bytes: u64) -> io::Result<Option<(u64, String)>> {
    let mut output = File::create(target)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        size += length as u64;
        if size > max_bytes {
            return Ok(None);
        }
        let piece = &buffer[..length];
        hash.update(piece);
        output.write_all(piece)?;
    }
    output.sync_all()?;
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some((size, sha256)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_the_tenants_folder_is_refused() {
        let files = ImportFiles::new("files");
        let own = files.locate("acme", "acme/imports/x.csv").unwrap();
        assert_eq!(files.locate("acme", "/srv/files/acme/imports/x.csv").unwrap(), own);
        for path in [
            "../x",
            "acme/../globex/x",
            "globex/x",
            "/etc/passwd",
            "/srv/acme/imports/../../x",
            "/srv/../acme/imports/x",
            "/srv/globex/imports/x",
            "acme\\..\\x",
            "",
            "./acme/x",
        ] {
            assert!(matches!(files.locate("acme", path), Err(FileError::Outside { .. })), "{path}");
        }
    }

    #[test]
    fn a_file_over_the_limit_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("in.csv");
        fs::write(&source, "sku,name\n1,Bolt\n").unwrap();
        let files = ImportFiles::new(folder.path().join("files"));
        let stored = files.take_in("acme", &source, 16).unwrap();
        assert_eq!(stored.size, 16);
        assert_eq!(stored.sha256.len(), 64);
        let error = files.take_in("acme", &source, 15).unwrap_err();
        assert_eq!(error.code(), "file_too_large");
        assert_eq!(fs::read_dir(folder.path().join("files/acme/imports")).unwrap().count(), 1);
    }
}
