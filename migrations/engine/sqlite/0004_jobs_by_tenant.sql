-- Nothing to do: SQLite keeps no dead rows, and its key (tenant_id, id) is part of the table.
select 1;
