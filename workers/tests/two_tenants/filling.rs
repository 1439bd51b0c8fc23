//! Rows for the tables that nothing writes yet, and states that take weeks to come about.

/// Tables that are laid for jobs to come, and states that take weeks to come about.
pub(crate) const FILLING: &[&str] = &[
    // Nothing ticks while a test looks.
    "delete from fairlane_schedules",
    "update invoices set issued_on = '2026-01-01', due_on = '2026-01-05'",
    "insert into reports (tenant_id, report_type) select id, 'sales' from fairlane_tenants",
    "insert into sync_logs (tenant_id, sync_type) select id, 'products' from fairlane_tenants",
    "insert into notification_quiet_hours (tenant_id, user_id, from_minute, until_minute)
     select tenant_id, min(id), 0, 1 from users group by tenant_id",
    "insert into notification_deferrals (tenant_id, delivery_id, due_at)
     select tenant_id, max(id), max(created_at) from notification_deliveries group by tenant_id",
    "insert into invoice_reminders (tenant_id, invoice_id, stage) select tenant_id, id, 1 from invoices",
    "insert into valuation_layers (tenant_id, scope, product_id, movement_id, position, received_at, quantity, value,
        remaining_quantity, remaining_value)
     select tenant_id, 'product', product_id, id, 1, recorded_at, quantity, 1, quantity, 1 from stock_movements
     where kind = 'receipt'",
    "insert into movement_valuations (tenant_id, scope, movement_id, product_id, quantity, value)
     select tenant_id, 'product', id, product_id, quantity, 1 from stock_movements",
    "insert into stock_valuations (tenant_id, scope, method, product_id, quantity, value, as_of_seq)
     select tenant_id, 'product', 'average', product_id, 1, 1, 1 from stock_ledgers",
    "insert into delivery_attempts (tenant_id, delivery_id, attempt, target, outcome, took_ms)
     select tenant_id, delivery_id, 1, 'endpoint:' || endpoint_id, 'retry', 5 from webhook_deliveries",
];

/// What is counted by lists that look at these tables.
pub(crate) const MORE_OF_BETA: [&str; 3] = [
    "insert into reports (tenant_id, report_type, status, generated_at) select tenant_id, 'sales', 'completed', created_at
     from reports where tenant_id = (select id from fairlane_tenants where slug = 'beta')",
    "update import_logs set status = 'failed' where tenant_id = (select id from fairlane_tenants where slug = 'beta')",
    "update notifications set read_at = null where tenant_id = (select id from fairlane_tenants where slug = 'beta')",
];
