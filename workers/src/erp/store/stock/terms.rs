//! The stock's rules, a part of `tenants.settings`.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::erp::store::profiles;

/// What happens when more leaves than is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negative {
    /// It is refused.
    Forbid,
    /// It is recorded.
    Allow,
    /// It is recorded and somebody is told. The default: whoever took the goods has taken them, and a ledger that
    /// refuses to say so is wrong from then on; but that numbers fall below nothing is a mistake somewhere.
    #[default]
    Alert,
}

impl fmt::Display for Negative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forbid => "forbid",
            Self::Allow => "allow",
            Self::Alert => "alert",
        })
    }
}

impl FromStr for Negative {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::Forbid, Self::Allow, Self::Alert]
            .into_iter()
            .find(|policy| policy.to_string() == word)
            .ok_or_else(|| Error::Invalid {
                what: format!("the policy \"{word}\""),
                why: "it must be forbid, allow or alert".into(),
            })
    }
}

/// The rules of a tenant's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// What happens when more leaves than is there.
    pub negative: Negative,
    /// Whether stock is low already when it is as high as its minimum, not only below it.
    pub low_at_minimum: bool,
}

/// The tenant's rules, and the database's clock.
pub async fn find(conn: &mut Conn<'_>, tenant: i64) -> Result<(Terms, DateTime<Utc>)> {
    let row = query(sql!(
        "select {now} as now, t.settings from fairlane_tenants f left join tenants t on t.id = f.id where f.id = $1"
    ))
    .bind(tenant)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::NotFound { what: "tenant", name: tenant.to_string() })?;
    let settings: Option<Value> = row.get("settings")?;
    let terms = settings.as_ref().and_then(|settings| settings.get("stock")).map_or_else(
        || Ok(Terms::default()),
        |stock| {
            Terms::deserialize(stock)
                .map_err(|why| Error::Damaged(format!("tenants.settings, stock of tenant {tenant}: {why}")))
        },
    )?;
    Ok((terms, row.get("now")?))
}

/// Stores the tenant's rules beside its other settings.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, terms: Terms) -> Result<()> {
    let profile = profiles::find(conn, tenant).await?;
    profiles::save(conn, tenant, &profile).await?;
    let row =
        query(sql!("select settings from tenants where id = $1 {lock}")).bind(tenant).fetch_one(conn).await?;
    let mut settings = match row.get::<Option<Value>>("settings")? {
        Some(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    let stock = serde_json::to_value(terms)
        .map_err(|why| Error::Invalid { what: "the stock's settings".into(), why: why.to_string() })?;
    settings.insert("stock".into(), stock);
    query(sql!("update tenants set settings = {json:$2}, updated_at = {now} where id = $1"))
        .bind(tenant)
        .bind(Value::Object(settings))
        .execute(conn)
        .await?;
    Ok(())
}
