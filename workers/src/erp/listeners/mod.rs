//! What the ERP does when something has happened: a file for each listener.

mod generate_invoice_from_order;
mod notify_order_status;
mod notify_purchase_order_approval;
mod send_invoice_to_customer;
mod send_low_stock_notification;
mod send_payment_confirmation;
mod send_stock_expiry_alert;

pub use generate_invoice_from_order::GenerateInvoiceFromOrder;
pub use notify_order_status::NotifyOrderStatus;
pub use notify_purchase_order_approval::NotifyPurchaseOrderApproval;
pub use send_invoice_to_customer::SendInvoiceToCustomer;
pub use send_low_stock_notification::SendLowStockNotification;
pub use send_payment_confirmation::SendPaymentConfirmation;
pub use send_stock_expiry_alert::SendStockExpiryAlert;
