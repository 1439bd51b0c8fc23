//! What the ERP does when something has happened: a file for each listener.

mod check_stock_level;
mod create_customer_from_lead;
mod generate_invoice_from_order;
mod notify_order_status;
mod notify_purchase_order_approval;
mod post_goods_receipt;
mod refusals;
mod send_invoice_to_customer;
mod send_low_stock_notification;
mod send_payment_confirmation;
mod send_stock_expiry_alert;
mod update_customer_statistics;
mod update_inventory_on_sale;

pub use check_stock_level::CheckStockLevel;
pub use create_customer_from_lead::CreateCustomerFromLead;
pub use generate_invoice_from_order::GenerateInvoiceFromOrder;
pub use notify_order_status::NotifyOrderStatus;
pub use notify_purchase_order_approval::NotifyPurchaseOrderApproval;
pub use post_goods_receipt::PostGoodsReceipt;
pub use send_invoice_to_customer::SendInvoiceToCustomer;
pub use send_low_stock_notification::SendLowStockNotification;
pub use send_payment_confirmation::SendPaymentConfirmation;
pub use send_stock_expiry_alert::SendStockExpiryAlert;
pub use update_customer_statistics::UpdateCustomerStatistics;
pub use update_inventory_on_sale::UpdateInventoryOnSale;

use refusals::stock_refused;
