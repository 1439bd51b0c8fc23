//! The statements of customers and vendors that imports use: each for a whole chunk, one text for both tables.

use std::collections::{HashMap, HashSet};

use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::import_type::{DamagedRecord, Found, Key, Scope};
use super::{CODE, Party};

/// The statements of one table.
#[derive(Debug, Clone, Copy)]
pub struct PartySql {
    /// The records with one of these codes.
    pub by_code: Sql,
    /// The records with one of these names or addresses.
    pub by_second: Sql,
    /// The records with these numbers.
    pub by_id: Sql,
    /// Stores new records.
    pub insert: Sql,
    /// Stores changed records.
    pub update: Sql,
    /// The name of the table, where SQLite counts its numbers.
    pub table: &'static str,
}

/// The [`PartySql`] of a table: what its days are called, and what a row without a code is found by.
macro_rules! party_sql {
    ($table:literal, $days:literal, $second:literal) => {
        $crate::erp::jobs::process_bulk_import::party::store::PartySql {
            by_code: ::fairlane::sql!(concat!(
                "select id, code, name, email, phone, address, ", $days, " as days, active, version from ", $table,
                " where tenant_id = $1 and code {in:$2} order by id {lock}"
            )),
            by_second: ::fairlane::db::Sql {
                postgres: concat!(
                    "select id, code, name, email, phone, address, ", $days, " as days, active, version from ", $table,
                    " where tenant_id = $1 and lower(", $second, " collate \"C\") = any($2) order by id {lock}"
                ),
                sqlite: concat!(
                    "select id, code, name, email, phone, address, ", $days, " as days, active, version from ", $table,
                    " where tenant_id = $1 and lower(", $second, ") in (select value from json_each($2)) order by id"
                ),
            },
            by_id: ::fairlane::sql!(concat!(
                "select id, code, name, email, phone, address, ", $days, " as days, active, version from ", $table,
                " where tenant_id = $1 and id {in:$2} order by id {lock}"
            )),
            insert: ::fairlane::db::Sql {
                postgres: concat!(
                    "insert into ", $table, " (tenant_id, code, name, email, phone, address, ", $days, ", active, version,
                        created_at, updated_at)
                     select $1, p.code, p.name, p.email, p.phone, p.address, p.days, p.active, p.version, {now}, {now}
                     from jsonb_to_recordset($2::jsonb) as p(code text, name text, email text, phone text,
                        address jsonb, days integer, active boolean, version bigint)
                     returning id, code, name"
                ),
                sqlite: concat!(
                    "insert into ", $table, " (id, tenant_id, code, name, email, phone, address, ", $days, ", active,
                        version, created_at, updated_at)
                     select $3 + key, $1, value ->> 'code', value ->> 'name', value ->> 'email', value ->> 'phone',
                        value -> 'address', value ->> 'days', value ->> 'active', value ->> 'version', {now}, {now}
                     from jsonb_each($2)"
                ),
            },
            update: ::fairlane::db::Sql {
                postgres: concat!(
                    "update ", $table, " t set code = p.code, name = p.name, email = p.email, phone = p.phone,
                        address = coalesce(p.address, t.address), ", $days, " = p.days, active = p.active,
                        version = p.version, updated_at = {now}
                     from jsonb_to_recordset($2::jsonb) as p(id bigint, code text, name text, email text, phone text,
                        address jsonb, days integer, active boolean, version bigint)
                     where t.tenant_id = $1 and t.id = p.id"
                ),
                sqlite: concat!(
                    "update ", $table, " set code = p.value ->> 'code', name = p.value ->> 'name',
                        email = p.value ->> 'email', phone = p.value ->> 'phone',
                        address = coalesce(nullif(p.value -> 'address', 'null'), address),
                        ", $days, " = p.value ->> 'days', active = p.value ->> 'active',
                        version = p.value ->> 'version', updated_at = {now}
                     from jsonb_each($2) p
                     where +", $table, ".tenant_id = $1 and ", $table, ".id = p.value ->> 'id'"
                ),
            },
            table: $table,
        }
    };
}

pub(in super::super) use party_sql;

/// The stored records that have one of the keys, locked until the chunk is committed.
pub(in super::super) async fn load(
    conn: &mut Conn<'_>,
    scope: Scope,
    statements: PartySql,
    second: usize,
    keys: &[Key],
) -> Result<Found<Party>> {
    let (mut found, mut held) = (Found::default(), HashMap::<Key, i64>::new());
    let mut ids = HashSet::new();
    for (field, statement) in [(CODE, statements.by_code), (second, statements.by_second)] {
        let values: Vec<&str> =
            keys.iter().filter(|key| key.field == field).map(|key| key.value.as_str()).collect();
        if values.is_empty() {
            continue;
        }
        for row in query(statement).planned_anew().bind(scope.tenant_id).bind(values).fetch_all(conn).await? {
            match read(&row) {
                Ok(party) => {
                    for key in party.keys(second).into_iter().filter(|key| key.field == second) {
                        if field == second
                            && held.insert(key.clone(), party.id).is_some_and(|id| id != party.id)
                        {
                            found.ambiguous.push(key);
                        }
                    }
                    if ids.insert(party.id) {
                        found.records.push(party);
                    }
                }
                Err(why) => found
                    .damaged
                    .push(DamagedRecord { keys: readable_keys(&row, second), why: why.to_string() }),
            }
        }
    }
    Ok(found)
}

fn readable_keys(row: &Row, second: usize) -> Vec<Key> {
    let text = |column| row.get::<Option<String>>(column).ok().flatten();
    let found_by = if second == super::EMAIL { text("email") } else { text("name") };
    let code = text("code").map(|value| Key { field: CODE, value });
    code.into_iter().chain(found_by.map(|text| Key { field: second, value: super::folded(&text) })).collect()
}

/// The records with these numbers, locked; those that can't be read are left out.
pub(in super::super) async fn load_ids(
    conn: &mut Conn<'_>,
    scope: Scope,
    statements: PartySql,
    ids: &[i64],
) -> Result<Vec<Party>> {
    let rows = query(statements.by_id)
        .planned_anew()
        .bind(scope.tenant_id)
        .bind(ids.to_vec())
        .fetch_all(conn)
        .await?;
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

fn read(row: &Row) -> Result<Party> {
    let address = match row.get::<Option<Value>>("address")? {
        Some(Value::Object(parts)) => parts,
        None | Some(Value::Null) => Map::new(),
        Some(other) => return Err(Error::Damaged(format!("address: {other} is no object"))),
    };
    Ok(Party {
        id: row.get("id")?,
        code: row.get("code")?,
        name: row.get("name")?,
        email: row.get("email")?,
        phone: row.get("phone")?,
        address,
        days: row.get("days")?,
        active: row.get("active")?,
        version: row.get("version")?,
    })
}

/// Stores new records in one statement; returns their ids in order.
pub(in super::super) async fn insert(
    conn: &mut Conn<'_>,
    scope: Scope,
    statements: PartySql,
    parties: &[&Party],
) -> Result<Vec<i64>> {
    let rows = json_rows(parties)?;
    let insert = query(statements.insert).bind(scope.tenant_id).bind(rows);
    if conn.dialect() == Dialect::Sqlite {
        // As products do: this transaction has the file's only writer.
        let last: i64 =
            query(sql!("select coalesce(max(seq), 0) as last from sqlite_sequence where name = $1"))
                .bind(statements.table)
                .fetch_one(conn)
                .await?
                .get("last")?;
        insert.bind(last + 1).execute(conn).await?;
        return Ok((last + 1..).take(parties.len()).collect());
    }
    // The order of returned rows is nobody's promise. Those without a code have a name of their own in a chunk.
    let mut ids = HashMap::with_capacity(parties.len());
    for row in insert.fetch_all(conn).await? {
        let key: (Option<String>, String) = (row.get("code")?, row.get("name")?);
        ids.insert(key, row.get::<i64>("id")?);
    }
    parties
        .iter()
        .map(|party| {
            ids.remove(&(party.code.clone(), party.name.clone()))
                .ok_or_else(|| Error::Damaged(format!("{}: stored without an id", party.label())))
        })
        .collect()
}

/// Stores changed records in one statement.
pub(in super::super) async fn update(
    conn: &mut Conn<'_>,
    scope: Scope,
    statements: PartySql,
    parties: &[&Party],
) -> Result<()> {
    let updated = query(statements.update)
        .planned_anew()
        .bind(scope.tenant_id)
        .bind(json_rows(parties)?)
        .execute(conn)
        .await?;
    if updated == parties.len() as u64 {
        Ok(())
    } else {
        Err(Error::Damaged(format!("{updated} of {} {} could be updated", parties.len(), statements.table)))
    }
}

#[derive(Serialize)]
struct JsonRow<'a> {
    id: i64,
    code: Option<&'a str>,
    name: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    /// Nothing where there is none: an address that is empty stays as it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a Map<String, Value>>,
    days: Option<i64>,
    active: bool,
    version: i64,
}

fn json_rows(parties: &[&Party]) -> Result<String> {
    let rows: Vec<_> = parties
        .iter()
        .map(|party| JsonRow {
            id: party.id,
            code: party.code.as_deref(),
            name: &party.name,
            email: party.email.as_deref(),
            phone: party.phone.as_deref(),
            address: (!party.address.is_empty()).then_some(&party.address),
            days: party.days,
            active: party.active,
            version: party.version,
        })
        .collect();
    serde_json::to_string(&rows)
        .map_err(|why| Error::Invalid { what: "a chunk of rows".into(), why: why.to_string() })
}
