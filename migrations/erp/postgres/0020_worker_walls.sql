-- The tables of imports were open to fairlane_worker: a login of workers read and wrote every tenant's rows without naming
-- one. Like all other tables of the ERP they are now reached through a tenant's transaction alone (fairlane_app).
do $$
declare t text;
begin
    foreach t in array array['products', 'import_logs', 'import_errors', 'import_changes']
    loop
        execute format('drop policy if exists worker on %I', t);
        execute format('revoke all on %I from fairlane_worker', t);
    end loop;
end $$;
