//! `{meta, parameters, columns, rows, totals, summary, sections, notes}`; amounts are texts, so that none is rounded.

use std::io::Write;

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::super::Made;
use super::super::error::Result;
use super::super::table::{Cell, Column};
use super::rows;

pub(super) fn write(made: &Made, out: &mut impl Write, stop: &dyn Fn() -> bool) -> Result<()> {
    let (meta, table, summary) = (&made.meta, &made.table, &made.summary);
    let (parameters, range) = (&meta.parameters, &meta.parameters.range);
    let instant = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let about = json!({
        "schema": "fairlane.report/1", "tenant": meta.tenant, "report": parameters.report.as_str(),
        "currency": meta.currency, "decimals": meta.decimals, "rows": table.rows, "taken_at": instant(meta.taken_at),
    });
    let asked = json!({
        "from": range.from, "to": range.to, "zone": range.zone.name(), "start": instant(range.start),
        "end": instant(range.end), "by": parameters.by.map(|by| by.as_str()),
    });
    write!(
        out,
        "{{\n\"meta\": {about},\n\"parameters\": {asked},\n\"columns\": {},\n\"rows\": [",
        columns(&table.columns)
    )?;
    for (at, row) in rows(made, stop)?.enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        object(out, &table.columns, &row?, meta.decimals)?;
    }
    out.write_all(b"\n],\n\"totals\": ")?;
    object(out, &table.columns, &table.totals, meta.decimals)?;
    let facts: serde_json::Map<String, Value> = summary
        .facts
        .iter()
        .map(|fact| {
            (
                fact.name.to_owned(),
                value(&fact.cell, &Column::new(fact.name, fact.title, fact.kind), meta.decimals),
            )
        })
        .collect();
    write!(out, ",\n\"summary\": {},\n\"sections\": {{", Value::Object(facts))?;
    for (at, section) in summary.sections.iter().enumerate() {
        write!(out, "{}\n\"{}\": [", if at == 0 { "" } else { "," }, section.name)?;
        for (at, row) in section.rows.iter().enumerate() {
            out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            object(out, &section.columns, row, meta.decimals)?;
        }
        out.write_all(b"\n]")?;
    }
    writeln!(out, "\n}},\n\"notes\": {}\n}}", json!(summary.notes))?;
    Ok(())
}

fn columns(columns: &[Column]) -> Value {
    let column =
        |column: &Column| json!({ "name": column.name, "title": column.title, "kind": column.kind.as_str() });
    columns.iter().map(column).collect()
}

/// By hand, because the order of the columns is the order of the fields.
fn object(out: &mut impl Write, columns: &[Column], cells: &[Cell], decimals: u32) -> Result<()> {
    out.write_all(b"{")?;
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        write!(out, "{}\"{}\": ", if at == 0 { "" } else { ", " }, column.name)?;
        serde_json::to_writer(&mut *out, &value(cell, column, decimals))?;
    }
    out.write_all(b"}")?;
    Ok(())
}

fn value(cell: &Cell, column: &Column, decimals: u32) -> Value {
    match cell {
        Cell::Integer(number) => Value::from(*number),
        cell => cell.plain(column.kind, decimals).map_or(Value::Null, Value::from),
    }
}
