//! Where a field's text lies in its record.

/// How the bytes of a field become its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum FieldKind {
    /// The bytes are the text.
    Plain,
    /// Quoted; the span leaves the quotes out and holds nothing to undo.
    Quoted,
    /// Quoted with escapes or text after the closing quote; the span starts behind the opening quote.
    Escaped,
}

/// One field, as offsets from the record's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Span {
    pub(in super::super) start: usize,
    pub(in super::super) end: usize,
    pub(in super::super) kind: FieldKind,
}
