//! Locations of the stock.

use fairlane::{Error, Result, Tenant, Transaction};

use super::one_line;
use crate::erp::store::locations;
pub use crate::erp::store::locations::{Location, NewLocation};

/// What a location may be.
pub const KINDS: [&str; 5] = ["internal", "transit", "vendor", "customer", "loss"];

/// Adds a location; its code must be free. `parent` is the code of the location it is a part of.
pub async fn create(
    tx: &mut Transaction,
    tenant: &Tenant,
    code: &str,
    name: &str,
    kind: &str,
    parent: Option<&str>,
) -> Result<Location> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    if !KINDS.contains(&kind) {
        let what = format!("the kind of location \"{kind}\"");
        return Err(Error::Invalid { what, why: format!("it must be one of {}", KINDS.join(", ")) });
    }
    let parent_id = match parent {
        Some(code) => Some(locations::by_code(conn, id, code).await?.id),
        None => None,
    };
    let new = NewLocation {
        code: one_line("the location's code", code, 64)?,
        name: one_line("the location's name", name, 200)?,
        parent_id,
        kind: kind.to_owned(),
    };
    locations::insert(conn, id, &new).await?.ok_or_else(|| Error::Refused {
        what: format!("adding location {}", new.code),
        why: "the code is taken; list them: fairlane erp location list".into(),
    })
}

/// Says whether goods are put there; what is there stays and can leave.
pub async fn set_active(tx: &mut Transaction, tenant: &Tenant, code: &str, active: bool) -> Result<Location> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    locations::set_active(conn, id, code, active).await?;
    locations::by_code(conn, id, code).await
}
