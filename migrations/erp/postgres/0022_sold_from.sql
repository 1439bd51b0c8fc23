-- The code of the location that the order's line names for goods that come back: a return takes away from the sales of that
-- place, wherever the goods are put.
alter table sales_return_lines add column sold_from text check (sold_from <> '');
