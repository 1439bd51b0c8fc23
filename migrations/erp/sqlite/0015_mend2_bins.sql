-- The bins of a warehouse are found from the warehouse.
create index locations_by_parent on locations (tenant_id, parent_id) where parent_id is not null;
