//! How an import ended, told to who handed the file in, in the commit that ends it.

use fairlane::{Error, Tenant, Transaction};
use serde_json::json;

use super::counts::Counts;
use super::import_type::Scope;
use crate::erp::notifications::{AlertNotification, Audience, notify_audience};

/// Tells what came of the file.
pub(super) async fn completed(
    tx: &mut Transaction,
    tenant: &Tenant,
    scope: Scope,
    counts: Counts,
) -> Result<(), Error> {
    let import_id = scope.import_id;
    let Counts { total, created, updated, failed, .. } = counts;
    let mut message = format!("{total} rows: {created} new, {updated} changed.");
    if failed > 0 {
        message.push_str(&format!(" {failed} were refused. Which: fairlane imports errors {import_id}"));
    }
    let note = AlertNotification::done(
        failed == 0,
        format!("Import {import_id} is done"),
        message,
        json!({ "import_id": import_id, "total": total, "created": created, "updated": updated, "failed": failed }),
    );
    tell(tx, tenant, scope, &note, &format!("import:{import_id}")).await
}

/// Tells that an import could not be done, once however often it is tried again: whoever does that sees what it comes to.
pub(super) async fn failed(
    tx: &mut Transaction,
    tenant: &Tenant,
    scope: Scope,
    why: &str,
) -> Result<(), Error> {
    let import_id = scope.import_id;
    let note = AlertNotification::warning(
        format!("Import {import_id} has failed"),
        format!("{why}. What became of its rows: fairlane imports show {import_id}"),
        json!({ "import_id": import_id }),
    );
    tell(tx, tenant, scope, &note, &format!("import:{import_id}:failed")).await
}

async fn tell(
    tx: &mut Transaction,
    tenant: &Tenant,
    scope: Scope,
    note: &AlertNotification,
    key: &str,
) -> Result<(), Error> {
    let Some(user) = scope.user_id else { return Ok(()) };
    let audience = Audience::user(user).about("import", scope.import_id);
    notify_audience(tx, tenant, &audience, note, key).await.map(drop)
}
