-- A product's ledger is locked before its first movement has a number: a reservation may come first.
alter table stock_ledgers drop constraint stock_ledgers_last_seq_check;
alter table stock_ledgers add constraint stock_ledgers_last_seq_check check (last_seq >= 0);
