use fairlane::backend_test;
use fairlane::db::query;
use fairlane::store::migrate::MigrationLine;
use fairlane::testing::TestDb;

use super::super::super::ProcessBulkImport;
use super::*;

fn lines() -> Vec<MigrationLine> {
    vec![crate::erp::migrations()]
}

/// An import under way with its job in the queue.
async fn running(t: &TestDb) -> Scope {
    let acme = t.fairlane.tenant("acme");
    let tenant_id = acme.id().await.unwrap();
    let mut tx = acme.begin().await.unwrap();
    let row = query(sql!(
        "insert into import_logs (tenant_id, import_type, file_path, file_name, file_size, sha256, mode, mapping,
            options, format, status)
         values ($1, 'products', 'f', 'f', 1, 'f', 'upsert', $2, $2, $2, 'processing') returning id"
    ))
    .bind(tenant_id)
    .bind(serde_json::json!({}))
    .fetch_one(&mut tx.conn())
    .await
    .unwrap();
    let import_id: i64 = row.get("id").unwrap();
    let job = acme
        .dispatch(ProcessBulkImport { import_id, import_type: "products".into() })
        .in_tx(&mut tx)
        .await
        .unwrap();
    super::super::set_job(&mut tx.conn(), tenant_id, import_id, job.id).await.unwrap();
    tx.commit().await.unwrap();
    Scope { tenant_id, import_id, user_id: None }
}

/// The hook of an earlier failure arrives; returns the status behind it.
async fn after_the_hook(t: &TestDb, scope: Scope) -> String {
    let mut tx = t.fairlane.tenant("acme").begin().await.unwrap();
    mark_failed(&mut tx.conn(), scope, "job_failed", "an earlier failure").await.unwrap();
    let status = query(sql!("select status from import_logs where tenant_id = $1 and id = $2"))
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .fetch_one(&mut tx.conn())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    status.get("status").unwrap()
}

backend_test!(migrations: lines;
    async fn a_late_hook_leaves_an_import_alone_whose_job_was_retried(t: TestDb) {
        let scope = running(&t).await;
        assert_eq!(after_the_hook(&t, scope).await, "processing");
        t.execute("delete from fairlane_jobs").await;
        assert_eq!(after_the_hook(&t, scope).await, "failed");
    }
);
