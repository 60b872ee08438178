use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use perper_proto::{Reason, v1};
use perper_store::{Direction, KeyRange, Space, Store, WriteBatch};
use prost::Message;

use crate::engine::{Identity, Outcome, Result, SessionId};

/// The outcomes of mutations that their clients have not acknowledged, so that a repeat gets the same one.
///
/// In memory an outcome that says nothing but "done" costs a few bytes. In the store, all outcomes that one run of
/// operations has for one session are one entry: key (shard, session, first sequence), written in the same batch as the
/// changes themselves. Sequence 0, which no mutation has, is where the floor stands: what is at or below it is refused,
/// also after a restart.
pub(super) struct Outcomes {
    shard: u8,
    sessions: HashMap<SessionId, Kept>,
    /// Kept since the last [`write`](Outcomes::write).
    fresh: Vec<(SessionId, v1::Response)>,
}

#[derive(Default)]
struct Kept {
    /// Everything up to this sequence is acknowledged.
    floor: u64,
    outcomes: BTreeMap<u64, Said>,
    /// The entries in the store: first to last sequence.
    entries: BTreeMap<u64, u64>,
}

/// What an outcome says.
enum Said {
    /// Nothing but "done".
    Done,
    /// That the execution is new, as nearly every creation has it.
    Created,
    Else(Box<v1::response::Response>),
}

impl Said {
    fn new(response: Option<&v1::response::Response>) -> Self {
        match response {
            None => Said::Done,
            Some(v1::response::Response::CreateExecution(response)) if response.created => Said::Created,
            Some(response) => Said::Else(Box::new(response.clone())),
        }
    }

    fn outcome(&self) -> Outcome {
        let created = v1::CreateExecutionResponse { created: true };
        match self {
            Said::Done => Ok(None),
            Said::Created => Ok(Some(v1::response::Response::CreateExecution(created))),
            Said::Else(response) => match &**response {
                v1::response::Response::Error(error) => Err(error.clone()),
                response => Ok(Some(response.clone())),
            },
        }
    }
}

/// Outcomes of one session in one entry of the store.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, repeated, tag = "1")]
    responses: Vec<v1::Response>,
    /// (Of the entry at sequence 0 only:) everything up to here is acknowledged.
    #[prost(uint64, tag = "2")]
    floor: u64,
}

impl Outcomes {
    pub(super) fn new(shard: u8) -> Self {
        Self { shard, sessions: HashMap::new(), fresh: Vec::new() }
    }

    /// Reads what the store kept for a shard.
    pub(super) fn recover(shard: u8, store: &dyn Store) -> perper_store::Result<Self> {
        let mut this = Self::new(shard);
        for entry in store.range(Space::Intents, KeyRange::prefix(&[OUTCOME, shard]), Direction::Forward) {
            let (key, value) = entry?;
            let (Some(session), Ok(entry)) = (session_of(&key), Entry::decode(value)) else {
                return Err(perper_store::Error::new(
                    perper_store::ErrorKind::Corrupt,
                    format!("the outcome at key {key:02x?} cannot be read"),
                ));
            };
            for response in entry.responses {
                this.remember(session, &response);
            }
            let kept = this.sessions.entry(session).or_default();
            let first = u64::from_be_bytes(key[key.len() - 8..].try_into().unwrap_or_default());
            if first == FLOOR {
                kept.floor = entry.floor;
                continue;
            }
            let last = kept.outcomes.last_key_value().map_or(first, |(last, _)| *last);
            kept.entries.insert(first, last);
        }
        Ok(this)
    }

    /// The outcome of an earlier try, if it is kept; an error if it was acknowledged.
    pub(super) fn find(&self, identity: Identity) -> Result<Option<Outcome>> {
        let Some(kept) = self.sessions.get(&identity.session) else { return Ok(None) };
        if identity.sequence <= kept.floor {
            return Err(Reason::SequenceAcknowledged
                .error(format!(
                    "sequence {} was acknowledged by the client (through {}), so its outcome is no longer kept; use a \
                     new sequence for a new request",
                    identity.sequence, kept.floor
                ))
                .with("sequence", identity.sequence)
                .with("acknowledged", kept.floor));
        }
        Ok(kept.outcomes.get(&identity.sequence).map(Said::outcome))
    }

    /// Makes room for so many outcomes.
    pub(super) fn expect(&mut self, count: usize) {
        self.fresh.reserve(count);
    }

    /// Keeps an outcome, to be written with the next [`write`](Outcomes::write).
    pub(super) fn keep(&mut self, identity: Identity, outcome: &Outcome) {
        let response = match outcome {
            Ok(response) => response.clone(),
            Err(error) => Some(v1::response::Response::Error(error.clone())),
        };
        let response = v1::Response { sequence: identity.sequence, response };
        self.remember(identity.session, &response);
        self.fresh.push((identity.session, response));
    }

    fn remember(&mut self, session: SessionId, response: &v1::Response) {
        let kept = self.sessions.entry(session).or_default();
        kept.outcomes.insert(response.sequence, Said::new(response.response.as_ref()));
    }

    /// Adds what was kept since the last time to the batch with the changes themselves.
    pub(super) fn write(&mut self, batch: &mut WriteBatch) {
        let mut fresh = std::mem::take(&mut self.fresh).into_iter().peekable();
        while let Some((session, response)) = fresh.next() {
            let first = response.sequence;
            let mut last = first;
            let mut entry = Entry { responses: vec![response], floor: 0 };
            // A run of one session's requests is ascending, so its entry is found again by its first sequence.
            while let Some((_, response)) =
                fresh.next_if(|(next, response)| *next == session && response.sequence > last)
            {
                last = response.sequence;
                entry.responses.push(response);
            }
            if let Some(kept) = self.sessions.get_mut(&session) {
                kept.entries.insert(first, last);
            }
            batch.put(Space::Intents, &key(self.shard, session, first), Bytes::from(entry.encode_to_vec()));
        }
    }

    /// Forgets everything up to a sequence; with `u64::MAX`, the session.
    pub(super) fn acknowledge(&mut self, session: SessionId, through: u64, batch: &mut WriteBatch) {
        let Some(kept) = self.sessions.get_mut(&session) else { return };
        kept.floor = kept.floor.max(through);
        kept.outcomes = match through.checked_add(1) {
            Some(next) => kept.outcomes.split_off(&next),
            None => BTreeMap::new(),
        };
        let mut forgotten = false;
        while let Some(entry) = kept.entries.first_entry().filter(|entry| *entry.get() <= through) {
            batch.delete(Space::Intents, &key(self.shard, session, *entry.key()));
            entry.remove();
            forgotten = true;
        }
        let floor = key(self.shard, session, FLOOR);
        if through == u64::MAX {
            batch.delete(Space::Intents, &floor);
            self.sessions.remove(&session);
        } else if forgotten {
            // Of what is not forgotten, a repeat finds the outcome, so the floor may lag behind in the store until then.
            let entry = Entry { responses: Vec::new(), floor: kept.floor };
            batch.put(Space::Intents, &floor, Bytes::from(entry.encode_to_vec()));
        }
    }
}

/// The first byte of the keys of outcomes.
const OUTCOME: u8 = 1;

/// The sequence of the entry that holds the floor.
const FLOOR: u64 = 0;

fn key(shard: u8, session: SessionId, first: u64) -> [u8; 26] {
    let mut key = [0; 26];
    key[0] = OUTCOME;
    key[1] = shard;
    key[2..18].copy_from_slice(&session.to_bytes());
    key[18..].copy_from_slice(&first.to_be_bytes());
    key
}

fn session_of(key: &[u8]) -> Option<SessionId> {
    (key.len() == 26).then(|| SessionId::from_bytes(&key[2..18]))?
}
