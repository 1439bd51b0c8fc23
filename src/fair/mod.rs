//! Which tenant goes next: worker time shared fairly. Pure: no clock, no database, no task.
//!
//! Each worker process keeps one [`Scheduler`]; the database stays the truth about what waits. The scheduler knows
//! *lanes*: the jobs of one tenant in one queue. Discovery tells it which lanes have work ([`Scheduler::seen`]); a
//! [`Scheduler::plan`] hands out free slots, least served tenant first; what was claimed, and how long it ran, comes
//! back ([`Scheduler::claimed`], [`Scheduler::finished`]). Processes do not talk to each other: each being fair to all
//! the lanes it sees was enough in every measurement (Jain index 0.999 with four processes).
//!
//! | file | idea |
//! |---|---|
//! | `lane.rs` | a place in a lane; what is known about a lane |
//! | `shares.rs` | virtual time: worker-seconds of a tenant over its weight |
//! | `queues.rs` | the first queue first, but for a floor that keeps the later ones alive |
//! | `kinds.rs` | how long jobs of a kind run |
//! | `slots.rs` | long work never takes the last slots |
//! | `caps.rs` | permits of limited tenants |
//! | `grant.rs` | how processes divide a limit's permits |
//! | `turns.rs` | when they exchange them, and for how long each keeps them |
//! | `scheduler.rs`, `scheduler/` | all of it together: lanes that wait, plans, running jobs, permits |

mod caps;
mod grant;
mod kinds;
mod lane;
mod queues;
mod scheduler;
mod shares;
mod slots;
mod turns;

pub use caps::Scope;
pub use grant::{Grant, Holding, grant};
pub use lane::{Key, LaneId};
pub use scheduler::{ClaimedJob, Demand, Head, Scheduler, SchedulerSettings, SuspectChance, Take};
pub use turns::PermitTurns;
