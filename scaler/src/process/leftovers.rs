//! What a Scaler before this one, and its keeper, were killed too suddenly to clear away.

use std::collections::BTreeSet;

use super::keeper::kill_group;

/// The variable by which a process that a Scaler started is known, it and what it starts in turn.
pub(super) const MARK: &str = "PERPER_SCALER_MARK";

/// Kills the processes that carry a mark, with their groups. Gives how many there were.
///
/// It knows Linux's way to see the environment of a process; elsewhere it finds nothing.
pub(super) fn kill_marked(mark: &str) -> usize {
    let marked = groups_with(&format!("{MARK}={mark}"));
    for group in &marked {
        kill_group(*group);
    }
    marked.len()
}

fn groups_with(variable: &str) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return groups };
    for process in processes.flatten() {
        let is_number = process.file_name().to_str().is_some_and(|name| name.parse::<i32>().is_ok());
        // Of others' processes nothing can be read, nor killed.
        let Some(environment) =
            is_number.then(|| std::fs::read(process.path().join("environ")).ok()).flatten()
        else {
            continue;
        };
        if environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
            && let Ok(status) = std::fs::read_to_string(process.path().join("stat"))
            && let Some(group) = group_of(&status)
        {
            groups.insert(group);
        }
    }
    groups
}

/// The process group in a line of `/proc/PID/stat`: the third field after the name, which may itself hold anything.
fn group_of(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok().filter(|group| *group > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_whatever_the_program_is_called() {
        assert_eq!(group_of("7 (a b) c) S 1 42 43 0 -1"), Some(42));
        assert_eq!(group_of("7 (a) S 1 1 1"), None);
        assert_eq!(group_of("7"), None);
    }
}
