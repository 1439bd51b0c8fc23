//! The address of a database, with a password nobody prints.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The address of a database; `Display` and `Debug` show `***` for its password.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// Accepts `sqlite:` and `postgres://` (or `postgresql://`) addresses.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':')?;
        let known = match scheme {
            "sqlite" => !rest.trim_start_matches('/').is_empty(),
            "postgres" | "postgresql" => rest.len() > 2 && rest.starts_with("//"),
            _ => false,
        };
        (known && !text.contains(char::is_control)).then(|| Self(SecretString::from(text.to_owned())))
    }

    /// The whole address, password included: for the connection only.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the address is an SQLite file (or memory).
    pub fn is_sqlite(&self) -> bool {
        self.expose().starts_with("sqlite:")
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(self.expose()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Replaces the password of any URL by `***`.
///
/// A password may hold an unescaped `@`, `/` or `?`, so everything up to the last `@` counts as
/// its part: too much is hidden rather than too little.
pub fn redact_url(url: &str) -> String {
    let url = redact_query(url);
    let Some(start) = url.find("://").map(|at| at + 3) else {
        return url;
    };
    let (head, rest) = url.split_at(start);
    match rest.rsplit_once('@').map(|(login, tail)| (login.split_once(':'), tail)) {
        Some((Some((user, _)), tail)) => format!("{head}{user}:***@{tail}"),
        _ => url,
    }
}

/// libpq also takes the password as a parameter.
fn redact_query(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_part_of_the_printed_address() {
        for url in [
            "postgres://ana:hunter2@db/app",
            "postgres://ana:hunter2@host@db:5432/app?sslmode=require",
            "postgres://ana:hunter2/x?y@db/app",
            "postgresql://ana@db/app?password=hunter2&sslmode=require",
            "postgres://ana:hunter1@db/app?password=x@hunter2",
            "postgres:///app?host=/run&user=ana&sslpassword=hunter2",
        ] {
            let parsed = DatabaseUrl::parse(url).unwrap();
            assert!(!parsed.to_string().contains("hunter2"), "{parsed}");
            assert!(!format!("{parsed:?}").contains("hunter2"), "{parsed:?}");
            assert_eq!(parsed.expose(), url);
        }
        assert_eq!(redact_url("postgres://ana:hunter2@db/app"), "postgres://ana:***@db/app");
    }

    #[test]
    fn an_address_without_a_password_is_shown_whole() {
        for url in
            ["sqlite:.fairlane/fairlane.db", "sqlite::memory:", "postgres://ana@db:5432/app?sslmode=require"]
        {
            assert_eq!(DatabaseUrl::parse(url).unwrap().to_string(), url);
        }
    }

    #[test]
    fn other_databases_are_refused() {
        for url in [
            "",
            "mysql://db/app",
            "redis://db",
            "fairlane.db",
            "sqlite:",
            "postgres://",
            "postgres:db",
            "sqlite:a\nb",
        ] {
            assert!(DatabaseUrl::parse(url).is_none(), "{url:?}");
        }
    }
}
