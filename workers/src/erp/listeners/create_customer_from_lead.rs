//! A converted lead becomes a customer.

use fairlane::{Context, Error, JobError, JobResult, Listener, Policy};

use crate::erp::Erp;
use crate::erp::events::LeadConverted;
use crate::erp::services::leads;

/// Makes the customer of a converted lead, once; customer, its event and completion are one commit.
#[derive(Debug)]
pub struct CreateCustomerFromLead;

impl Listener<LeadConverted> for CreateCustomerFromLead {
    const KIND: &'static str = "erp.create_customer_from_lead";
    const POLICY: Policy = Policy::DEFAULT;
    type State = Erp;

    async fn handle(event: LeadConverted, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        match leads::customer_of(&mut tx, &ctx.tenant(), &event).await {
            Ok(_) => ctx.complete_in(tx).await,
            // Neither a lead that is not there nor a name that no customer can have heals by itself.
            Err(error @ (Error::NotFound { .. } | Error::Refused { .. } | Error::Invalid { .. })) => {
                tx.rollback().await?;
                Err(JobError::discard(&error).code("lead_not_convertible"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
