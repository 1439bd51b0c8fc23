//! Sites: a warehouse with all its bins. A location's site is the outermost internal location that it is a part of; what is
//! not internal, or a part of nothing, is its own.

use std::collections::HashMap;

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

/// The site of each of these locations, as far as they exist.
pub async fn of(conn: &mut Conn<'_>, tenant: i64, locations: &[i64]) -> Result<HashMap<i64, i64>> {
    if locations.is_empty() {
        return Ok(HashMap::new());
    }
    // The depth ends a circle, which nothing can make and nothing forbids.
    let rows = query(sql!(
        "with recursive above (id, site, depth) as (
             select id, id, 0 from locations where tenant_id = $1 and id {in:$2}
             union all
             select above.id, outer_one.id, above.depth + 1 from above
             join locations inner_one on inner_one.tenant_id = $1 and inner_one.id = above.site
             join locations outer_one on outer_one.tenant_id = $1 and outer_one.id = inner_one.parent_id
             where inner_one.kind = 'internal' and outer_one.kind = 'internal' and above.depth < 16)
         select id, site from above order by depth"
    ))
    .bind(tenant)
    .bind(locations.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("site")?))).collect()
}

/// What each of these locations is made of: itself and the bins in it, however deep.
pub async fn within(conn: &mut Conn<'_>, tenant: i64, locations: &[i64]) -> Result<HashMap<i64, Vec<i64>>> {
    if locations.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query(sql!(
        "with recursive below (id, root, depth) as (
             select id, id, 0 from locations where tenant_id = $1 and id {in:$2}
             union all
             select inner_one.id, below.root, below.depth + 1 from below
             join locations outer_one on outer_one.tenant_id = $1 and outer_one.id = below.id
             join locations inner_one on inner_one.tenant_id = $1 and inner_one.parent_id = below.id
             where inner_one.kind = 'internal' and outer_one.kind = 'internal' and below.depth < 16)
         select distinct root, id from below order by root, id"
    ))
    .bind(tenant)
    .bind(locations.to_vec())
    .fetch_all(conn)
    .await?;
    let mut within = HashMap::<i64, Vec<i64>>::new();
    for row in rows {
        within.entry(row.get("root")?).or_default().push(row.get("id")?);
    }
    Ok(within)
}
