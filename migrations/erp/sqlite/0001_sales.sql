-- The ERP's people, sales and billing. Every row belongs to a tenant (the engine's number); foreign keys go through
-- (tenant_id, id), so that no row can point into another tenant; business keys begin with tenant_id.
-- Money and quantities are canonical decimal text, computed and compared in code: SQLite's numbers are floats.
-- Time stamps are microseconds since 1970 (UTC), days, ids and JSON are text, truth values 0 and 1.

-- What the ERP knows about a tenant. A tenant without a row has the defaults of store/profiles.rs.
create table tenants (
    id                 integer primary key references fairlane_tenants (id),
    name               text not null,
    timezone           text not null default 'UTC',
    currency           text not null default 'EUR' check (currency glob '[A-Z][A-Z][A-Z]'),
    currency_decimals  integer not null default 2 check (currency_decimals between 0 and 4),
    settings           text,
    created_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at         integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
);

create table users (
    id          integer primary key autoincrement,
    tenant_id   integer not null references fairlane_tenants (id),
    name        text not null,
    email       text,
    locale      text,
    timezone    text,
    active      integer not null default 1 check (active in (0, 1)),
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id)
);
create unique index users_by_email on users (tenant_id, lower(email)) where email is not null;

-- What a role may allow: the product's own list, the same for all tenants.
create table permissions (
    code         text primary key,
    description  text not null
);
insert into permissions (code, description) values
    ('billing.view', 'See invoices and be told about them');

create table roles (
    id         integer primary key autoincrement,
    tenant_id  integer not null references fairlane_tenants (id),
    name       text not null,
    unique (tenant_id, id),
    unique (tenant_id, name)
);

create table role_permissions (
    tenant_id   integer not null,
    role_id     integer not null,
    permission  text not null references permissions (code),
    primary key (tenant_id, role_id, permission),
    foreign key (tenant_id, role_id) references roles (tenant_id, id) on delete cascade
);
create index role_permissions_by_permission on role_permissions (tenant_id, permission);

create table user_roles (
    tenant_id  integer not null,
    user_id    integer not null,
    role_id    integer not null,
    primary key (tenant_id, user_id, role_id),
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade,
    foreign key (tenant_id, role_id) references roles (tenant_id, id) on delete cascade
);
create index user_roles_by_role on user_roles (tenant_id, role_id);

create table customers (
    id          integer primary key autoincrement,
    tenant_id   integer not null references fairlane_tenants (id),
    code        text not null,
    name        text not null,
    email       text,
    phone       text,
    address     text,
    terms_days  integer not null default 30 check (terms_days between 0 and 3650),
    active      integer not null default 1 check (active in (0, 1)),
    version     integer not null default 1,
    created_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at  integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, code)
);

create table sales_orders (
    id            integer primary key autoincrement,
    tenant_id     integer not null references fairlane_tenants (id),
    number        text not null,
    customer_id   integer not null,
    status        text not null default 'draft' check (status in ('draft', 'approved', 'fulfilled', 'cancelled')),
    currency      text not null,
    decimals      integer not null check (decimals between 0 and 4),
    net           text not null check (net glob '*[0-9]*' and not net glob '*[^-0-9.]*'),
    tax           text not null check (tax glob '*[0-9]*' and not tax glob '*[^-0-9.]*'),
    total         text not null check (total glob '*[0-9]*' and not total glob '*[^-0-9.]*'),
    ordered_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    approved_at   integer,
    approved_by   integer,
    fulfilled_at  integer,
    cancelled_at  integer,
    version       integer not null default 1,
    created_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at    integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, number),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id),
    foreign key (tenant_id, approved_by) references users (tenant_id, id)
);
create index sales_orders_by_customer on sales_orders (tenant_id, customer_id, id);
create index sales_orders_by_status on sales_orders (tenant_id, status, id);

create table sales_order_lines (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    order_id     integer not null,
    line_no      integer not null check (line_no > 0),
    product_id   integer,
    sku          text,
    description  text not null,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*'),
    unit_price   text not null check (unit_price glob '*[0-9]*' and not unit_price glob '*[^0-9.]*'),
    discount     text not null default '0' check (discount glob '*[0-9]*' and not discount glob '*[^0-9.]*'),
    tax_rate     text not null default '0' check (tax_rate glob '*[0-9]*' and not tax_rate glob '*[^0-9.]*'),
    unique (tenant_id, id),
    unique (tenant_id, order_id, line_no),
    foreign key (tenant_id, order_id) references sales_orders (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);
create index sales_order_lines_by_product on sales_order_lines (tenant_id, product_id) where product_id is not null;

create table invoices (
    id             integer primary key autoincrement,
    tenant_id      integer not null references fairlane_tenants (id),
    number         text not null,
    kind           text not null default 'invoice' check (kind in ('invoice', 'credit_note')),
    order_id       integer not null,
    customer_id    integer not null,
    customer_name  text not null,
    issued_on      text not null,
    due_on         text not null,
    status         text not null default 'open' check (status in ('open', 'paid', 'void')),
    currency       text not null,
    decimals       integer not null check (decimals between 0 and 4),
    net            text not null check (net glob '*[0-9]*' and not net glob '*[^-0-9.]*'),
    tax            text not null check (tax glob '*[0-9]*' and not tax glob '*[^-0-9.]*'),
    total          text not null check (total glob '*[0-9]*' and not total glob '*[^-0-9.]*'),
    paid           text not null default '0' check (paid glob '*[0-9]*' and not paid glob '*[^-0-9.]*'),
    sent_at        integer,
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, number),
    check (due_on >= issued_on),
    foreign key (tenant_id, order_id) references sales_orders (tenant_id, id),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);
-- One invoice an order, however often the order's approval is delivered.
create unique index invoices_once_per_order on invoices (tenant_id, order_id) where kind = 'invoice';
create index invoices_by_customer on invoices (tenant_id, customer_id, id);
create index invoices_open on invoices (tenant_id, due_on) where status = 'open';

-- A copy of the order's lines: an invoice never changes, whatever becomes of the order and its products.
create table invoice_lines (
    id           integer primary key autoincrement,
    tenant_id    integer not null references fairlane_tenants (id),
    invoice_id   integer not null,
    line_no      integer not null,
    product_id   integer,
    sku          text,
    description  text not null,
    quantity     text not null check (quantity glob '*[0-9]*' and not quantity glob '*[^0-9.]*'),
    unit_price   text not null check (unit_price glob '*[0-9]*' and not unit_price glob '*[^0-9.]*'),
    discount     text not null check (discount glob '*[0-9]*' and not discount glob '*[^0-9.]*'),
    tax_rate     text not null check (tax_rate glob '*[0-9]*' and not tax_rate glob '*[^0-9.]*'),
    net          text not null check (net glob '*[0-9]*' and not net glob '*[^-0-9.]*'),
    tax          text not null check (tax glob '*[0-9]*' and not tax glob '*[^-0-9.]*'),
    total        text not null check (total glob '*[0-9]*' and not total glob '*[^-0-9.]*'),
    unique (tenant_id, id),
    unique (tenant_id, invoice_id, line_no),
    foreign key (tenant_id, invoice_id) references invoices (tenant_id, id),
    foreign key (tenant_id, product_id) references products (tenant_id, id)
);

-- Numbers without gaps: the row is locked until the transaction that took a number ends, and rolls back with it.
create table number_sequences (
    tenant_id  integer not null references fairlane_tenants (id),
    name       text not null,
    period     text not null,
    last       integer not null check (last > 0),
    primary key (tenant_id, name, period)
);

create table notifications (
    id               text primary key,
    tenant_id        integer not null references fairlane_tenants (id),
    type             text not null,
    notifiable_type  text not null,
    notifiable_id    integer not null,
    data             text not null,
    dedupe_key       text not null,
    read_at          integer,
    created_at       integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at       integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, dedupe_key)
);
create index notifications_by_notifiable on notifications (tenant_id, notifiable_type, notifiable_id, created_at);
create index notifications_unread on notifications (tenant_id, notifiable_type, notifiable_id) where read_at is null;

-- What leaves the house: one row per message and recipient, written before the first attempt to send it.
-- claimed_by, claimed_until: the job that is sending it now, so that two deliveries of one event send one mail.
create table notification_deliveries (
    id             integer primary key autoincrement,
    tenant_id      integer not null references fairlane_tenants (id),
    dedupe_key     text not null,
    channel        text not null check (channel in ('mail')),
    type           text not null,
    subject_type   text not null,
    subject_id     integer not null,
    recipient      text,
    status         text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'suppressed')),
    attempts       integer not null default 0,
    message_id     text not null,
    reply          text,
    code           text,
    error          text,
    claimed_by     text,
    claimed_until  integer,
    sent_at        integer,
    created_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    updated_at     integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    unique (tenant_id, id),
    unique (tenant_id, dedupe_key),
    check ((status = 'sent') = (sent_at is not null))
);
create index notification_deliveries_by_subject on notification_deliveries (tenant_id, subject_type, subject_id);
