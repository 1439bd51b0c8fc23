//! A page of its own: figures, charts, small tables, the rows with their totals, and what has to be known to read them.
//!
//! It needs nothing from elsewhere and runs nothing: it can be mailed, kept and printed.

use std::io::Write;

use super::super::error::Result;
use super::super::summary::Section;
use super::super::table::{Cell, Column, Kind};
use super::super::{Made, ReportType};
use super::{chart, rows};

/// Rows of a page; who wants more calculates with them, in another format.
const MOST_ROWS: u64 = 5000;

const STYLE: &str = include_str!("page.css");

pub(super) fn write(made: &Made, out: &mut impl Write, stop: &dyn Fn() -> bool) -> Result<()> {
    head(made, out)?;
    facts(made, out)?;
    for one in &made.summary.charts {
        if let Some(svg) = chart::svg(one, made.meta.decimals) {
            writeln!(out, "<figure><figcaption>{}</figcaption>\n{svg}</figure>", escape(&one.title))?;
        }
    }
    for section in &made.summary.sections {
        small(made, section, out)?;
    }
    table(made, out, stop)?;
    notes(made, out)?;
    out.write_all(b"</main>\n</body>\n</html>\n")?;
    Ok(())
}

fn title(report: ReportType) -> &'static str {
    match report {
        ReportType::Sales => "Sales",
        ReportType::Inventory => "Inventory",
        ReportType::Financial => "Finance",
        ReportType::Customer => "Customers",
        ReportType::Procurement => "Procurement",
    }
}

fn head(made: &Made, out: &mut impl Write) -> Result<()> {
    let (meta, range) = (&made.meta, &made.meta.parameters.range);
    let by = meta.parameters.by.map(|by| format!(" by {}", by.as_str())).unwrap_or_default();
    let name = format!("{}{by}", title(meta.parameters.report));
    let period = match range.from == range.to {
        true => range.from.to_string(),
        false => format!("{} to {}", range.from, range.to),
    };
    let taken = meta.taken_at.with_timezone(&range.zone).format("%Y-%m-%d %H:%M");
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title} · {period} · {tenant}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n\
         <p class=\"tenant\">{tenant}</p>\n<h1>{title}</h1>\n\
         <p class=\"period\">{period} <span>days of {zone} · amounts in {currency} · as of {taken}</span></p>\n</header>\n",
        title = escape(&name),
        tenant = escape(&meta.tenant),
        period = escape(&period),
        zone = escape(range.zone.name()),
        currency = escape(&meta.currency),
    )?;
    Ok(())
}

fn facts(made: &Made, out: &mut impl Write) -> Result<()> {
    if made.summary.facts.is_empty() {
        return Ok(());
    }
    out.write_all(b"<dl class=\"facts\">\n")?;
    for fact in &made.summary.facts {
        let value = shown(&fact.cell, fact.kind, made.meta.decimals).unwrap_or_else(|| "–".to_owned());
        writeln!(out, "<div><dt>{}</dt><dd>{value}</dd></div>", escape(fact.title))?;
    }
    out.write_all(b"</dl>\n")?;
    Ok(())
}

fn small(made: &Made, section: &Section, out: &mut impl Write) -> Result<()> {
    writeln!(out, "<section>\n<h2>{}</h2>\n<div class=\"wide\"><table>", escape(section.title))?;
    headings(&section.columns, out)?;
    out.write_all(b"<tbody>\n")?;
    if section.rows.is_empty() {
        writeln!(out, "<tr><td class=\"none\" colspan=\"{}\">nothing</td></tr>", section.columns.len())?;
    }
    for row in &section.rows {
        cells(&section.columns, row, made.meta.decimals, out)?;
    }
    out.write_all(b"</tbody>\n</table></div>\n</section>\n")?;
    Ok(())
}

fn table(made: &Made, out: &mut impl Write, stop: &dyn Fn() -> bool) -> Result<()> {
    let table = &made.table;
    out.write_all(b"<section>\n<h2>Rows</h2>\n<div class=\"wide\"><table>\n")?;
    headings(&table.columns, out)?;
    out.write_all(b"<tbody>\n")?;
    for row in rows(made, stop)?.take(usize::try_from(MOST_ROWS).unwrap_or(usize::MAX)) {
        cells(&table.columns, &row?, made.meta.decimals, out)?;
    }
    if table.rows == 0 {
        writeln!(
            out,
            "<tr><td class=\"none\" colspan=\"{}\">nothing in this period</td></tr>",
            table.columns.len()
        )?;
    }
    out.write_all(b"</tbody>\n<tfoot>\n")?;
    let mut totals = table.totals.clone();
    if let Some(first) = totals.first_mut().filter(|first| **first == Cell::Empty) {
        *first = Cell::Text("Total".into());
    }
    cells(&table.columns, &totals, made.meta.decimals, out)?;
    out.write_all(b"</tfoot>\n</table></div>\n")?;
    if table.rows > MOST_ROWS {
        writeln!(
            out,
            "<p class=\"more\">The first {} of {} rows; the totals are those of all. Ask for csv or xlsx to have all rows.</p>",
            grouped(&MOST_ROWS.to_string()),
            grouped(&table.rows.to_string())
        )?;
    }
    out.write_all(b"</section>\n")?;
    Ok(())
}

fn headings(columns: &[Column], out: &mut impl Write) -> Result<()> {
    out.write_all(b"<thead><tr>")?;
    for column in columns {
        let class = if column.kind.is_number() { " class=\"number\"" } else { "" };
        write!(out, "<th scope=\"col\"{class}>{}</th>", escape(column.title))?;
    }
    out.write_all(b"</tr></thead>\n")?;
    Ok(())
}

fn cells(columns: &[Column], row: &[Cell], decimals: u32, out: &mut impl Write) -> Result<()> {
    out.write_all(b"<tr>")?;
    for (column, cell) in columns.iter().zip(row) {
        let below = cell.as_number().is_some_and(|number| number.is_sign_negative() && !number.is_zero());
        let class = match (column.kind, below) {
            (Kind::Date, _) => " class=\"date\"",
            (kind, true) if kind.is_number() => " class=\"number less\"",
            (kind, false) if kind.is_number() => " class=\"number\"",
            _ => "",
        };
        write!(out, "<td{class}>{}</td>", shown(cell, column.kind, decimals).unwrap_or_default())?;
    }
    out.write_all(b"</tr>\n")?;
    Ok(())
}

fn notes(made: &Made, out: &mut impl Write) -> Result<()> {
    out.write_all(b"<footer>\n")?;
    for note in &made.summary.notes {
        writeln!(out, "<p>{}</p>", escape(note))?;
    }
    let range = &made.meta.parameters.range;
    writeln!(
        out,
        "<p>From {} to {} (UTC), read from one state of the database: {} rows.</p>\n</footer>",
        range.start.format("%Y-%m-%d %H:%M:%S"),
        range.end.format("%Y-%m-%d %H:%M:%S"),
        grouped(&made.read.to_string())
    )?;
    Ok(())
}

fn shown(cell: &Cell, kind: Kind, decimals: u32) -> Option<String> {
    let text = cell.plain(kind, decimals)?;
    Some(match cell {
        Cell::Integer(_) | Cell::Number(_) => grouped(&text),
        _ => escape(&text),
    })
}

/// A number for people: a comma before every third digit, and a minus that is as wide as a digit.
pub(super) fn grouped(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", number),
    };
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// Words as HTML shows them, and obeys none of them.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Neither control characters nor marks that turn the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_words_obeyed_by_nobody() {
        let numbers = ["0", "123", "1234.5", "-1234567.89"].map(grouped);
        assert_eq!(numbers, ["0", "123", "1,234.5", "\u{2212}1,234,567.89"]);
        assert_eq!(
            escape("<img src=x onerror='1'>\u{202e}&\n"),
            "&lt;img src=x onerror=&#39;1&#39;&gt;&amp; "
        );
    }
}
