//! The table of states against the statements.

use fairlane::db::query;
use fairlane::store::claim::Claimed;
use fairlane::store::rescue::CRASHES_TO_POISON;
use fairlane::store::settle::{self, Fence};
use fairlane::store::{complete, promote, rescue};
use fairlane::testing::{ClaimFrom, TestDb};
use fairlane::{JobState as S, Transition as T, sql};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::support::*;

const ALL: [T; 12] = [
    T::Promote,
    T::Claim,
    T::Complete,
    T::Retry,
    T::Snooze,
    T::Release,
    T::Rescue,
    T::Fail,
    T::Cancel,
    T::Revive,
    T::Suspend,
    T::Resume,
];

#[test]
fn the_table_of_transitions_is_exactly_this() {
    let legal = [
        (S::Scheduled, T::Promote, S::Available),
        (S::Scheduled, T::Cancel, S::Cancelled),
        (S::Scheduled, T::Suspend, S::Suspended),
        (S::Available, T::Claim, S::Executing),
        (S::Available, T::Cancel, S::Cancelled),
        (S::Available, T::Suspend, S::Suspended),
        (S::Executing, T::Complete, S::Completed),
        (S::Executing, T::Retry, S::Retryable),
        (S::Executing, T::Snooze, S::Scheduled),
        (S::Executing, T::Release, S::Available),
        (S::Executing, T::Rescue, S::Available),
        (S::Executing, T::Fail, S::Discarded),
        (S::Executing, T::Cancel, S::Cancelled),
        (S::Retryable, T::Promote, S::Available),
        (S::Retryable, T::Cancel, S::Cancelled),
        (S::Retryable, T::Suspend, S::Suspended),
        (S::Suspended, T::Resume, S::Available),
        (S::Suspended, T::Cancel, S::Cancelled),
        (S::Discarded, T::Revive, S::Available),
    ];
    for state in S::ALL {
        for transition in ALL {
            let expected =
                legal.iter().find(|(from, by, _)| (*from, *by) == (state, transition)).map(|(_, _, to)| *to);
            assert_eq!(state.after(transition), expected, "{state} {transition:?}");
        }
        if state.is_terminal() && state != S::Discarded {
            assert!(ALL.iter().all(|transition| state.after(*transition).is_none()), "{state} is terminal");
        }
    }
}

/// The job as the model sees it: its state, and what decides whether a rescue makes it a poison pill.
#[derive(Debug)]
struct Model {
    state: S,
    attempt: i64,
    suspect: bool,
    crashes: i64,
}

impl Model {
    fn apply(&mut self, transition: T) {
        let Some(next) = self.state.after(transition) else { return };
        self.state = next;
        match transition {
            T::Claim => self.attempt += 1,
            T::Rescue => {
                self.attempt -= 1;
                self.crashes += i64::from(self.suspect);
                self.suspect = true;
                if self.crashes >= CRASHES_TO_POISON {
                    self.state = S::Discarded;
                }
            }
            T::Release => self.attempt -= 1,
            T::Retry => (self.suspect, self.crashes) = (false, 0),
            T::Snooze => {
                self.attempt -= 1;
                (self.suspect, self.crashes) = (false, 0);
            }
            _ => {}
        }
    }
}

/// One job in the database, and the fence of its latest claim.
struct Real {
    t: TestDb,
    id: Uuid,
    fence: Fence,
}

impl Real {
    async fn apply(&mut self, transition: T, right_token: bool) {
        let token = if right_token { self.fence.token } else { Uuid::now_v7() };
        let fence = Fence { id: self.id, token };
        let t = &self.t;
        match transition {
            T::Promote => {
                t.db.shift_clock(chrono::Duration::seconds(2));
                write(t, async |conn| promote::promote(conn).await).await;
            }
            T::Claim => {
                if let Some(job) = self.claim().await {
                    self.fence.token = job.token;
                }
            }
            T::Complete => drop(write(t, async |conn| complete::complete(conn, &[fence]).await).await),
            T::Retry => {
                let error = failure("x");
                write(t, async |conn| settle::retry(conn, fence, SECOND, &error).await).await;
            }
            T::Snooze => {
                write(t, async |conn| settle::snooze(conn, fence, SECOND).await).await;
            }
            T::Release => {
                write(t, async |conn| settle::release(conn, fence).await).await;
            }
            T::Rescue => {
                t.db.shift_clock(chrono::Duration::seconds(31));
                write(t, async |conn| rescue::rescue(conn, LEASE).await).await;
            }
            T::Fail => {
                write(t, async |conn| settle::fail(conn, fence, &failure("x")).await).await;
            }
            _ => {
                write(t, async |conn| settle::cancel(conn, fence, "x").await).await;
            }
        }
    }

    async fn claim(&self) -> Option<Claimed> {
        let kinds = work_kinds();
        for suspects in [false, true] {
            let request = ClaimFrom { suspects, ..request(&kinds) };
            if let Some(job) = claim_with(&self.t.db, &request).await.pop() {
                return Some(job);
            }
        }
        None
    }
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// A transition, and whether it carries the right token. Cancelling a job that waits is an admin's doing, told apart in
/// the table; here it comes with a token, so only a running job can be cancelled.
fn steps() -> impl Strategy<Value = Vec<(T, bool)>> {
    let transition = prop_oneof![
        3 => Just(T::Claim),
        2 => Just(T::Promote),
        2 => Just(T::Rescue),
        1 => Just(T::Complete),
        2 => Just(T::Retry),
        2 => Just(T::Snooze),
        2 => Just(T::Release),
        1 => Just(T::Fail),
        1 => Just(T::Cancel),
    ];
    prop::collection::vec((transition, prop::bool::weighted(0.75)), 1..25)
}

async fn run(t: TestDb, steps: &[(T, bool)]) -> Result<TestDb, TestCaseError> {
    t.execute("delete from fairlane_jobs").await;
    let id = dispatch(&acme(&t), 1).await[0];
    let mut real = Real { t, id, fence: Fence { id, token: Uuid::nil() } };
    let mut model = Model { state: S::Available, attempt: 0, suspect: false, crashes: 0 };
    for (step, (transition, right_token)) in steps.iter().enumerate() {
        real.apply(*transition, *right_token).await;
        let fenced = !matches!(transition, T::Promote | T::Claim | T::Rescue);
        let waits = *transition == T::Cancel && model.state != S::Executing;
        if (!fenced || *right_token) && !waits {
            model.apply(*transition);
        }
        prop_assert_eq!(places(&real.t, id).await, vec![model.state.to_string()], "after step {}", step);
        if !model.state.is_terminal() {
            prop_assert_eq!(
                column::<i64>(&real.t, id, "attempt").await,
                model.attempt,
                "after step {}",
                step
            );
            prop_assert_eq!(
                column::<i64>(&real.t, id, "crashes").await,
                model.crashes,
                "after step {}",
                step
            );
        }
    }
    Ok(real.t)
}

#[test]
fn any_sequence_of_steps_leaves_the_state_that_the_table_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let t = runtime.block_on(TestDb::sqlite(Vec::new)).unwrap();
    let place = std::cell::RefCell::new(Some(t));
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let t = match place.borrow_mut().take() {
                Some(t) => t,
                None => runtime.block_on(TestDb::sqlite(Vec::new)).unwrap(),
            };
            let t = runtime.block_on(run(t, &steps))?;
            place.replace(Some(t));
            Ok(())
        })
        .unwrap();
    // Keeps `query` honest: the last job is where the table of places says it is.
    let t = place.into_inner().unwrap();
    let strays = runtime.block_on(async {
        let mut tx = t.db.read().await.unwrap();
        let row = query(sql!(
            "select count(*) as n from fairlane_jobs where state = 'executing' and token is null"
        ));
        row.fetch_one(&mut tx.conn()).await.unwrap().get::<i64>("n").unwrap()
    });
    assert_eq!(strays, 0);
}
