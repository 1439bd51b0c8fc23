//! Reports: what was asked for, how far it is, and the file it came to.

mod asked;
mod files;
mod making;
mod orphans;
mod report;
mod valued;

pub use asked::{NewReport, delete, insert, is_job_cancelled, request_cancel, set_job};
pub use files::{expired, forget_files, known_files};
pub use making::{Finished, end, finish, progress, start};
pub use orphans::{has_orphans, settle_orphans};
pub use report::{Report, find, list, missing, of_job};
pub use valued::valued_scope;
