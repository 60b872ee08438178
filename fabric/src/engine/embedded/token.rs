use std::hash::Hasher as _;

use bytes::Bytes;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::engine::SessionId;

/// What a reservation's token says. It is opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// The execution's number.
    pub(super) execution: u64,
    /// A hash of the work group's name.
    pub(super) group: u64,
    /// Counts boots of the server, so that a token of a former one is never mistaken for one of this.
    pub(super) epoch: u32,
    /// Counts reservations of this boot.
    pub(super) serial: u64,
    /// Of the reservation.
    pub(super) attempt: u32,
}

const BODY: usize = 32;
const LENGTH: usize = BODY + 8;

/// Seals tokens, so that after a restart the Fabric can tell a token of its own from one that a client made up.
///
/// SipHash is enough: a forger has no way to learn the key, and 64 bits are not to be guessed over a network.
#[derive(Clone)]
pub(super) struct Seal {
    key: [u8; 16],
}

impl Seal {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The bytes for the client that holds the reservation.
    pub(super) fn close(&self, token: Token, session: SessionId) -> Bytes {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&token.execution.to_be_bytes());
        bytes.extend_from_slice(&token.group.to_be_bytes());
        bytes.extend_from_slice(&token.epoch.to_be_bytes());
        bytes.extend_from_slice(&token.serial.to_be_bytes());
        bytes.extend_from_slice(&token.attempt.to_be_bytes());
        let seal = self.seal(&bytes, session);
        bytes.extend_from_slice(&seal.to_be_bytes());
        Bytes::from(bytes)
    }

    /// What the bytes say, if this server, at this or a former boot, made them for that session.
    pub(super) fn open(&self, bytes: &[u8], session: SessionId) -> Option<Token> {
        let (body, seal) = bytes.split_at_checked(BODY)?;
        (seal == self.seal(body, session).to_be_bytes()).then_some(())?;
        read(body)
    }

    fn seal(&self, body: &[u8], session: SessionId) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(body);
        hasher.write(&session.to_bytes());
        hasher.finish128().h1
    }
}

/// The number of the execution that a token is for, unchecked: to find the reservation that it must equal.
pub(super) fn execution_of(bytes: &[u8]) -> Option<u64> {
    (bytes.len() == LENGTH).then(|| read(bytes))?.map(|token| token.execution)
}

fn read(body: &[u8]) -> Option<Token> {
    let (execution, rest) = body.split_first_chunk()?;
    let (group, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (serial, rest) = rest.split_first_chunk()?;
    let (attempt, _) = rest.split_first_chunk()?;
    Some(Token {
        execution: u64::from_be_bytes(*execution),
        group: u64::from_be_bytes(*group),
        epoch: u32::from_be_bytes(*epoch),
        serial: u64::from_be_bytes(*serial),
        attempt: u32::from_be_bytes(*attempt),
    })
}

/// The work group's name as tokens carry it. Not secret, and stable across boots.
pub(super) fn group_hash(group: &str) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(group.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_for_its_session_and_seal() {
        let seal = Seal::new([7; 16]);
        let (mine, other) = (SessionId(1), SessionId(2));
        let token = Token { execution: 5, group: group_hash("g"), epoch: 3, serial: 9, attempt: 2 };
        let bytes = seal.close(token, mine);
        assert_eq!(seal.open(&bytes, mine), Some(token));
        assert_eq!(seal.open(&bytes, other), None);
        assert_eq!(Seal::new([8; 16]).open(&bytes, mine), None);
        for at in 0..bytes.len() {
            let mut forged = bytes.to_vec();
            forged[at] ^= 1;
            assert_eq!(seal.open(&forged, mine), None, "byte {at} changed");
        }
        assert_eq!(seal.open(&bytes[..7], mine), None);
        assert_eq!(execution_of(&bytes), Some(5));
    }
}
