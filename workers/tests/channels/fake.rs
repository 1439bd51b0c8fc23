//! A provider of whatever: it remembers what it was asked, and answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What it says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    held: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl ToString) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string(), held: false }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Not before it is released.
    pub(crate) fn held(mut self) -> Self {
        self.held = true;
        self
    }
}

#[derive(Clone)]
pub(crate) struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What is answered to a request that contains a text in its path or body; the last one that fits counts.
    rules: Arc<Mutex<Vec<(String, Answer)>>>,
    released: watch::Sender<bool>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fake =
            Self { port, asked: Arc::default(), rules: Arc::default(), released: watch::Sender::new(false) };
        let app = axum::Router::new().fallback(handle).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn answer(&self, to: &str, answer: Answer) {
        self.rules.lock().unwrap().push((to.to_owned(), answer));
    }

    /// Everything is answered with 200 again, and what is held is let go.
    pub(crate) fn forget_answers(&self) {
        self.rules.lock().unwrap().clear();
        self.release();
    }

    /// What is held is let go, with the answer it was to have.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests whose path contains a text.
    pub(crate) fn asked_at(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path.contains(path)).collect()
    }

    pub(crate) async fn until_asked(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.asked().len() < count {
            assert!(Instant::now() < deadline, "waited in vain for {count} requests: {:?}", self.asked());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn handle(State(fake): State<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec();
    let headers = parts.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let asked = Asked { path: parts.uri.to_string(), headers, body };
    let text = format!("{} {}", asked.path, asked.text());
    let answer = {
        let rules = fake.rules.lock().unwrap();
        rules.iter().rev().find(|(to, _)| text.contains(to.as_str())).map(|(_, answer)| answer.clone())
    };
    fake.asked.lock().unwrap().push(asked);
    let answer = answer.unwrap_or_else(|| Answer::new(200, "{}"));
    if answer.held {
        let mut released = fake.released.subscribe();
        let _ = released.wait_for(|released| *released).await;
    }
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}
