-- An index on (tenant_id, id) was a candidate for every search by ids alone. While statistics took the table for nearly
-- empty, the planner chose it over the primary key, and read it from one end to the other: beside dead rows that a held
-- snapshot kept, claims took up to 2 s. With this condition only searches that name a tenant can use it.
alter table fairlane_jobs drop constraint fairlane_jobs_tenant_id_id_key;
create index fairlane_jobs_by_tenant on fairlane_jobs (tenant_id, id) where tenant_id is not null;
