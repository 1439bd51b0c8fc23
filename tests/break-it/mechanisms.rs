//! What `mechanisms.txt` says.

use crate::Res;

/// How a change gets into the copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The source text becomes a switch between two expressions.
    Code,
    /// The SQL text is changed when it is run.
    Statement,
}

pub(crate) struct Change {
    pub(crate) how: How,
    pub(crate) file: String,
    pub(crate) on: String,
    pub(crate) off: String,
}

pub(crate) struct Mechanism {
    pub(crate) name: String,
    pub(crate) guards: String,
    pub(crate) target: String,
    pub(crate) test: String,
    pub(crate) changes: Vec<Change>,
}

/// `## name`, `guards:`, `test: TARGET PATH`, then pairs of `--- code|statement FILE` and `--- off` with their texts.
pub(crate) fn parse(text: &str) -> Res<Vec<Mechanism>> {
    let mut all: Vec<Mechanism> = Vec::new();
    let mut into_off = None;
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("mechanisms.txt, line {}: \"{line}\" is out of place", number + 1);
        if let Some(name) = line.strip_prefix("## ") {
            into_off = None;
            all.push(Mechanism {
                name: name.into(),
                guards: String::new(),
                target: String::new(),
                test: String::new(),
                changes: Vec::new(),
            });
            continue;
        }
        let Some(it) = all.last_mut() else { continue };
        if let Some(header) = line.strip_prefix("--- ") {
            if header == "off" {
                into_off = Some(true);
                continue;
            }
            let (how, file) = header.split_once(' ').ok_or_else(wrong)?;
            let how = if how == "code" { How::Code } else { How::Statement };
            it.changes.push(Change { how, file: file.into(), on: String::new(), off: String::new() });
            into_off = Some(false);
        } else if let (Some(off), Some(change)) = (into_off, it.changes.last_mut()) {
            let text = if off { &mut change.off } else { &mut change.on };
            text.push_str(line);
            text.push('\n');
        } else if let Some(guards) = line.strip_prefix("guards: ") {
            it.guards = guards.into();
        } else if let Some(test) = line.strip_prefix("test: ") {
            let (target, test) = test.split_once(' ').ok_or_else(wrong)?;
            (it.target, it.test) = (target.into(), test.into());
        } else if !line.is_empty() {
            return Err(wrong());
        }
    }
    for change in all.iter_mut().flat_map(|it| &mut it.changes) {
        change.on = change.on.trim_end_matches('\n').to_owned();
        change.off = change.off.trim_end_matches('\n').to_owned();
    }
    Ok(all)
}
