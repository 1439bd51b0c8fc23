//! What a user may do: `erp user add|show|revoke`.

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, printable};
use fairlane::db::Conn;
use serde_json::json;

use super::reading;
use crate::erp::services::users;
use crate::erp::store::people::{self, User};

pub(super) async fn add(
    tenant: &Tenant,
    env: &CommandEnv,
    (email, name): (&str, &str),
    permissions: &[String],
    at: Option<&str>,
) -> anyhow::Result<()> {
    let wanted: Vec<&str> = permissions.iter().map(String::as_str).collect();
    let tenant_id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let location = place(&mut tx.conn(), tenant_id, at).await?;
    let id = users::ensure_at(&mut tx, tenant, name, email, &wanted, location).await?;
    let user = people::named(&mut tx.conn(), tenant_id, &id.to_string()).await?;
    let held = people::held(&mut tx.conn(), tenant_id, id).await?;
    tx.commit().await?;
    let result = json!({
        "id": id, "email": email, "name": user.name, "active": user.active, "permissions": permissions,
        "location": at, "may": shown(&held),
    });
    let line = format!("User {email} is there and may do: {}.", words(&held));
    Ok(env.output.result(&result, Some(&id.to_string()), &lines(line, &user))?)
}

pub(super) async fn show(tenant: &Tenant, env: &CommandEnv, who: &str) -> anyhow::Result<()> {
    let tenant_id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let user = people::named(conn, tenant_id, who).await?;
    let held = people::held(conn, tenant_id, user.id).await?;
    told(env, &user, &held)
}

pub(super) async fn revoke(
    tenant: &Tenant,
    env: &CommandEnv,
    who: &str,
    permission: &str,
    at: Option<&str>,
) -> anyhow::Result<()> {
    let tenant_id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let location = place(&mut tx.conn(), tenant_id, at).await?;
    let user = users::revoke(&mut tx, tenant, who, permission, location).await?;
    let held = people::held(&mut tx.conn(), tenant_id, user.id).await?;
    tx.commit().await?;
    told(env, &user, &held)
}

async fn place(conn: &mut Conn<'_>, tenant: i64, at: Option<&str>) -> fairlane::Result<Option<i64>> {
    match at {
        Some(code) => people::location_id(conn, tenant, code).await.map(Some),
        None => Ok(None),
    }
}

fn told(env: &CommandEnv, user: &User, held: &[(String, String)]) -> anyhow::Result<()> {
    let result = json!({
        "id": user.id, "email": user.email, "name": user.name, "active": user.active, "may": shown(held),
    });
    let line = format!("User {} ({}) may do: {}.", user.label(), user.name, words(held));
    Ok(env.output.result(&result, Some(&user.id.to_string()), &lines(line, user))?)
}

fn shown(held: &[(String, String)]) -> Vec<serde_json::Value> {
    let at = |code: &String| (!code.is_empty()).then(|| code.clone());
    held.iter().map(|(permission, code)| json!({ "permission": permission, "at": at(code) })).collect()
}

fn words(held: &[(String, String)]) -> String {
    let one = |(permission, code): &(String, String)| match code.as_str() {
        "" => permission.clone(),
        code => format!("{permission} at {code}"),
    };
    match held {
        [] => "nothing special".to_owned(),
        held => held.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn lines(line: String, user: &User) -> Vec<String> {
    let mut lines = vec![printable(&line)];
    if !user.active {
        let label = user.label();
        lines.push(printable(&format!(
            "The user is inactive and told nothing; let them in again: fairlane erp user activate {label}"
        )));
    }
    lines
}
