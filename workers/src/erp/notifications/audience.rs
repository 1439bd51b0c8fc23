//! Who is told.

use fairlane::{Result, Transaction};

use crate::erp::store::people::{self, User};

/// Who is told: those who may do something, and users that are named. Each once, and only who is active.
#[derive(Debug, Clone, Default)]
pub struct Audience<'a> {
    pub(super) permission: Option<&'a str>,
    pub(super) location: Option<i64>,
    pub(super) users: Vec<i64>,
    pub(super) subject: Option<(&'a str, i64)>,
}

impl<'a> Audience<'a> {
    /// Those who may do this everywhere.
    pub fn holders(permission: &'a str) -> Self {
        Self { permission: Some(permission), ..Self::default() }
    }

    /// One user.
    pub fn user(user: i64) -> Self {
        Self { users: vec![user], ..Self::default() }
    }

    /// Those too who may do it at this location.
    pub fn at(mut self, location: i64) -> Self {
        self.location = Some(location);
        self
    }

    /// These users too.
    pub fn and(mut self, users: impl IntoIterator<Item = i64>) -> Self {
        self.users.extend(users);
        self
    }

    /// What the notification is about: `invoice` and its number. Its deliveries are found by it.
    pub fn about(mut self, what: &'a str, id: i64) -> Self {
        self.subject = Some((what, id));
        self
    }

    pub(super) async fn people(&self, tx: &mut Transaction, tenant: i64) -> Result<Vec<User>> {
        let conn = &mut tx.conn();
        let mut people = match self.permission {
            Some(permission) => people::holders(conn, tenant, permission, self.location).await?,
            None => Vec::new(),
        };
        let missing = |user: &i64| !people.iter().any(|known| known.id == *user);
        let named: Vec<i64> = self.users.iter().copied().filter(missing).collect();
        if !named.is_empty() {
            people.extend(people::active_among(conn, tenant, &named).await?);
        }
        Ok(people)
    }
}
