-- The length of a worker's leases, as it runs with them: whether an idle one is lost is judged by its own. Null where it is
-- of a release before; then the configuration's counts.
alter table fairlane_workers add column lease_ms integer;
