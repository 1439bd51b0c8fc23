//! Many rows in every table that hot statements touch.

use fairlane::testing::TestDb;

/// 50,000 live jobs of twenty tenants, most of them available, and thousands of rows around them.
pub(crate) async fn fill(t: &TestDb) {
    for statement in [
        "insert into fairlane_tenants (slug, name)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 19)
         select 'tenant-' || i, 'x' from n",
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)
         select cast(ID(i) as UUID), (select min(id) from fairlane_tenants) + i % 20,
            case i % 3 when 0 then 'high' when 1 then 'default' else 'low' end, 'test.work', i % 10,
            case when i % 100 < 2 then 'scheduled' when i % 100 < 4 then 'retryable' else 'available' end, AGO(i), '{}',
            case when i % 5 = 0 then cast(ID(i) as UUID) end
         from n",
        "insert into fairlane_events (id, tenant_id, name, priority, payload, occurred_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         select cast(ID(i) as UUID), (select min(id) from fairlane_tenants), 'a.b.c', 5, '{}', AGO(i + 4000000) from n",
        "insert into fairlane_attempts (job_id, run, tenant_id, attempt, generation, outcome, finished_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         select cast(ID(i) as UUID), 1, (select min(id) from fairlane_tenants), 1, 0, 'retry', AGO(i + 9000000) from n",
        "insert into fairlane_listener_runs (tenant_id, event_id, listener, job_id, finished_at)
         select tenant_id, id, 'x', id, occurred_at from fairlane_events",
        "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at)
         select tenant_id, 'unique:test.work', id, id, run_at from fairlane_jobs where priority < 2",
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, attempt, runs,
            generation, created_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'completed', payload, 1, 1, 0, created_at, run_at
         from fairlane_jobs where priority < 4",
        "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
            crashes, code, error, fingerprint, created_at, failed_at)
         select id, tenant_id, queue, kind, priority, payload, 1, 1, 0, 0, 'x', 'x', 'x', created_at, run_at
         from fairlane_jobs where priority > 7",
    ] {
        let (id, ago, uuid) = if t.url.starts_with("postgres") {
            ("lpad(to_hex(", "now() - interval '1 second' * (", "uuid")
        } else {
            ("printf('%032x', ", "cast(unixepoch('subsec') * 1000000 as integer) - 1000000 * (", "text")
        };
        let close = if t.url.starts_with("postgres") { "), 32, '0')" } else { ")" };
        let text = statement
            .replace("ID(i)", &format!("{id}i{close}"))
            .replace("AGO(", ago)
            .replace("as UUID", &format!("as {uuid}"))
            .replace("'unique:test.work', id,", "'unique:test.work', cast(id as text),");
        t.execute(Box::leak(hyphenated(text, uuid).into_boxed_str())).await;
    }
}

/// SQLite keeps ids as hyphenated text.
fn hyphenated(text: String, uuid: &str) -> String {
    if uuid == "uuid" {
        return text;
    }
    text.replace("printf('%032x', i)", "printf('00000000-0000-7000-8000-%012x', i)")
}

/// In a lane of each tenant.
pub(crate) async fn queue_jobs(t: &TestDb, jobs: u32) {
    let text = format!(
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {jobs})
         select lower(hex(randomblob(16))), t.id, 'default', 'test.work', 5, 'available', i, '{{}}'
         from n, fairlane_tenants t"
    );
    t.execute(Box::leak(text.into_boxed_str())).await;
}
