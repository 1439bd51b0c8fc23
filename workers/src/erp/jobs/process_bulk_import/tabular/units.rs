//! Steps through encoded text one character unit at a time, so that records can be split on raw bytes.
//!
//! Splitting only needs to tell ASCII signs (delimiter, quote, line ends) from everything else. In UTF-8 and
//! the single-byte encodings every ASCII byte is that sign. In Big5 and its kin the second byte of a character
//! may look like a backslash or a pipe, and in UTF-16 every sign has two bytes.

use encoding_rs::{BIG5, Encoding, GB18030, GBK, SHIFT_JIS, UTF_16BE, UTF_16LE};

/// The value reported for a unit that is not an ASCII character.
pub(super) const NOT_ASCII: u8 = 0xFF;

/// One step: the ASCII sign (or [`NOT_ASCII`]) and the bytes it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) sign: u8,
    pub(super) length: usize,
}

/// Reads units from raw bytes of one family of encodings.
pub(super) trait Units: Copy {
    /// The unit at `at`, or `None` when more bytes are needed to tell (never at the end of the file).
    fn unit(self, bytes: &[u8], at: usize, end_of_file: bool) -> Option<Unit>;

    /// The first position from `at` on whose sign is marked in `stops`, or the end of the whole units.
    fn find(self, bytes: &[u8], at: usize, stops: &[bool; 256]) -> usize {
        let mut at = at;
        while let Some(unit) = self.unit(bytes, at, false) {
            if stops[usize::from(unit.sign)] {
                break;
            }
            at += unit.length;
        }
        at
    }
}

/// How the bytes of an encoding make units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitFamily {
    /// Every byte below 0x80 is an ASCII sign.
    Bytes,
    /// A lead byte takes the next byte, whatever it looks like.
    LeadBytes(LeadBytes),
    /// Two bytes to a unit.
    Utf16(Utf16),
}

impl UnitFamily {
    pub(super) fn of(encoding: &'static Encoding) -> Self {
        if encoding == UTF_16LE {
            Self::Utf16(Utf16 { big_endian: false })
        } else if encoding == UTF_16BE {
            Self::Utf16(Utf16 { big_endian: true })
        } else if encoding == SHIFT_JIS {
            Self::LeadBytes(LeadBytes { half_width_katakana: true, four_bytes: false })
        } else if encoding == BIG5 {
            Self::LeadBytes(LeadBytes { half_width_katakana: false, four_bytes: false })
        } else if encoding == GBK || encoding == GB18030 {
            Self::LeadBytes(LeadBytes { half_width_katakana: false, four_bytes: true })
        } else {
            Self::Bytes
        }
    }
}

/// UTF-8 and every encoding whose non-ASCII characters never contain a splitting sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes;

impl Units for Bytes {
    #[inline]
    fn unit(self, bytes: &[u8], at: usize, _end_of_file: bool) -> Option<Unit> {
        bytes.get(at).map(|&byte| Unit { sign: if byte < 0x80 { byte } else { NOT_ASCII }, length: 1 })
    }

    #[inline]
    fn find(self, bytes: &[u8], at: usize, stops: &[bool; 256]) -> usize {
        bytes[at..].iter().position(|&byte| stops[usize::from(byte)]).map_or(bytes.len(), |found| at + found)
    }
}

/// Big5, Shift_JIS, GBK and GB18030.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeadBytes {
    half_width_katakana: bool,
    four_bytes: bool,
}

impl LeadBytes {
    fn is_lead(self, byte: u8) -> bool {
        match byte {
            0x81..=0x9F | 0xE0..=0xFC => true,
            0xA0..=0xDF | 0xFD..=0xFE => !self.half_width_katakana,
            _ => false,
        }
    }
}

impl Units for LeadBytes {
    fn unit(self, bytes: &[u8], at: usize, end_of_file: bool) -> Option<Unit> {
        let first = *bytes.get(at)?;
        if first < 0x80 {
            return Some(Unit { sign: first, length: 1 });
        }
        if !self.is_lead(first) {
            return Some(Unit { sign: NOT_ASCII, length: 1 });
        }
        let length = match bytes.get(at + 1) {
            None if end_of_file => 1,
            None => return None,
            Some(0x30..=0x39) if self.four_bytes => match (bytes.get(at + 2), bytes.get(at + 3)) {
                (Some(0x81..=0xFE), Some(0x30..=0x39)) => 4,
                (Some(0x81..=0xFE), None) | (None, _) if !end_of_file => return None,
                _ => 1,
            },
            // A second byte below 0x40 cannot belong to the character: a line end there stays a line end.
            Some(0x40..=0x7E | 0x80..=0xFE) => 2,
            Some(_) => 1,
        };
        Some(Unit { sign: NOT_ASCII, length })
    }
}

/// UTF-16 in either byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Utf16 {
    pub(super) big_endian: bool,
}

impl Units for Utf16 {
    fn unit(self, bytes: &[u8], at: usize, end_of_file: bool) -> Option<Unit> {
        match *bytes.get(at..)? {
            [] => None,
            [_] => end_of_file.then_some(Unit { sign: NOT_ASCII, length: 1 }),
            [first, second, ..] => {
                let (high, low) = if self.big_endian { (first, second) } else { (second, first) };
                let sign = if high == 0 && low < 0x80 { low } else { NOT_ASCII };
                Some(Unit { sign, length: 2 })
            }
        }
    }
}
