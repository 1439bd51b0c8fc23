//! The levels computed anew.

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure, printable};
use serde_json::json;

use crate::erp::services::stock::{Difference, rebuild};

pub(super) async fn run(check: bool, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let (mut differences, mut products, mut after) = (Vec::<Difference>::new(), 0, Some(0));
    while let Some(last) = after {
        let mut tx = tenant.begin().await?;
        let rebuilt = rebuild(&mut tx, tenant, last).await?;
        if check {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        differences.extend(rebuilt.differences);
        products += rebuilt.products;
        after = rebuilt.next;
    }
    let wrong = differences.len();
    let mut lines: Vec<String> = differences.iter().map(|one| printable(&shown(one))).collect();
    lines.push(match (wrong, check) {
        (0, _) => format!("The levels of {products} products are what their movements come to."),
        (_, true) => format!("{wrong} levels of {products} products are wrong."),
        (_, false) => format!("{wrong} levels of {products} products were wrong and are right now."),
    });
    let result =
        json!({ "products": products, "wrong": wrong, "corrected": !check, "differences": differences });
    env.output.result(&result, None, &lines)?;
    if check && wrong > 0 {
        let failure = Failure::new(Exit::Failed, format!("{wrong} stock levels are wrong"));
        return Err(failure.hint("correct them: fairlane erp stock rebuild").into());
    }
    Ok(())
}

fn shown(difference: &Difference) -> String {
    let Difference { stored, right } = difference;
    let batch = stored.pool.batch_id.map(|batch| format!(", batch {batch}")).unwrap_or_default();
    format!(
        "product {}, location {}{batch}: on hand {} instead of {}, reserved {} instead of {}",
        stored.pool.product_id,
        stored.pool.location_id,
        stored.on_hand,
        right.on_hand,
        stored.reserved,
        right.reserved
    )
}
