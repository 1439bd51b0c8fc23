//! Finds out in which encoding a file is written.
//!
//! In this order: a byte order mark; UTF-16 by its pattern of NUL bytes; UTF-8; a legacy encoding by
//! statistics. A head of plain ASCII says nothing, so detection reads on to the first other byte: a file whose
//! first accent stands in row 20,000 is detected by that accent. A file that is UTF-8 but for a few damaged
//! bytes stays UTF-8 (those rows are refused one by one): reading it as windows-1252 would garble every other
//! row without a word.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, MACINTOSH, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Serialize};

use super::error::TabularError;

/// How many bytes detection looks at, from the start or from the first non-ASCII byte.
pub const SAMPLE_BYTES: usize = 256 * 1024;

/// An encoding that files can be read in; written and parsed by its lower-case WHATWG name.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// UTF-8.
    pub const UTF_8: Self = Self(UTF_8);

    /// The encoding as `encoding_rs` knows it.
    pub fn get(self) -> &'static Encoding {
        self.0
    }

    /// The name for people and settings, for example `windows-1252`.
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }
}

impl FromStr for TextEncoding {
    type Err = TabularError;

    /// Accepts every label of the WHATWG standard; `iso-8859-1` and `latin1` mean windows-1252, as everywhere.
    fn from_str(label: &str) -> Result<Self, Self::Err> {
        let unknown = || TabularError::UnknownEncoding { label: label.to_owned() };
        let known = label.trim().to_ascii_lowercase();
        if matches!(known.as_str(), "macroman" | "mac-roman" | "macos-roman") {
            return Ok(Self(MACINTOSH));
        }
        let encoding = Encoding::for_label(known.as_bytes()).ok_or_else(unknown)?;
        // ISO-2022-JP shifts state, the other two are placeholders: none can be split or decoded by field.
        match encoding.name() {
            "ISO-2022-JP" | "replacement" | "x-user-defined" => Err(unknown()),
            _ => Ok(Self(encoding)),
        }
    }
}

impl TryFrom<String> for TextEncoding {
    type Error = TabularError;

    fn try_from(label: String) -> Result<Self, Self::Error> {
        label.parse()
    }
}

impl From<TextEncoding> for String {
    fn from(encoding: TextEncoding) -> Self {
        encoding.name()
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name())
    }
}

impl fmt::Debug for TextEncoding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TextEncoding({})", self.name())
    }
}

/// The encoding a byte order mark announces, and the mark's length.
pub fn byte_order_mark(head: &[u8]) -> Option<(TextEncoding, usize)> {
    Encoding::for_bom(head).map(|(encoding, length)| (TextEncoding(encoding), length))
}

/// Detects the encoding of `source` and leaves it at an unspecified position.
pub fn detect<R: Read + Seek>(source: &mut R) -> Result<TextEncoding, TabularError> {
    source.seek(SeekFrom::Start(0))?;
    let (head, cut) = read_sample(source, SAMPLE_BYTES)?;
    refuse_binary(&head)?;
    if let Some((encoding, _)) = byte_order_mark(&head) {
        return Ok(encoding);
    }
    if let Some(encoding) = utf16_by_nul_pattern(&head) {
        return Ok(encoding);
    }
    if !head.is_ascii() {
        return Ok(detect_in(&head, cut));
    }
    let mut more = cut;
    while more {
        let (mut sample, cut) = read_sample(source, SAMPLE_BYTES)?;
        if !sample.is_ascii() {
            let (rest, cut) = read_sample(source, SAMPLE_BYTES)?;
            sample.extend(rest);
            return Ok(detect_in(&sample, cut));
        }
        more = cut;
    }
    Ok(TextEncoding::UTF_8)
}

/// Detects the encoding of a sample that holds non-ASCII bytes; `cut` when the file goes on behind it.
fn detect_in(sample: &[u8], cut: bool) -> TextEncoding {
    if is_utf8(sample, cut) {
        return TextEncoding::UTF_8;
    }
    if looks_like_macintosh(sample) {
        return TextEncoding(MACINTOSH);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, !cut);
    TextEncoding(detector.guess(None, Utf8Detection::Deny))
}

/// Reads up to `limit` bytes; the flag says that the file may go on.
fn read_sample<R: Read>(source: &mut R, limit: usize) -> Result<(Vec<u8>, bool), TabularError> {
    let mut sample = Vec::new();
    source.take(limit as u64).read_to_end(&mut sample)?;
    let cut = sample.len() == limit;
    Ok((sample, cut))
}

/// Names the binary formats that people take for CSV files.
fn refuse_binary(head: &[u8]) -> Result<(), TabularError> {
    const KNOWN: [(&[u8], &str); 7] = [
        (b"PK\x03\x04", "an Excel workbook or another zip archive"),
        (b"\xD0\xCF\x11\xE0", "an old Excel workbook"),
        (b"\x1F\x8B", "compressed with gzip"),
        (b"\x28\xB5\x2F\xFD", "compressed with zstd"),
        (b"%PDF-", "a PDF document"),
        (b"\xFF\xFE\x00\x00", "UTF-32 text"),
        (b"\x00\x00\xFE\xFF", "UTF-32 text"),
    ];
    match KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, found)) => Err(TabularError::NotText { found }),
        None => Ok(()),
    }
}

/// Text in UTF-16 has a NUL beside every ASCII sign, always on the same side.
fn utf16_by_nul_pattern(head: &[u8]) -> Option<TextEncoding> {
    let units = head.len() / 2;
    let (mut first, mut second) = (0_usize, 0_usize);
    for pair in head.chunks_exact(2) {
        first += usize::from(pair[0] == 0 && (1..0x80).contains(&pair[1]));
        second += usize::from(pair[1] == 0 && (1..0x80).contains(&pair[0]));
    }
    let enough = units.div_ceil(10).max(2);
    let encoding = if second >= enough && first * 3 <= second {
        UTF_16LE
    } else if first >= enough && second * 3 <= first {
        UTF_16BE
    } else {
        return None;
    };
    let whole = &head[..units * 2];
    let (_, malformed) = encoding.decode_without_bom_handling(whole);
    // Eight-bit text with a few NUL bytes would decode too, but its NULs are rare; half is the mark of Latin text.
    let many = first.max(second) * 3 >= units;
    (many || !malformed).then_some(TextEncoding(encoding))
}

/// Whether a sample is UTF-8: wholly, but for a character cut at its end, or but for a few damaged bytes.
fn is_utf8(sample: &[u8], cut: bool) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    let mut chunks = sample.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        good += chunk.valid().chars().filter(|sign| !sign.is_ascii()).count();
        let invalid = chunk.invalid();
        let cut_character = cut
            && chunks.peek().is_none()
            && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if !invalid.is_empty() && !cut_character {
            bad += invalid.len();
        }
    }
    bad == 0 || good >= bad
}

/// MacRoman by its two marks: lines that end with CR alone, and letters where windows-1252 has punctuation.
fn looks_like_macintosh(sample: &[u8]) -> bool {
    if sample.contains(&b'\n') || !sample.contains(&b'\r') {
        return false;
    }
    let (mut mac, mut windows) = (0_usize, 0_usize);
    for pair in sample.windows(2) {
        if !pair[0].is_ascii_alphabetic() {
            continue;
        }
        match pair[1] {
            // In windows-1252 this is the apostrophe, which stands between letters too.
            0x92 => {}
            0x80..=0x9F => mac += 1,
            0xC0..=0xFF => windows += 1,
            _ => {}
        }
    }
    mac > windows
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn detected(bytes: &[u8]) -> String {
        detect(&mut Cursor::new(bytes)).unwrap().name()
    }

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_character_cut_at_the_end_of_the_sample_does_not_make_the_file_legacy() {
        let mut bytes = vec![b'a'; SAMPLE_BYTES - 1];
        bytes.extend("é,é\n".as_bytes());
        bytes[10] = 0xC3;
        bytes[11] = 0xA9;
        assert_eq!(detected(&bytes), "utf-8");
    }

    #[test]
    fn the_first_accent_behind_the_sample_still_decides() {
        let mut bytes = b"name,price\n".repeat(60_000);
        bytes.extend(b"caf\xE9 cr\xE8me,1\nd\xE9j\xE0 vu,2\n");
        assert_eq!(detected(&bytes), "windows-1252");
        let mut bytes = b"name,price\n".repeat(60_000);
        bytes.extend("café crème,1\n".as_bytes());
        assert_eq!(detected(&bytes), "utf-8");
    }

    #[test]
    fn one_damaged_byte_does_not_garble_a_utf8_file() {
        assert_eq!(detected(b"name\ncaf\xC3\xA9\ncr\xC3\xA8me\nbad\xFF\n"), "utf-8");
    }

    #[test]
    fn utf16_without_a_mark_is_seen_by_its_nul_bytes() {
        assert_eq!(detected(&utf16le("name,price\nBolt,1\n")), "utf-16le");
        let big: Vec<u8> = "name,price\n名前,1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(detected(&big), "utf-16be");
        assert_eq!(
            detected(&utf16le("名前,価格\n東京都千代田区丸の内,一\n大阪府大阪市北区梅田,二\n")),
            "utf-16le"
        );
    }

    #[test]
    fn nul_bytes_in_an_eight_bit_file_are_not_utf16() {
        assert_eq!(detected(b"name,price\nBo\x00lt,1\nNut\x00,2\n\x00\x00\x00\x00\n"), "utf-8");
    }

    #[test]
    fn big5_and_shift_jis_are_told_by_statistics() {
        let text =
            "產品名稱,價格,說明\n功能許可,一百元,這是一個很好的產品說明文字\n蓋子,二十元,許多功能的組合\n";
        let (bytes, _, _) = encoding_rs::BIG5.encode(text);
        assert_eq!(detected(&bytes), "big5");
        let text =
            "商品名,価格,説明\n表示機能ソフト,100,これは非常に良い製品です\nテスト,200,ひらがなとカタカナ\n";
        let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(text);
        assert_eq!(detected(&bytes), "shift_jis");
    }

    #[test]
    fn carriage_returns_and_accents_in_the_c1_range_mean_macintosh() {
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode("nom,prix\rcafé,1\rcrème,2\r");
        assert_eq!(detected(&bytes), "windows-1252");
        assert_eq!(detected(b"nom,prix\rcaf\x8E,1\rcr\x8Fme,2\rh\x99tel,3\r"), "macintosh");
    }

    #[test]
    fn a_workbook_is_refused_by_name() {
        let error = detect(&mut Cursor::new(b"PK\x03\x04rest")).unwrap_err();
        assert_eq!(error.code(), "not_text");
        assert!(error.to_string().contains("Excel"), "{error}");
    }

    #[test]
    fn labels_of_the_standard_are_accepted_and_others_named() {
        assert_eq!("ISO-8859-1".parse::<TextEncoding>().unwrap().name(), "windows-1252");
        assert_eq!("MacRoman".parse::<TextEncoding>().unwrap().name(), "macintosh");
        for label in ["ebcdic", "iso-2022-jp", ""] {
            assert_eq!(label.parse::<TextEncoding>().unwrap_err().code(), "unknown_encoding");
        }
    }
}
