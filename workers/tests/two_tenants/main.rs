//! Two tenants with the same names and numbers, one of them hostile: over every service, listener, job, verb and file path
//! of the ERP nothing of the other is read, changed or counted, and what is the other's answers as what is missing.
//! Seed 1-20, 1-36.
//!
//! Two walls stand between them: the tenant in every statement, and row security. Each holds with the other torn down:
//!
//! | | statements name the tenant | row security |
//! |---|---|---|
//! | `sqlite`, `without_row_security` | yes | no |
//! | `postgres` | yes | yes |
//! | [`walls`], [`calls`] crossed | no, or the wrong one | yes |

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A world of two tenants is made once a test.
#![allow(clippy::large_futures)]
// A payload of every field there is.
#![recursion_limit = "256"]

#[path = "../support/mod.rs"]
mod support;

mod bare;
mod building;
mod calls;
mod channel_calls;
mod exchange;
mod files;
mod filling;
mod goods_calls;
mod listed;
mod names;
mod party_calls;
mod payloads;
mod sales_calls;
mod snapshot;
mod stock_calls;
mod telling;
mod telling_calls;
mod verb_list;
mod verbs;
mod walls;
mod world;

/// Writes a test once and runs it with each wall alone, and with both.
macro_rules! each_wall {
    (async fn $name:ident($world:ident) $body:block) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn case($world: crate::world::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                case(crate::world::World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(world) = crate::world::World::postgres().await {
                    case(world).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn without_row_security() {
                if let Some(world) = crate::world::World::without_row_security().await {
                    case(world).await;
                }
            }
        }
    };
}
pub(crate) use each_wall;
