//! When jobs of rate-limited tenants may start.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::db::{Conn, Dialect};
use fairlane::limits::{Rate, Scope};
use fairlane::store::rates::HeldRate;
use fairlane::store::starts::{self, Starts};

use crate::support::*;

/// So slow that no test sees the next start come by itself.
const THREE_AN_HOUR: Rate = Rate { count: 3, period: Duration::from_secs(3600), burst: 1 };

fn held(tenant_id: i64, rate: Rate) -> HeldRate<'static> {
    HeldRate { tenant_id, scope: Scope::Total, name: "", rate }
}

/// Takes the starts that are free, up to so many; returns how many that were and how long the next one takes.
async fn start(conn: &mut Conn<'_>, rate: &HeldRate<'_>, jobs: usize) -> fairlane::Result<(usize, Duration)> {
    let free: Starts = starts::lock(conn, rate).await?.expect("nobody else has it");
    let used = free.count().min(jobs);
    if used > 0 {
        starts::used(conn, rate, &free, used).await?;
    }
    Ok((used, free.wait(used)))
}

backend_test!(
    async fn the_job_beyond_the_rate_is_not_given_until_its_time_comes(t: TestDb) {
        let rate = held(acme(&t).id().await.unwrap(), THREE_AN_HOUR);
        for round in 0..4 {
            let (used, wait) = write(&t, async |conn| start(conn, &rate, 5).await).await;
            assert_eq!(used, 1, "round {round}");
            assert!(wait > Duration::from_secs(1190) && wait < Duration::from_secs(1250), "{wait:?}");
            let (none, _) = write(&t, async |conn| start(conn, &rate, 5).await).await;
            assert_eq!(none, 0, "round {round}");
            t.db.shift_clock(chrono::Duration::from_std(wait).unwrap());
        }
    }
);

backend_test!(
    async fn a_rest_saves_up_one_burst_however_long_it_was(t: TestDb) {
        let rate = held(acme(&t).id().await.unwrap(), Rate { burst: 4, ..THREE_AN_HOUR });
        assert_eq!(
            write(&t, async |conn| start(conn, &rate, 9).await).await.0,
            1,
            "nothing is saved up at first"
        );
        t.db.shift_clock(chrono::Duration::days(30));
        assert_eq!(write(&t, async |conn| start(conn, &rate, 9).await).await.0, 4);
        assert_eq!(write(&t, async |conn| start(conn, &rate, 9).await).await.0, 0);
    }
);

backend_test!(
    async fn starts_that_were_looked_at_and_not_used_stay_free(t: TestDb) {
        let rate = held(acme(&t).id().await.unwrap(), THREE_AN_HOUR);
        assert_eq!(write(&t, async |conn| start(conn, &rate, 0).await).await.0, 0);
        assert_eq!(write(&t, async |conn| start(conn, &rate, 1).await).await.0, 1);
    }
);

backend_test!(
    async fn rates_are_apart_by_tenant_queue_and_act(t: TestDb) {
        let acme = held(acme(&t).id().await.unwrap(), THREE_AN_HOUR);
        let globex = held(add_tenant(&t, "globex").await.id().await.unwrap(), THREE_AN_HOUR);
        let low = HeldRate { scope: Scope::Queue, name: "low", ..acme };
        for rate in [acme, globex, low] {
            assert_eq!(write(&t, async |conn| start(conn, &rate, 1).await).await.0, 1, "{rate:?}");
        }
        let taken = write(&t, async |conn| fairlane::store::rates::take(conn, &acme, 1).await).await;
        assert_eq!(taken, fairlane::store::rates::Places::Taken, "a dispatch uses no start");
    }
);

backend_test!(
    async fn a_rate_that_another_process_is_using_is_passed_over(t: TestDb) {
        let rate = held(acme(&t).id().await.unwrap(), THREE_AN_HOUR);
        write(&t, async |conn| start(conn, &rate, 0).await).await;
        if t.db.dialect() == Dialect::Sqlite {
            // One writer: nobody ever finds it locked.
            return;
        }
        let mut first = t.db.begin().await.unwrap();
        assert!(starts::lock(&mut first.conn(), &rate).await.unwrap().is_some());
        assert!(write(&t, async |conn| starts::lock(conn, &rate).await).await.is_none(), "it did not wait");
        first.rollback().await.unwrap();
        assert!(write(&t, async |conn| starts::lock(conn, &rate).await).await.is_some());
    }
);
