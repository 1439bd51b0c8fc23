//! What the ERP does when something has happened: a file for each listener.

mod create_customer_from_lead;
mod generate_invoice_from_order;
mod send_invoice_to_customer;
mod update_customer_statistics;

pub use create_customer_from_lead::CreateCustomerFromLead;
pub use generate_invoice_from_order::GenerateInvoiceFromOrder;
pub use send_invoice_to_customer::SendInvoiceToCustomer;
pub use update_customer_statistics::UpdateCustomerStatistics;
