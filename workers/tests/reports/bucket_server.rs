//! A bucket on 127.0.0.1 that speaks as much of S3 as reports need, and can be told to refuse.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};

#[derive(Debug)]
struct Upload {
    name: String,
    begun_at: DateTime<Utc>,
    parts: BTreeMap<u32, Bytes>,
}

#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, Upload>,
    begun: u64,
    parts_taken: u64,
    puts_nothing_together: bool,
    knows_nobody: bool,
}

/// The bucket; it is closed with the test's process.
#[derive(Debug, Clone)]
pub(crate) struct BucketServer {
    shelf: Arc<Mutex<Shelf>>,
    address: SocketAddr,
}

impl BucketServer {
    pub(crate) fn open() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let limit = axum::extract::DefaultBodyLimit::disable();
        let router = Router::new().fallback(answer).layer(limit).with_state(shelf.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
            });
        });
        Self { shelf, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    /// What is there, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.shelf().objects.keys().cloned().collect()
    }

    /// How much was begun and is not put together.
    pub(crate) fn unfinished(&self) -> usize {
        self.shelf().uploads.len()
    }

    pub(crate) fn parts_taken(&self) -> u64 {
        self.shelf().parts_taken
    }

    /// Something that was begun, by somebody who is gone.
    pub(crate) fn leave_behind(&self, name: &str, begun_at: DateTime<Utc>) {
        self.shelf().begin(name, begun_at);
    }

    pub(crate) fn refuse_to_put_together(&self) {
        self.shelf().puts_nothing_together = true;
    }

    pub(crate) fn refuse_everybody(&self) {
        self.shelf().knows_nobody = true;
    }
}

impl Shelf {
    fn begin(&mut self, name: &str, begun_at: DateTime<Utc>) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload = Upload { name: name.to_owned(), begun_at, parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        id
    }

    fn unfinished(&self, prefix: &str) -> Response {
        let listed: String = self
            .uploads
            .iter()
            .filter(|(_, upload)| upload.name.starts_with(prefix))
            .map(|(id, upload)| {
                let at = upload.begun_at.to_rfc3339_opts(SecondsFormat::Millis, true);
                format!(
                    "<Upload><Key>{}</Key><UploadId>{id}</UploadId><Initiated>{at}</Initiated></Upload>",
                    upload.name
                )
            })
            .collect();
        xml(200, &format!("<ListMultipartUploadsResult>{listed}</ListMultipartUploadsResult>"))
    }

    fn listed(&self, prefix: &str) -> Response {
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let listed: String = self
            .objects
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, bytes)| {
                format!(
                    "<Contents><Key>{name}</Key><LastModified>{at}</LastModified><ETag>\"x\"</ETag><Size>{}</Size></Contents>",
                    bytes.len()
                )
            })
            .collect();
        xml(200, &format!("<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"))
    }

    fn put_together(&mut self, id: &str) -> Response {
        if self.puts_nothing_together {
            return xml(400, "<Error><Code>InvalidPart</Code></Error>");
        }
        let Some(upload) = self.uploads.remove(id) else { return missing() };
        let whole: Vec<u8> = upload.parts.into_values().flatten().collect();
        self.objects.insert(upload.name, whole.into());
        xml(200, "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>")
    }
}

fn response(status: u16) -> axum::http::response::Builder {
    Response::builder()
        .status(status)
        .header("etag", "\"x\"")
        .header("last-modified", "Sun, 01 Nov 2026 10:00:00 GMT")
}

fn xml(status: u16, text: &str) -> Response {
    response(status).header("content-type", "application/xml").body(Body::from(text.to_owned())).unwrap()
}

fn missing() -> Response {
    xml(404, "<Error><Code>NoSuchKey</Code></Error>")
}

/// Whether somebody has signed it with the name that is known, in the header or in the address.
fn is_signed(headers: &HeaderMap, query: &BTreeMap<String, String>) -> bool {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let in_header =
        header.starts_with("AWS4-HMAC-SHA256 Credential=me/") && header.contains("/eu-central-1/s3/");
    in_header || query.get("X-Amz-Credential").is_some_and(|name| name.starts_with("me/"))
}

async fn answer(
    State(shelf): State<Arc<Mutex<Shelf>>>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut shelf = shelf.lock().unwrap();
    if shelf.knows_nobody || !is_signed(&headers, &query) {
        return xml(403, "<Error><Code>AccessDenied</Code></Error>");
    }
    let Some(name) =
        uri.path().strip_prefix("/acme-reports").map(|name| name.trim_start_matches('/').to_owned())
    else {
        return xml(404, "<Error><Code>NoSuchBucket</Code></Error>");
    };
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let upload = query.get("uploadId").cloned();
    match (method.as_str(), upload) {
        ("GET", _) if query.contains_key("uploads") => shelf.unfinished(&prefix),
        ("GET", _) if name.is_empty() => shelf.listed(&prefix),
        ("GET", _) => match shelf.objects.get(&name) {
            Some(bytes) => {
                let length = bytes.len().to_string();
                response(200).header("content-length", length).body(Body::from(bytes.clone())).unwrap()
            }
            None => missing(),
        },
        ("POST", None) => {
            let id = shelf.begin(&name, Utc::now());
            xml(
                200,
                &format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ),
            )
        }
        ("POST", Some(id)) => shelf.put_together(&id),
        ("PUT", Some(id)) => {
            shelf.parts_taken += 1;
            let number = query["partNumber"].parse().unwrap();
            match shelf.uploads.get_mut(&id) {
                Some(upload) => {
                    upload.parts.insert(number, body);
                    xml(200, "")
                }
                None => missing(),
            }
        }
        ("PUT", None) => {
            shelf.objects.insert(name, body);
            xml(200, "")
        }
        ("DELETE", Some(id)) => match shelf.uploads.remove(&id) {
            Some(_) => xml(204, ""),
            None => missing(),
        },
        ("DELETE", None) => {
            shelf.objects.remove(&name);
            xml(204, "")
        }
        _ => xml(405, ""),
    }
}
