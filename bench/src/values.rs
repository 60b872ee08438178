//! The values that are sent.

use bytes::Bytes;

/// A value whose encoding is `bytes` long: a text.
pub fn sized(bytes: usize) -> anyhow::Result<Bytes> {
    // The head of a text grows with it, so the text is what the head leaves.
    for head in 1..=5 {
        let Some(length) = bytes.checked_sub(head) else { break };
        let encoded = perper_values::to_vec(&"x".repeat(length))?;
        if encoded.len() == bytes {
            return Ok(encoded.into());
        }
    }
    anyhow::bail!("there is no text that is encoded in {bytes} bytes; take another size, such as 100")
}

/// A number as a dictionary's key.
pub fn key(number: u64) -> anyhow::Result<Bytes> {
    Ok(perper_values::to_vec(&number)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_size_asked_for() {
        for bytes in [1, 2, 10, 100, 1024, 70_000] {
            assert_eq!(sized(bytes).unwrap().len(), bytes);
        }
        // 24 bytes: one of head leaves 23, fine; 25 would need a head of two and a text of 23, which has a head of one.
        assert!(sized(25).is_err());
    }
}
