//! Rust's names in C#'s spelling.

/// `max_bytes` as `MaxBytes`; what is in Pascal case stays.
pub(crate) fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}

/// `max_bytes` as `maxBytes`, safe as the name of a parameter.
pub(crate) fn camel(name: &str) -> String {
    let name = pascal(name);
    let mut letters = name.chars();
    let camel: String =
        letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect());
    // An at sign is allowed before any identifier, and needed before a keyword.
    format!("@{camel}")
}
