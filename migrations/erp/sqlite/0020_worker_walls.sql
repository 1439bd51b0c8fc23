-- SQLite has no row security: the tenant in every statement is its wall. The number is PostgreSQL's counterpart.
select 1;
