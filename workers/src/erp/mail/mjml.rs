//! From MJML to the HTML that mail programs show.

use std::collections::HashMap;

use mrml::prelude::parser::ParserOptions;
use mrml::prelude::render::RenderOptions;

/// Longest MJML taken.
const LONGEST: usize = 512 * 1024;

/// Deepest nesting taken: the parser descends by recursion, and a stack that overflows would end the worker.
const DEEPEST: usize = 64;

/// Elements of HTML that have no end.
const WITHOUT_END: [&str; 11] =
    ["area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"];

/// The HTML of an MJML document; nothing is fetched or included, and the HTML names no fonts of others.
pub(super) fn to_html(mjml: &str) -> Result<String, String> {
    if mjml.len() > LONGEST {
        return Err(format!("it has {} bytes, {LONGEST} are allowed", mjml.len()));
    }
    if depth(mjml) > DEEPEST {
        return Err(format!("its elements are nested more than {DEEPEST} deep"));
    }
    // The default loader of includes finds nothing.
    let document =
        mrml::parse_with_options(mjml, &ParserOptions::default()).map_err(|why| explain(&why, mjml))?;
    let options = RenderOptions { fonts: HashMap::new(), disable_comments: true, ..RenderOptions::default() };
    let html = document.element.render(&options).map_err(|why| why.to_string())?;
    match unknown_element(&html) {
        Some(name) => Err(format!("MJML has no element \"{name}\"")),
        None => Ok(html),
    }
}

/// An element of MJML that was misspelt is left in the HTML, where no mail program knows it.
fn unknown_element(html: &str) -> Option<String> {
    let rest = html.split("<mj-").nth(1)?;
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    Some(format!("mj-{name}"))
}

/// The error with the line it points to, and its causes.
fn explain(error: &mrml::prelude::parser::Error, mjml: &str) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    // The parser tells bytes, people count lines.
    let place = text.split("position ").nth(1).and_then(|rest| {
        rest.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse::<usize>().ok()
    });
    match place.and_then(|byte| mjml.get(..byte)) {
        Some(before) => format!("{text} (line {})", before.matches('\n').count() + 1),
        None => text,
    }
}

/// How deep elements are nested, at most: a rough count that never says too little. An end that fits nothing ends nothing.
fn depth(mjml: &str) -> usize {
    let mut open: Vec<String> = Vec::new();
    let mut deepest = 0;
    let mut rest = mjml;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, behind)| behind);
            continue;
        }
        let end = end_of_tag(after);
        let (tag, behind) = (&after[..end], &after[end..]);
        rest = behind;
        let name_of = |text: &str| -> String {
            let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
            text.chars().take_while(plain).collect::<String>().to_ascii_lowercase()
        };
        if let Some(ended) = tag.strip_prefix('/') {
            if open.last().is_some_and(|last| *last == name_of(ended)) {
                open.pop();
            }
            continue;
        }
        let name = name_of(tag);
        if name.is_empty() || tag.ends_with('/') || WITHOUT_END.contains(&name.as_str()) {
            continue;
        }
        open.push(name);
        deepest = deepest.max(open.len());
    }
    deepest
}

/// Where a tag ends: at the first `>` that is not between quotes.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '>' => return at,
            None => {}
        }
    }
    tag.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> String {
        format!(
            "<mjml>\n<mj-body>\n<mj-section><mj-column><mj-text>{body}</mj-text></mj-column></mj-section>\n</mj-body>\n</mjml>"
        )
    }

    #[test]
    fn mjml_becomes_html_that_fetches_nothing_from_others() {
        let html = to_html(&page("Hello")).unwrap();
        assert!(html.contains("Hello") && html.contains("<html") && html.contains("max-width"), "{html}");
        for foreign in ["googleapis", "@import", "<script", "<link"] {
            assert!(!html.contains(foreign), "{foreign} in {html}");
        }
    }

    #[test]
    fn what_is_no_mjml_is_told_by_name_and_includes_are_refused() {
        let why = to_html("<mjml>\n<mj-body>\n<mj-nonsense/>\n</mj-body></mjml>").unwrap_err();
        assert_eq!(why, "MJML has no element \"mj-nonsense\"");
        let why = to_html("<mjml>\n<mj-body>\n<mj-text>x\n</mj-body></mjml>").unwrap_err();
        assert!(why.contains("unexpected end"), "{why}");
        assert!(to_html("<mjml><mj-body><mj-include path=\"/etc/passwd\" /></mj-body></mjml>").is_err());
        assert!(to_html("Hello").is_err() && to_html("").is_err());
    }

    #[test]
    fn nesting_without_end_is_refused_and_long_texts_are_not() {
        let deep = page(&"<div>".repeat(100_000));
        assert!(to_html(&deep).unwrap_err().contains("nested"));
        for hidden in ["<div></p>", "<div><!--</div>-->", "<div a='</div>'>"] {
            assert!(to_html(&page(&hidden.repeat(20_000))).unwrap_err().contains("nested"), "{hidden}");
        }
        let within = DEEPEST - 5;
        let nested = format!("{}x{}", "<div>".repeat(within), "</div>".repeat(within));
        assert!(to_html(&page(&nested)).is_ok());
        assert!(to_html(&page(&"a<br>b<br/>".repeat(2000))).is_ok());
        assert!(to_html(&page(&"x".repeat(LONGEST))).unwrap_err().contains("bytes"));
    }
}
