//! Reports in a bucket of S3, or of what speaks like it.
//!
//! An object is there when all of it is: a large one goes up in parts, and is put together by the last request. So a report is
//! written under its own name at once, without a copy to move. Parts that nobody puts together are seen by nobody and paid for:
//! an attempt that fails takes them back itself; what a killed worker has left goes with the clean-up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig, StaticCredentialProvider};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::super::elsewhere::Elsewhere;
use super::super::error::{ReportError, Result};
use super::Sum;

/// Bytes of a part; what is smaller goes up in one request. S3 takes none below 5 MiB, but for the last.
const PART: usize = 8 << 20;
/// How often a request is tried again, and for how long at most: the job tries again too.
const RETRIES: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(60);
/// How long a request to see what was left behind may take.
const LOOK: Duration = Duration::from_secs(30);

/// A bucket, and what the names in it begin with.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    s3: AmazonS3,
    prefix: Path,
}

impl Bucket {
    /// Opens a bucket; nothing is asked of it yet.
    pub(super) fn open(place: &Elsewhere) -> Result<Self> {
        // Another part of the process may have been first; then its provider serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&place.bucket)
            .with_retry(retry)
            // One by one is how they are removed, and what every server knows.
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        if let Some(region) = &place.region {
            builder = builder.with_region(region);
        }
        if let Some((name, secret)) = &place.login {
            use secrecy::ExposeSecret;
            // All of it: the token of a session among the variables is that of another login.
            let login = AwsCredential {
                key_id: name.clone(),
                secret_key: secret.expose_secret().to_owned(),
                token: None,
            };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(login)));
        }
        // Somebody has written it so.
        let plain = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
            .iter()
            .find_map(|key| builder.get_config_value(key))
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let s3 = builder.with_allow_http(plain).build()?;
        Ok(Self { s3, prefix: place.prefix.clone() })
    }

    /// What is below the prefix, under names without it.
    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(self.s3.clone(), self.prefix.clone()))
    }

    /// Writes a file under a name.
    pub(super) async fn write(&self, source: &mut File, name: &Path) -> Result<Sum> {
        let (path, mut sum) = (self.full(name), Sum::default());
        let first = part(source).await?;
        sum.add(&first);
        if first.len() < PART {
            self.s3.put(&path, first.into()).await?;
            return Ok(sum);
        }
        let id = self.s3.create_multipart(&path).await?;
        match self.put_together(&path, &id, first, (source, &mut sum)).await {
            Ok(()) => Ok(sum),
            Err(error) => {
                if let Err(left) = self.s3.abort_multipart(&path, &id).await {
                    tracing::warn!(error = %left, "parts of a report stay in the bucket until the clean-up");
                }
                Err(error)
            }
        }
    }

    async fn put_together(
        &self,
        path: &Path,
        id: &String,
        first: Bytes,
        (source, sum): (&mut File, &mut Sum),
    ) -> Result<()> {
        let (mut next, mut parts) = (first, Vec::new());
        while !next.is_empty() {
            parts.push(self.s3.put_part(path, id, parts.len(), next.into()).await?);
            next = part(source).await?;
            sum.add(&next);
        }
        self.s3.complete_multipart(path, id, parts).await?;
        Ok(())
    }

    /// Takes back what was begun below a name before a time and never put together; returns how many that were.
    pub(super) async fn sweep(&self, below: &Path, before: DateTime<Utc>) -> Result<u64> {
        let left = self.unfinished(below).await?;
        let mut removed = 0;
        for upload in left.into_iter().filter(|upload| upload.begun_at < before) {
            match self.s3.abort_multipart(&upload.path, &upload.id).await {
                Ok(()) => removed += 1,
                // Another clean-up was at it too.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(removed)
    }

    /// The first thousand; a clean-up comes every day.
    async fn unfinished(&self, below: &Path) -> Result<Vec<Upload>> {
        let query = [("uploads", String::new()), ("prefix", format!("{}/", self.full(below)))];
        let options = SignedUrlOptions::new().with_query(query);
        let url = self.s3.signed_url_opts(Method::GET, &Path::default(), LOOK, &options).await?;
        let unanswered = |why: reqwest::Error| {
            // Its address is signed: whoever has it may ask.
            ReportError::Io(std::io::Error::other(why.without_url()))
        };
        let client = reqwest::Client::builder().timeout(LOOK).build().map_err(unanswered)?;
        let answer = client.get(url).send().await.map_err(unanswered)?;
        let answer = answer.error_for_status().map_err(unanswered)?;
        Ok(uploads(&answer.text().await.map_err(unanswered)?))
    }

    fn full(&self, name: &Path) -> Path {
        Path::from_iter(self.prefix.parts().chain(name.parts()))
    }
}

/// The next part of a file; an empty one behind its end.
async fn part(source: &mut File) -> Result<Bytes> {
    let mut part = Vec::new();
    source.take(PART as u64).read_to_end(&mut part).await?;
    Ok(part.into())
}

/// Something that was begun and is not put together.
#[derive(Debug, PartialEq, Eq)]
struct Upload {
    path: Path,
    id: String,
    begun_at: DateTime<Utc>,
}

/// What an answer lists. What cannot be read is none of ours: our names are plain.
fn uploads(answer: &str) -> Vec<Upload> {
    let read = |text: &str| {
        Some(Upload {
            path: Path::parse(between(text, "Key")?).ok()?,
            id: between(text, "UploadId")?.replace("&amp;", "&"),
            begun_at: between(text, "Initiated")?.parse().ok()?,
        })
    };
    answer.split("<Upload>").skip(1).filter_map(read).collect()
}

fn between<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_read_from_the_answer() {
        let one = "<Upload><Key>a/acme/reports/x.csv</Key><UploadId>Qx.1-_2</UploadId><Initiator><ID>i</ID></Initiator>\
                   <Initiated>2026-11-10T20:48:33.000Z</Initiated></Upload>";
        let answer = format!(
            "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket>{one}{one}<Upload></Upload>\
                              </ListMultipartUploadsResult>"
        );
        let found = uploads(&answer);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].path.as_ref(), found[0].id.as_str()), ("a/acme/reports/x.csv", "Qx.1-_2"));
        assert_eq!(found[0].begun_at.to_rfc3339(), "2026-11-10T20:48:33+00:00");
        assert_eq!(uploads("<Error/>"), []);
    }
}
