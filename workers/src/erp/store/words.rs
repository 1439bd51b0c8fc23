//! Columns that hold one of a few words.

/// The word of each value of a type, and back; what else stands in the database is damaged.
macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident => $word:literal),+ $(,)?) => {
        impl $type {
            /// The word in the database and in output.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = ::fairlane::Error;

            fn from_str(word: &str) -> ::fairlane::Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(::fairlane::Error::Damaged(format!(concat!("\"{}\" is no ", $what), word))),
                }
            }
        }
    };
}

pub(in crate::erp::store) use words;
