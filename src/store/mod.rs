//! The only engine module that contains SQL, but for `bench/`, whose floors must not call what they are compared with.
//! Every function runs on both databases.
//!
//! | file | statements |
//! |---|---|
//! | [`migrate`] | roles, migrations by line, the start-up check |
//! | [`tenants`] | find, add, list, pause, weigh |
//! | [`limits`] | what tenants may use |
//! | [`quota`] | how many live jobs a tenant has, counted no further than it matters |
//! | [`rates`] | taking places in a rate |
//! | [`subscriptions`] | who listens to what |
//! | [`events`] | publish: an event and its listener jobs |
//! | [`jobs`] | insert, unique and idempotency keys |
//! | [`look`] | which lanes have work, and what else is to be done |
//! | [`single`] | one job: a dispatch |
//! | [`alike`] | many jobs of one kind at once |
//! | [`claim`] | take jobs under a lease |
//! | [`suspects`] | jobs whose process died: claimed apart |
//! | [`keys`] | jobs that share a key run one after the other |
//! | [`permits`] | leased permits of limited tenants |
//! | [`starts`] | when jobs of rate-limited tenants may start |
//! | [`lease`] | renew, hold (the fence of a handler's commit) |
//! | `attempts` | errors of single attempts |
//! | [`complete`] | what was done moves to the history |
//! | [`settle`] | retry, snooze, fail, cancel, release |
//! | [`rescue`] | expired leases, poison pills |
//! | [`held`] | what is executing, and what nobody runs any more |
//! | [`promote`] | due jobs become available |
//! | [`prune`] | retention |
//! | [`usage`] | what tenants have used, also by jobs whose rows are gone |
//! | [`workers`] | worker processes, for people |
//! | [`schedules`] | cron rows and their ticks |
//! | [`job_lists`] | jobs wherever they have got to, for people |
//! | [`failed`] | failed jobs: lists, groups, forget |
//! | [`revive`] | failed jobs back into their queues |
//! | [`cancel`] | calling jobs off |
//! | [`queues`] | what waits, pause and resume |
//! | [`event_log`] | events and what their listeners did, for people |
//! | [`audit`] | what people did |
//! | [`listing`] | pages of rows; a damaged row is named and hides no other |

/// SQLite only: whether a column holds an id as the engine writes it. Anything may stand there after a hand's mistake.
macro_rules! readable_id {
    ($column:literal) => {
        concat!(
            "(typeof(",
            $column,
            ") = 'text' and length(",
            $column,
            ") = 36 and ",
            $column,
            " like '________-____-____-____-____________' and replace(",
            $column,
            ", '-', '') not glob '*[^0-9a-f]*' and length(replace(",
            $column,
            ", '-', '')) = 32)"
        )
    };
}

pub mod alike;
mod attempts;
pub mod audit;
pub mod cancel;
pub mod claim;
pub mod complete;
pub mod event_log;
pub mod events;
pub mod failed;
pub mod held;
pub mod job_lists;
pub mod jobs;
pub mod keys;
pub mod lease;
pub mod limits;
pub mod listing;
pub mod look;
pub mod migrate;
pub mod permits;
#[cfg(test)]
mod plans;
pub mod promote;
pub mod prune;
pub mod queues;
pub mod quota;
pub mod rates;
pub mod rescue;
pub mod revive;
pub mod schedules;
pub mod settle;
pub mod single;
pub mod starts;
pub mod subscriptions;
pub mod suspects;
pub mod tenants;
pub mod usage;
pub mod workers;
