//! What the ERP does when something has happened: a file for each listener.

mod generate_invoice_from_order;
mod send_invoice_to_customer;

pub use generate_invoice_from_order::GenerateInvoiceFromOrder;
pub use send_invoice_to_customer::SendInvoiceToCustomer;
