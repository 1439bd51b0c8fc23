//! Charts as SVG: bars by time, and the largest. Without scripts; every bar says its number to who points at it.

use std::fmt::Write;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::summary::{Chart, ChartKind};
use super::html::{escape, grouped};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 280.0;
/// Room for the numbers on the left, and for the names below.
const LEFT: f64 = 84.0;
const BELOW: f64 = 34.0;
const ABOVE: f64 = 12.0;
/// Names below the bars, at most.
const NAMES: usize = 12;
/// Room for the names of lying bars, and the height of each.
const SIDE: f64 = 300.0;
const ROW: f64 = 26.0;
/// The longest name that fits there.
const LONGEST: usize = 40;

/// The chart, or nothing where it has nothing to show.
pub(super) fn svg(chart: &Chart, decimals: u32) -> Option<String> {
    if chart.bars.iter().all(|(_, size)| size.is_zero()) {
        return None;
    }
    Some(match chart.kind {
        ChartKind::Time => upright(chart, decimals),
        ChartKind::Top => lying(chart, decimals),
    })
}

fn size(number: Decimal) -> f64 {
    number.to_f64().unwrap_or_default()
}

/// A number for people, with the currency's decimals at least.
fn shown(number: Decimal, decimals: u32) -> String {
    grouped(
        &super::super::table::Cell::Number(number)
            .plain(super::super::table::Kind::Money, decimals)
            .unwrap_or_default(),
    )
}

/// The step of a scale with about five lines: 1, 2 or 5 and zeros.
fn step(span: f64) -> f64 {
    let rough = span / 5.0;
    if rough <= 0.0 || !rough.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power)
}

fn label(number: f64) -> String {
    let text = if number.fract().abs() < 1e-9 { format!("{number:.0}") } else { format!("{number:.2}") };
    grouped(&text)
}

fn upright(chart: &Chart, decimals: u32) -> String {
    let sizes: Vec<f64> = chart.bars.iter().map(|(_, number)| size(*number)).collect();
    let (least, most) =
        sizes.iter().fold((0f64, 0f64), |(least, most), size| (least.min(*size), most.max(*size)));
    let step = step(most - least);
    let (bottom, top) = ((least / step).floor() * step, (most / step).ceil() * step);
    let plot = HEIGHT - ABOVE - BELOW;
    let y = |number: f64| ABOVE + plot * (top - number) / (top - bottom).max(f64::MIN_POSITIVE);
    let mut svg = open(&chart.title, HEIGHT);
    let lines = ((top - bottom) / step).round().to_usize().unwrap_or_default().min(20);
    for at in 0..=lines {
        let number = bottom + step * at.to_f64().unwrap_or_default();
        let line = y(number);
        let class = if number.abs() < step / 1e6 { "zero" } else { "grid" };
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{line:.1}\" x2=\"{WIDTH}\" y2=\"{line:.1}\"/>\
             <text class=\"scale\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            line + 4.0,
            label(number)
        );
    }
    let room = (WIDTH - LEFT) / sizes.len().to_f64().unwrap_or(1.0);
    let every = sizes.len().div_ceil(NAMES).max(1);
    for (at, ((name, number), size)) in chart.bars.iter().zip(&sizes).enumerate() {
        let left = LEFT + room * at.to_f64().unwrap_or_default();
        let (from, to) = (y(size.max(0.0)), y(size.min(0.0)));
        let class = if *size < 0.0 { "bar less" } else { "bar" };
        let gap = (room * 0.18).min(14.0);
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{:.2}\" y=\"{from:.2}\" width=\"{:.2}\" height=\"{:.2}\" rx=\"{:.1}\">\
             <title>{}: {}</title></rect>",
            left + gap / 2.0,
            (room - gap).max(0.5),
            (to - from).max(0.0),
            if room > 12.0 { 2.0 } else { 0.0 },
            escape(name),
            shown(*number, decimals)
        );
        if at % every == 0 {
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                left + room / 2.0,
                HEIGHT - 12.0,
                escape(name)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn lying(chart: &Chart, decimals: u32) -> String {
    let height = ROW * chart.bars.len().to_f64().unwrap_or_default() + 8.0;
    let most = chart.bars.iter().map(|(_, number)| size(*number)).fold(0f64, f64::max).max(f64::MIN_POSITIVE);
    // The number stands behind its bar.
    let room = WIDTH - SIDE - 130.0;
    let mut svg = open(&chart.title, height);
    for (at, (name, number)) in chart.bars.iter().enumerate() {
        let top = ROW * at.to_f64().unwrap_or_default() + 4.0;
        let width = (room * size(*number) / most).max(1.0);
        let _ = writeln!(
            svg,
            "<text class=\"side\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"bar\" x=\"{SIDE}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"{:.1}\" rx=\"2\">\
             <title>{}: {}</title></rect><text class=\"size\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            SIDE - 10.0,
            top + 15.0,
            escape(&shortened(name)),
            top + 3.0,
            ROW - 8.0,
            escape(name),
            shown(*number, decimals),
            SIDE + width + 8.0,
            top + 15.0,
            shown(*number, decimals)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", name.get(..at).unwrap_or(name).trim_end()),
        None => name.to_owned(),
    }
}

fn open(title: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">\n",
        escape(title)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(kind: ChartKind, bars: &[(&str, i64)]) -> Chart {
        let bars = bars.iter().map(|(name, size)| ((*name).to_owned(), Decimal::from(*size))).collect();
        Chart { title: "Net <b>".into(), kind, bars }
    }

    #[test]
    fn a_chart_escapes_its_names_and_shows_losses_below_the_line() {
        let svg = svg(&chart(ChartKind::Time, &[("<script>", 120), ("b", -30)]), 2).unwrap();
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;: 120.00"));
        assert!(svg.contains("class=\"bar less\"") && svg.contains("class=\"zero\""));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_chart_of_nothing_is_left_out_and_a_scale_has_round_numbers() {
        assert_eq!(svg(&chart(ChartKind::Top, &[("a", 0)]), 2), None);
        assert_eq!([step(58_635.0), step(1.0), step(7.0), step(0.0)], [20_000.0, 0.2, 2.0, 1.0]);
        assert_eq!(shortened(&"ä".repeat(50)).chars().count(), LONGEST + 1);
    }
}
