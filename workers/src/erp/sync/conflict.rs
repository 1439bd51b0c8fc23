//! Two sides of a record, and what both had when they last agreed: what is to be taken over, and what is in dispute. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::connection::Policy;
use super::record::{Fields, group};

/// What the two sides of a record come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    /// What changes here.
    pub take: Fields,
    /// What a person has to decide: ours and theirs.
    pub disputed: BTreeMap<String, (Value, Value)>,
    /// Whether something of ours is left that they do not have.
    pub ours_differs: bool,
}

/// Compares field by field. What one side alone has changed is that side's; where both have, the policy of the field's
/// group decides. Without a base (they never agreed), what is empty on one side is the other's.
pub fn merge(
    base: Option<&Fields>,
    ours: &Fields,
    theirs: &Fields,
    theirs_is_newer: bool,
    policy: impl Fn(&str) -> Policy,
) -> Merged {
    let mut merged = Merged::default();
    for (field, their) in theirs {
        let our = ours.get(field).unwrap_or(&Value::Null);
        if our == their {
            continue;
        }
        let before = base.map(|base| base.get(field).unwrap_or(&Value::Null));
        let blank = Value::Null;
        let before = before.or_else(|| [our, their].into_iter().any(Value::is_null).then_some(&blank));
        let take = match before {
            Some(before) if before == their => false,
            Some(before) if before == our => true,
            _ => match policy(group(field)) {
                Policy::RemoteWins => true,
                Policy::LocalWins => false,
                Policy::NewestWins => theirs_is_newer,
                Policy::Manual => {
                    merged.disputed.insert(field.clone(), (our.clone(), their.clone()));
                    false
                }
            },
        };
        match take {
            true => drop(merged.take.insert(field.clone(), their.clone())),
            false => merged.ours_differs = true,
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(name: &str, price: &str) -> Fields {
        [("name".to_owned(), json!(name)), ("price".to_owned(), json!(price))].into()
    }

    #[test]
    fn what_one_side_alone_has_changed_is_that_sides_whatever_the_policy() {
        let base = fields("Tiles", "1");
        for policy in Policy::ALL {
            let theirs = merge(Some(&base), &base, &fields("Tiles", "2"), false, |_| *policy);
            assert_eq!((theirs.take.len(), theirs.ours_differs), (1, false), "{policy}");
            let ours = merge(Some(&base), &fields("Blue tiles", "1"), &base, true, |_| *policy);
            assert_eq!((ours.take.len(), ours.ours_differs), (0, true), "{policy}");
        }
    }

    #[test]
    fn where_both_have_the_policy_of_the_group_decides() {
        let (base, ours, theirs) = (fields("Tiles", "1"), fields("Ours", "2"), fields("Theirs", "3"));
        let merged = |policy: Policy, newer: bool| merge(Some(&base), &ours, &theirs, newer, |_| policy);
        assert_eq!(merged(Policy::RemoteWins, false).take, theirs);
        assert!(merged(Policy::LocalWins, true).take.is_empty());
        assert_eq!(merged(Policy::NewestWins, true).take, theirs);
        assert!(merged(Policy::NewestWins, false).take.is_empty());
        let by_group = merge(Some(&base), &ours, &theirs, false, |group| match group {
            "price" => Policy::Manual,
            _ => Policy::RemoteWins,
        });
        assert_eq!(by_group.take.keys().collect::<Vec<_>>(), ["name"]);
        assert_eq!(by_group.disputed["price"], (json!("2"), json!("3")));
    }

    #[test]
    fn both_the_same_is_no_conflict_and_without_a_base_what_is_empty_is_filled() {
        let (base, new) = (fields("Tiles", "1"), fields("Tiles", "2"));
        assert_eq!(merge(Some(&base), &new, &new, false, |_| Policy::Manual), Merged::default());
        let ours: Fields = [("name".to_owned(), json!("Ours"))].into();
        let merged = merge(None, &ours, &fields("Theirs", "2"), false, |_| Policy::LocalWins);
        assert_eq!(merged.take, [("price".to_owned(), json!("2"))].into());
        assert!(merged.ours_differs);
    }
}
