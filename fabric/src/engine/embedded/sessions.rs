use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use perper_proto::v1;
use perper_store::{Direction, Error, ErrorKind, KeyRange, Result, Space, Store, WriteBatch};
use prost::Message;

use crate::engine::SessionId;

/// The sessions on record. Leases are the broker's; the record is what lets a restart renew them.
pub(super) struct Sessions {
    records: Mutex<BTreeMap<SessionId, v1::HelloRequest>>,
}

/// What seals reservation tokens, made at the first start.
pub(super) struct Secret {
    pub(super) bytes: [u8; 16],
    /// The write that keeps it, if it is new.
    pub(super) write: Option<WriteBatch>,
}

const SECRET: &[u8] = b"reservation-seal";

/// Lets the next start make a new secret.
pub(super) fn forget_secret(batch: &mut WriteBatch) {
    batch.delete(Space::Meta, SECRET);
}

impl Sessions {
    pub(super) fn recover(store: &dyn Store) -> Result<(Self, Secret)> {
        let mut records = BTreeMap::new();
        for entry in store.range(Space::Sessions, KeyRange::ALL, Direction::Forward) {
            let (key, value) = entry?;
            let session = SessionId::from_bytes(&key).ok_or_else(|| corrupt("a session's key", &key))?;
            let hello = v1::HelloRequest::decode(value).map_err(|_| corrupt("the session at", &key))?;
            records.insert(session, hello);
        }
        let secret = match store.get(Space::Meta, SECRET)? {
            Some(bytes) => Secret {
                bytes: bytes[..].try_into().map_err(|_| corrupt("the secret at", SECRET))?,
                write: None,
            },
            None => {
                let bytes: [u8; 16] = rand::random();
                let mut write = WriteBatch::new();
                write.put_slice(Space::Meta, SECRET, &bytes);
                // On a full disk, data that was just restored can at least be read.
                write.use_reserve();
                Secret { bytes, write: Some(write) }
            }
        };
        Ok((Self { records: Mutex::new(records) }, secret))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, v1::HelloRequest>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self, session: SessionId, hello: v1::HelloRequest) -> WriteBatch {
        let mut batch = WriteBatch::new();
        batch.put(Space::Sessions, &session.to_bytes(), hello.encode_to_vec().into());
        batch.use_reserve();
        self.lock().insert(session, hello);
        batch
    }

    pub(super) fn close(&self, session: SessionId) -> WriteBatch {
        let mut batch = WriteBatch::new();
        batch.delete(Space::Sessions, &session.to_bytes());
        batch.use_reserve();
        self.lock().remove(&session);
        batch
    }

    pub(super) fn is_on_record(&self, session: SessionId) -> bool {
        self.lock().contains_key(&session)
    }

    pub(super) fn all(&self) -> Vec<(SessionId, v1::HelloRequest)> {
        self.lock().iter().map(|(session, hello)| (*session, hello.clone())).collect()
    }
}

fn corrupt(what: &str, key: &[u8]) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what} {key:02x?} cannot be read"))
}
