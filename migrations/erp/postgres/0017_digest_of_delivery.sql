-- Which digest brings a delivery, as long as it is in one: a campaign that is stopped takes its own out of those that wait.
alter table notification_deliveries add column digest_id bigint;
create index notification_deliveries_by_digest on notification_deliveries (tenant_id, digest_id) where digest_id is not null;
-- What a digest says may become less before it is out.
grant update (data) on notification_messages to fairlane_app;
