//! Every service call with what is another tenant's: it answers as for what is missing, and nothing is changed.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;

use super::channel_calls::CHANNEL_CALLS;
use super::each_wall;
use super::goods_calls::GOODS_CALLS;
use super::names::{Names, without};
use super::party_calls::PARTY_CALLS;
use super::sales_calls::SALES_CALLS;
use super::snapshot::difference;
use super::stock_calls::STOCK_CALLS;
use super::telling_calls::TELLING_CALLS;
use super::world::{MARK, World, changes};

/// A call of a service in which one thing, the one under attack, is `given` and all else is the caller's `own`.
pub(crate) struct Call {
    /// `orders::approve`.
    pub(crate) service: &'static str,
    /// What of it is given.
    pub(crate) slot: &'static str,
    pub(crate) answers: Answers,
    pub(crate) run: Run,
}

/// Of the tenant, with its own names and the given ones; what it answers, as text.
pub(crate) type Run =
    for<'a> fn(&'a mut Transaction, &'a Tenant, &'a Names, &'a Names) -> BoxFuture<'a, Result<String>>;

/// How a call takes what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// It refuses it.
    Missing,
    /// It does nothing, and says what there is to say about nothing.
    Nothing,
    /// It makes it: the other tenant's name is free here. (What is there already is refused, or is answered.)
    Makes,
    /// It is about all of the tenant's: nothing is given.
    All,
}

macro_rules! call {
    ($service:literal, $slot:literal, $answers:ident, |$tx:ident, $of:ident, $own:ident, $given:ident| $body:expr) => {
        crate::calls::Call {
            service: $service,
            slot: $slot,
            answers: crate::calls::Answers::$answers,
            run: |$tx, $of, $own, $given| {
                Box::pin(async move {
                    let _ = (&$own, &$given);
                    let done = $body.await?;
                    Ok(format!("{done:?}"))
                })
            },
        }
    };
}
pub(crate) use call;

pub(crate) fn all() -> impl Iterator<Item = &'static Call> {
    [PARTY_CALLS, SALES_CALLS, GOODS_CALLS, STOCK_CALLS, TELLING_CALLS, CHANNEL_CALLS].into_iter().flatten()
}

impl Call {
    /// As acme, for good if it succeeds and `keep` says so.
    async fn attempt(&self, world: &World, given: &Names, keep: bool) -> Result<String, String> {
        let acme = &world.acme;
        let mut tx = acme.tenant.begin().await.unwrap();
        let answer = (self.run)(&mut tx, &acme.tenant, &acme.names, given).await;
        let answer = answer.map_err(|error| format!("{}: {error} ({:?})", error.code(), error.hint()));
        match (keep, answer.is_ok()) {
            (true, true) => tx.commit().await.unwrap(),
            _ => tx.rollback().await.unwrap(),
        }
        answer
    }
}

async fn rows(world: &World) -> (super::snapshot::Snapshot, super::snapshot::Snapshot) {
    (world.rows_of(&world.acme).await, world.rows_of(&world.beta).await)
}

fn said(answer: &Result<String, String>, names: &Names) -> String {
    let names: Vec<String> = names.words().into_iter().map(|(name, _)| name).collect();
    match answer {
        Ok(text) => format!("it is done: {}", without(text, &names)),
        Err(text) => without(text, &names),
    }
}

each_wall!(
    async fn what_is_the_others_answers_as_what_is_missing_and_nothing_is_changed(world) {
        let mut faults = Vec::new();
        for call in all().filter(|call| call.answers != Answers::All) {
            let before = rows(&world).await;
            let keep = call.answers != Answers::Makes;
            let foreign = call.attempt(&world, &world.foreign, keep).await;
            let missing = call.attempt(&world, &world.missing, keep).await;
            let mut fault = |what: String| faults.push(format!("{} ({}): {what}", call.service, call.slot));
            let (others, nobodys) = (said(&foreign, &world.foreign), said(&missing, &world.missing));
            match call.answers {
                Answers::Makes if foreign.is_err() || missing.is_err() => fault(format!("{others} / {nobodys}")),
                Answers::Makes => {}
                _ if others != nobodys => fault(format!("the other's: {others}\n  nobody's: {nobodys}")),
                Answers::Missing if foreign.is_ok() => fault(format!("it is taken: {others}")),
                Answers::Nothing if foreign.is_err() => fault(format!("it is refused: {others}")),
                _ => {}
            }
            let changed = changes(&before, &rows(&world).await);
            if !changed.is_empty() && !call.service.contains("refresh") {
                fault(format!("it changes\n{changed}"));
            }
            if !difference(&before.1, &world.rows_of(&world.beta).await).is_empty() {
                fault("it changes the other's rows".into());
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }
);

each_wall!(
    async fn every_call_works_with_what_is_its_own_and_leaves_the_other_alone(world) {
        let mut faults = Vec::new();
        let before = rows(&world).await;
        for call in all() {
            let acme = &world.acme;
            let mut tx = acme.tenant.begin().await.unwrap();
            let answer = (call.run)(&mut tx, &acme.tenant, &acme.names, &acme.names).await;
            let mut fault = |what: String| faults.push(format!("{} ({}): {what}", call.service, call.slot));
            match answer {
                Err(error) if call.answers != Answers::Makes => fault(format!("it is refused: {error}")),
                Ok(text) if text.contains(MARK) => fault(format!("it tells of the other: {text}")),
                _ if world.has_row_security => {}
                _ => {
                    let after = world.rows_seen(&mut tx.conn(), &world.beta).await;
                    let changed = difference(&before.1, &after);
                    if !changed.is_empty() {
                        fault(format!("it changes the other's rows:\n{changed}"));
                    }
                }
            }
            tx.rollback().await.unwrap();
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
        assert_eq!(changes(&before, &rows(&world).await), "");
    }
);

/// Statements that name the wrong tenant, as if none of them named any: the transaction is acme's, every predicate beta's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_security_alone_holds_against_statements_that_name_the_other_tenant() {
    let Some(world) = World::postgres().await else { return };
    let (mut faults, mut reached) = (Vec::new(), 0);
    let before = rows(&world).await;
    for call in all() {
        let (acme, beta) = (&world.acme, &world.beta);
        for names in [&beta.names, &world.foreign] {
            let mut tx = acme.tenant.begin().await.unwrap();
            let answer = (call.run)(&mut tx, &beta.tenant, names, names).await;
            let mut fault = |what: String| faults.push(format!("{} ({}): {what}", call.service, call.slot));
            match answer {
                Ok(text) if text.contains(MARK) => fault(format!("it tells of the other: {text}")),
                Ok(_) => {
                    reached += 1;
                    // What was refused within it comes out here.
                    let _ = tx.commit().await;
                }
                Err(_) => drop(tx),
            }
            let changed = changes(&before, &rows(&world).await);
            if !changed.is_empty() {
                fault(format!("it changes\n{changed}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    println!("{reached} calls found nothing to do");
}
