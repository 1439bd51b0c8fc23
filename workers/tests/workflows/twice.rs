//! Every event is delivered twice, as by a queue that promises no more than "at least once".

use fairlane::db::Dialect;

use crate::support::processes::Site;

/// Adds a second job for the same event and listener beside each first, in its transaction, whoever publishes: both may run
/// at the same moment, in one process or in two.
pub(crate) async fn deliver_twice(site: &Site) {
    match site.t.db.dialect() {
        Dialect::Postgres => {
            site.t.execute(POSTGRES_FUNCTION).await;
            site.t.execute(POSTGRES_TRIGGER).await;
        }
        Dialect::Sqlite => {
            site.t.execute(SQLITE_TRIGGER).await;
        }
    }
}

/// Each job of a listener has run twice to its end, and each run is recorded once.
pub(crate) async fn assert_delivered_twice(site: &Site) {
    let other = "select count(*) as n from (select event_id, kind from fairlane_job_history
        where event_id is not null group by event_id, kind having count(*) <> 2) other";
    assert_eq!(site.count(other).await, 0, "listeners that were not asked twice for an event");
    let events = "select count(*) as n from fairlane_events e
        join fairlane_subscriptions s on s.event_name = e.name";
    let asked = "select count(*) as n from fairlane_job_history where event_id is not null";
    assert_eq!(site.count(asked).await, 2 * site.count(events).await, "listeners asked");
}

const POSTGRES_FUNCTION: &str = "create function deliver_twice() returns trigger language plpgsql security definer as $$
begin
    insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id, max_attempts,
        correlation_id, causation_id, trace, created_at)
    values (gen_random_uuid(), new.tenant_id, new.queue, new.kind, new.priority, new.state, new.run_at, new.payload,
        new.event_id, new.max_attempts, new.correlation_id, new.causation_id, new.trace, new.created_at);
    return null;
end $$";

const POSTGRES_TRIGGER: &str = "create trigger deliver_twice after insert on fairlane_jobs for each row
    when (new.event_id is not null and pg_trigger_depth() = 0) execute function deliver_twice()";

/// SQLite's triggers do not set themselves off, unless somebody asks for it.
const SQLITE_TRIGGER: &str = "create trigger deliver_twice after insert on fairlane_jobs when new.event_id is not null
begin
    insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id, max_attempts,
        correlation_id, causation_id, trace, created_at)
    values (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
            || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
        new.tenant_id, new.queue, new.kind, new.priority, new.state, new.run_at, new.payload, new.event_id,
        new.max_attempts, new.correlation_id, new.causation_id, new.trace, new.created_at);
end";
