//! Users and what they may do.

use fairlane::{Error, Result, Tenant, Transaction};

use super::one_line;
use crate::erp::mail::check_address;
use crate::erp::store::people;

/// Makes sure that a user with this address exists and may do these things; returns the user's number.
///
/// Repeating it changes nothing. The permissions are given through a role named after them.
pub async fn ensure(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    email: &str,
    permissions: &[&str],
) -> Result<i64> {
    let id = tenant.id().await?;
    let name = one_line("the user's name", name, 200)?;
    let email = check_address(email).map_err(|why| Error::Invalid {
        what: format!("the address \"{}\" of user {name}", email.escape_debug()),
        why,
    })?;
    let conn = &mut tx.conn();
    let user = match people::find_by_email(conn, id, email.as_ref()).await? {
        Some(user) => user,
        None => people::add_user(conn, id, &name, Some(email.as_ref())).await?,
    };
    for permission in permissions {
        if !people::knows_permission(conn, permission).await? {
            return Err(Error::NotFound { what: "permission", name: (*permission).to_owned() });
        }
        let role = people::ensure_role(conn, id, permission).await?;
        people::grant(conn, id, role, permission).await?;
        people::assign(conn, id, user, role).await?;
    }
    Ok(user)
}
