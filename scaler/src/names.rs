//! Names of what runs: ids of agents and instances are any text, names elsewhere are not.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

#[cfg(any(feature = "compose", feature = "kubernetes"))]
use crate::model::Unit;

#[cfg(any(feature = "compose", feature = "kubernetes"))]
/// Letters of an agent's name that a name begins with, for people; what makes it unique is the hash.
const READABLE: usize = 24;

#[cfg(any(feature = "compose", feature = "kubernetes"))]
/// A hash of a unit, as 16 digits: the same on every machine and in every version.
pub(crate) fn hash(unit: &Unit) -> String {
    // Each part with its length, so that no two units have the same text.
    let part = |text: &str| format!("{}:{text}", text.len());
    text_hash(&match unit {
        Unit::Instance { agent, instance, incarnation, cluster } => {
            format!("{}{}{}{incarnation}", part(cluster), part(agent), part(instance))
        }
        Unit::Replica { agent, number } => format!("{}[{number}]", part(agent)),
    })
}

/// A hash of any text, as 16 digits: the same on every machine and in every version.
pub(crate) fn text_hash(text: &str) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    format!("{:016x}", hasher.finish())
}

#[cfg(any(feature = "compose", feature = "kubernetes"))]
/// A name that fits where DNS labels are asked for: `tokenizer-0123456789abcdef`.
pub(crate) fn name(unit: &Unit) -> String {
    let mut name = String::new();
    for letter in unit.agent().chars().take(READABLE) {
        match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9') => name.push(letter),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_matches('-');
    let name = if name.starts_with(|first: char| first.is_ascii_lowercase()) { name } else { "agent" };
    format!("{name}-{}", hash(unit))
}

#[cfg(all(test, any(feature = "compose", feature = "kubernetes")))]
mod tests {
    use super::*;

    fn unit(agent: &str, instance: &str, incarnation: u64, cluster: &str) -> Unit {
        Unit::Instance {
            agent: agent.into(),
            instance: instance.into(),
            incarnation,
            cluster: cluster.into(),
        }
    }

    #[test]
    fn names_are_labels_of_dns_whatever_the_agent_is_called() {
        for agent in ["Tokenizer", "a b/c", "Ünïcode", "---", "", "9lives", &"x".repeat(255)] {
            let name = name(&unit(agent, "i", 1, "c"));
            assert!(name.len() <= 63, "{name}");
            assert!(name.starts_with(|first: char| first.is_ascii_lowercase()), "{name}");
            assert!(
                name.chars()
                    .all(|letter| letter == '-' || letter.is_ascii_lowercase() || letter.is_ascii_digit()),
                "{name}"
            );
        }
    }

    #[test]
    fn each_life_of_each_instance_has_a_name_of_its_own() {
        let units = [
            unit("A", "i", 1, "c"),
            unit("A", "i", 2, "c"),
            unit("A", "j", 1, "c"),
            unit("B", "i", 1, "c"),
            unit("A", "i", 1, "d"),
            Unit::Replica { agent: "A".into(), number: 1 },
            Unit::Replica { agent: "A".into(), number: 2 },
        ];
        let names: std::collections::BTreeSet<_> = units.iter().map(name).collect();
        assert_eq!(names.len(), units.len());
    }

    /// A name that changed between versions would start everything a second time.
    #[test]
    fn names_are_forever() {
        assert_eq!(name(&unit("Tokenizer", "i", 1, "c")), "tokenizer-90d50295cffafbd6");
    }
}
