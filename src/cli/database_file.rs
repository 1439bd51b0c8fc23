//! Files that are named as a database and are something else.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::exit::{Exit, Failure};

/// How every SQLite database with something in it begins.
const BEGINNING: &[u8; 16] = b"SQLite format 3\0";

/// Refuses a folder, a pipe or a file of another kind: SQLite would wait for ever, or say no more than a number. What
/// can't be looked at is left to SQLite.
pub(super) fn refuse_other_files(file: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::metadata(file) else { return Ok(()) };
    let is = match () {
        () if found.is_dir() => "is a folder",
        () if !found.is_file() => "is no regular file",
        () if found.len() > 0 && begins_otherwise(file) => "is not an SQLite database",
        () => return Ok(()),
    };
    let place = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    Err(Failure::new(Exit::Refused, format!("{} {is}", place.display()))
        .hint("name the file of a database with -d (--database), or one that is not there yet for: fairlane migrate"))
}

fn begins_otherwise(file: &Path) -> bool {
    let Ok(mut open) = File::open(file) else { return false };
    let mut beginning = [0; BEGINNING.len()];
    match open.read_exact(&mut beginning) {
        Ok(()) => beginning != *BEGINNING,
        Err(why) => why.kind() == std::io::ErrorKind::UnexpectedEof,
    }
}
