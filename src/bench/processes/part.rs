//! What a process does that is a part of a bench: hears its task and the words of its parent, and says what comes of it.

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::serving::work;
use super::{Part, Said};
use crate::bench::{enqueue, floor, load};

/// The parent's words, as a part hears them.
#[derive(Debug)]
pub(crate) struct Orders {
    words: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Orders {
    /// Waits for a word. The end of the input never arrives here: it ends the process.
    pub(crate) async fn wait(&mut self, word: &str) {
        while let Some(heard) = self.words.recv().await {
            if heard == word {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Says that the part is ready, and waits for the word to begin.
pub(crate) async fn ready_to_go(orders: &mut Orders) -> anyhow::Result<()> {
    say(&Said::Ready)?;
    orders.wait("go").await;
    Ok(())
}

pub(super) fn say(said: &Said) -> anyhow::Result<()> {
    use std::io::Write;
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// This process is a part: reads its task, does it, ends with its parent.
pub(crate) async fn run_part() -> anyhow::Result<()> {
    let (task, mut orders) = read_task().await?;
    let outcome = match task {
        Part::Worker(task) => work(task, orders).await.map(|()| None),
        Part::Enqueue(task) => enqueue::run(task, &mut orders).await.and_then(done),
        Part::Pace(task) => load::pace(task, &mut orders).await.and_then(done),
        Part::Snapshot(task) => load::hold_snapshot(task, &mut orders).await.and_then(done),
        Part::Floor(task) => floor::run(task, &mut orders).await.and_then(done),
    };
    match outcome {
        Ok(Some(result)) => say(&Said::Done(result)),
        Ok(None) => Ok(()),
        Err(why) => {
            say(&Said::Failed(format!("{why:#}")))?;
            Err(why)
        }
    }
}

fn done(result: impl Serialize) -> anyhow::Result<Option<serde_json::Value>> {
    Ok(Some(serde_json::to_value(result)?))
}

async fn read_task() -> anyhow::Result<(Part, Orders)> {
    let (tell, words) = tokio::sync::mpsc::unbounded_channel();
    let (first, task) = tokio::sync::oneshot::channel();
    // A thread, because nothing else may be in the way of noticing that the parent is gone.
    std::thread::Builder::new().name("orders".into()).spawn(move || {
        let mut lines = std::io::stdin().lines();
        let task = lines.next();
        let is_told = task.is_some();
        let _ = first.send(task);
        if !is_told {
            return;
        }
        for line in lines.map_while(Result::ok) {
            let _ = tell.send(line);
        }
        std::process::exit(0);
    })?;
    let line = task.await?.ok_or_else(|| anyhow!("this is a part of a bench: it is started by one"))??;
    Ok((serde_json::from_str(&line).context("the task of a part")?, Orders { words }))
}
