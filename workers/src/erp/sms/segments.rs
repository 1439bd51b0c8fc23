//! How many parts a text message has: each is paid for.

/// What a message comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// How many parts.
    pub count: usize,
    /// Whether it needs the wide alphabet (UCS-2), in which a part holds half as much.
    pub wide: bool,
}

/// The basic alphabet of GSM 03.38.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
    abcdefghijklmnopqrstuvwxyzäöñüà";
/// Behind an escape: they count twice.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How many parts a text has: 160 characters of the GSM alphabet, or 153 each of several; 70 or 67 of the wide one.
pub fn segments(text: &str) -> Segments {
    match text.chars().map(septets).sum::<Option<usize>>() {
        Some(septets) if septets <= 160 => Segments { count: 1, wide: false },
        Some(_) => Segments { count: parts(text, 153, |c| septets(c).unwrap_or_default()), wide: false },
        None if text.encode_utf16().count() <= 70 => Segments { count: 1, wide: true },
        None => Segments { count: parts(text, 67, char::len_utf16), wide: true },
    }
}

fn septets(c: char) -> Option<usize> {
    match c {
        c if BASIC.contains(c) => Some(1),
        c if EXTENDED.contains(c) => Some(2),
        _ => None,
    }
}

/// No character is split between two parts.
fn parts(text: &str, room: usize, size: impl Fn(char) -> usize) -> usize {
    let (mut count, mut used) = (1, 0);
    for c in text.chars() {
        let size = size(c);
        if used + size > room {
            (count, used) = (count + 1, 0);
        }
        used += size;
    }
    count
}

/// The text, cut so that it has at most so many parts; what is cut ends with dots.
pub fn fit(text: &str, most: usize) -> String {
    if segments(text).count <= most {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    // The longest beginning that fits; whatever is longer does not, so it is found by halving.
    let (mut fits, mut too_long) = (0, kept.len());
    while too_long - fits > 1 {
        let middle = usize::midpoint(fits, too_long);
        let candidate: String = kept.iter().take(middle).collect::<String>() + "...";
        if segments(&candidate).count <= most { fits = middle } else { too_long = middle }
    }
    kept.truncate(fits);
    kept.into_iter().collect::<String>() + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_as_networks_count_them() {
        let of = |text: &str| segments(text);
        let (narrow, wide) =
            (|count| Segments { count, wide: false }, |count| Segments { count, wide: true });
        assert_eq!(of(""), narrow(1));
        assert_eq!(
            (of(&"a".repeat(160)), of(&"a".repeat(161)), of(&"a".repeat(306))),
            (narrow(1), narrow(2), narrow(2))
        );
        assert_eq!(of(&"a".repeat(307)), narrow(3));
        assert_eq!((of(&"€".repeat(80)), of(&"€".repeat(81))), (narrow(1), narrow(2)), "each counts twice");
        // 153 is odd: the escape and its character stay together.
        assert_eq!(of(&"€".repeat(153)), narrow(3));
        assert_eq!(
            (of(&"ж".repeat(70)), of(&"ж".repeat(71)), of(&"ж".repeat(135))),
            (wide(1), wide(2), wide(3))
        );
        assert_eq!((of(&"😀".repeat(35)), of(&"😀".repeat(36))), (wide(1), wide(2)), "each is two units");
        assert_eq!(of("Größe 5 ñ @ £"), narrow(1));
    }

    #[test]
    fn a_long_text_is_cut_to_the_parts_that_are_allowed() {
        assert_eq!(fit("short", 1), "short");
        let cut = fit(&"a".repeat(500), 2);
        assert_eq!((segments(&cut).count, cut.len(), cut.ends_with("...")), (2, 306, true));
        assert_eq!(segments(&fit(&"😀".repeat(500), 3)).count, 3);
    }
}
