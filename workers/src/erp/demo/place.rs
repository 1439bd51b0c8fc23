//! Where the demo may run, and how people start the program there.

use std::path::Path;

use fairlane::cli::{CommandEnv, Exit, Failure};
use fairlane::config::{Config, Origin};
use fairlane::{Error, store};

use super::TENANT;

/// The tenant's name: by it the demo knows the tenant it has made.
const NAME: &str = "Acme Ltd (demo)";

/// The default file is the demo's; any other database has to be meant.
pub(super) fn check_database(config: &Config, here: bool) -> anyhow::Result<()> {
    if here || matches!(config.origin("database.url"), None | Some(Origin::Default)) {
        return Ok(());
    }
    let place = config.url("database.url")?;
    Err(Failure::new(
        Exit::Refused,
        format!("the demo adds a tenant and its data, and {place} is not its own file"),
    )
    .hint("say so if that is meant: demo --here")
    .into())
}

/// Nobody else may be in the database: the demo's worker runs what is queued there, and mails of others would end in a
/// folder. Before there is a schema nobody is.
pub(super) async fn check_tenants(env: &CommandEnv) -> anyhow::Result<()> {
    let mut tx = env.fairlane.db().read().await?;
    let Ok(tenants) = store::tenants::list(&mut tx.conn()).await else { return Ok(()) };
    let is_ours = |slug: &str, name: &str| slug == TENANT && name == NAME;
    if tenants.damaged.is_empty() && tenants.rows.iter().all(|tenant| is_ours(&tenant.slug, &tenant.name)) {
        return Ok(());
    }
    let others = tenants.rows.iter().filter(|tenant| !is_ours(&tenant.slug, &tenant.name));
    let others: Vec<&str> = others.map(|tenant| tenant.slug.as_str()).collect();
    let why =
        format!("the demo runs beside no tenant that it has not made, and there is: {}", others.join(", "));
    Err(Failure::new(Exit::Refused, why).hint("name an empty database: demo --here -d sqlite:demo.db").into())
}

/// Adds the tenant if it is not there.
pub(super) async fn add_tenant(env: &CommandEnv) -> anyhow::Result<()> {
    // Again: what could not be read before there was a schema can be now, and another login may have made it.
    check_tenants(env).await?;
    let mut tx = env.fairlane.db().begin().await?;
    match store::tenants::add(&mut tx.conn(), TENANT, NAME).await {
        Ok(_) => tx.commit().await?,
        // It is there, or another demo was quicker.
        Err(Error::Refused { .. }) => tx.rollback().await?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// How the program was started: what the next command begins with.
pub(super) fn program() -> String {
    let typed = std::env::args().next().filter(|typed| !typed.is_empty());
    called(std::env::var_os("CARGO").is_some(), typed.as_deref())
}

fn called(by_cargo: bool, typed: Option<&str>) -> String {
    let plain = |typed: &&str| !typed.contains(|c: char| c.is_whitespace() || c == '\'');
    match typed {
        _ if by_cargo => "cargo run --".to_owned(),
        Some(typed) if Path::new(typed).file_name().is_some() => match plain(&typed) {
            true => typed.to_owned(),
            false => format!("'{}'", typed.replace('\'', "'\\''")),
        },
        _ => "fairlane".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_begins_as_this_one_did() {
        assert_eq!(called(true, Some("target/debug/fairlane")), "cargo run --");
        assert_eq!(called(false, Some("./fairlane")), "./fairlane");
        assert_eq!(called(false, Some("my tools/fairlane")), "'my tools/fairlane'");
        assert_eq!(called(false, None), "fairlane");
    }
}
