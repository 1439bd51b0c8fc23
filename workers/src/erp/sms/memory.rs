//! Text messages that stay in memory, for tests.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;

use super::{SendError, SmsProvider, Taken, Text};

/// Keeps what it is given; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemorySms {
    sent: Arc<Mutex<Vec<Text>>>,
}

impl MemorySms {
    /// What was sent so far.
    pub fn sent(&self) -> Vec<Text> {
        self.sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl SmsProvider for MemorySms {
    fn send<'a>(&'a self, text: &'a Text) -> BoxFuture<'a, Result<Taken, SendError>> {
        self.sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(text.clone());
        let taken = Taken { id: None, reply: "kept in memory".into(), http_status: 200 };
        Box::pin(std::future::ready(Ok(taken)))
    }
}
