use std::{collections::VecDeque, marker::PhantomData};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::ambient::context;
use crate::{
    Result,
    model::Dictionary,
    protocol::{DictionaryOperation as Operation, DictionaryResult, Fabric},
};

/// Reading and changing entries, in the current context. Each operation is atomic; so is a [`batch`](Dictionary::batch).
///
/// Keys may be booleans, numbers, text, bytes, UUIDs, date-times, references, and arrays of these.
impl Dictionary {
    /// The value of a key, if it is present.
    pub async fn get<V: DeserializeOwned>(&self, key: impl Serialize) -> Result<Option<V>> {
        let result = self.one(Operation::Get { key: encode(&key)? }).await?;
        decode(result.and_then(|result| result.value))
    }

    /// Writes an entry.
    pub async fn set<V: Serialize + ?Sized>(&self, key: impl Serialize, value: &V) -> Result<()> {
        self.one(Operation::Set { key: encode(&key)?, value: encode(value)? }).await.map(drop)
    }

    /// Writes an entry if the key is absent. False if it was present.
    pub async fn set_if_absent<V: Serialize + ?Sized>(&self, key: impl Serialize, value: &V) -> Result<bool> {
        self.applies(Operation::SetIfAbsent { key: encode(&key)?, value: encode(value)? }).await
    }

    /// Writes an entry if its present value equals another: a compare-and-set. False if it does not.
    pub async fn replace_if_equal<V: Serialize + ?Sized>(
        &self,
        key: impl Serialize,
        expected: &V,
        value: &V,
    ) -> Result<bool> {
        let (key, expected, value) = (encode(&key)?, encode(expected)?, encode(value)?);
        self.applies(Operation::ReplaceIfEqual { key, expected, value }).await
    }

    /// Writes an entry if the key is present, and gives the former value.
    pub async fn get_and_replace<V: Serialize + DeserializeOwned>(
        &self,
        key: impl Serialize,
        value: &V,
    ) -> Result<Option<V>> {
        let result = self.one(Operation::GetAndReplace { key: encode(&key)?, value: encode(value)? }).await?;
        decode(result.and_then(|result| result.value))
    }

    /// Removes an entry, and gives its value if it was present.
    pub async fn get_and_remove<V: DeserializeOwned>(&self, key: impl Serialize) -> Result<Option<V>> {
        let result = self.one(Operation::GetAndRemove { key: encode(&key)? }).await?;
        decode(result.and_then(|result| result.value))
    }

    /// Removes an entry. False if the key was absent.
    pub async fn remove(&self, key: impl Serialize) -> Result<bool> {
        self.applies(Operation::Remove { key: encode(&key)? }).await
    }

    /// Removes an entry if its present value equals another. False if it does not.
    pub async fn remove_if_equal<V: Serialize + ?Sized>(
        &self,
        key: impl Serialize,
        expected: &V,
    ) -> Result<bool> {
        self.applies(Operation::RemoveIfEqual { key: encode(&key)?, expected: encode(expected)? }).await
    }

    /// Whether a key is present.
    pub async fn contains(&self, key: impl Serialize) -> Result<bool> {
        self.applies(Operation::Contains { key: encode(&key)? }).await
    }

    /// The number of entries.
    pub async fn count(&self) -> Result<u64> {
        Ok(self.one(Operation::Count).await?.map_or(0, |result| result.count))
    }

    /// Removes all entries.
    pub async fn clear(&self) -> Result<()> {
        self.one(Operation::Clear).await.map(drop)
    }

    /// Every entry. A key that is present throughout comes exactly once, with a value that it held meanwhile.
    pub fn entries<K: DeserializeOwned, V: DeserializeOwned>(&self) -> DictionaryEntries<K, V> {
        DictionaryEntries {
            fabric: context().map(|context| context.fabric().clone()),
            dictionary: self.dictionary.clone(),
            page: VecDeque::new(),
            next: Some(Bytes::new()),
            of: PhantomData,
        }
    }

    /// Several operations that apply whole or not at all.
    pub fn batch(&self) -> DictionaryBatch {
        DictionaryBatch { dictionary: self.dictionary.clone(), operations: Ok(Vec::new()) }
    }

    /// Destroys the dictionary and its entries.
    pub async fn destroy(&self) -> Result<()> {
        context()?.fabric().destroy_dictionary(&self.dictionary).await
    }

    /// One operation; `None` when its condition did not hold.
    async fn one(&self, operation: Operation) -> Result<Option<DictionaryResult>> {
        let update = context()?.fabric().update_dictionary(&self.dictionary, vec![operation]).await?;
        let applied = update.failed_operation.is_none();
        Ok(update.results.into_iter().next().filter(|_| applied))
    }

    async fn applies(&self, operation: Operation) -> Result<bool> {
        Ok(self.one(operation).await?.is_some_and(|result| result.applied))
    }
}

/// Several operations on a dictionary that apply whole or not at all; see [`Dictionary::batch`].
///
/// ```no_run
/// # async fn example(accounts: perper::Dictionary) -> perper::Result<()> {
/// let moved = accounts
///     .batch()
///     .replace_if_equal("ann", &10, &5)
///     .replace_if_equal("bob", &0, &5)
///     .apply()
///     .await?;
/// assert!(moved, "somebody else was faster");
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until `apply`"]
#[derive(Debug)]
pub struct DictionaryBatch {
    dictionary: String,
    operations: Result<Vec<Operation>>,
}

impl DictionaryBatch {
    /// Writes an entry.
    pub fn set<V: Serialize + ?Sized>(self, key: impl Serialize, value: &V) -> Self {
        self.with(|| Ok(Operation::Set { key: encode(&key)?, value: encode(value)? }))
    }

    /// Writes an entry; if the key is present, nothing of the batch is done.
    pub fn set_if_absent<V: Serialize + ?Sized>(self, key: impl Serialize, value: &V) -> Self {
        self.with(|| Ok(Operation::SetIfAbsent { key: encode(&key)?, value: encode(value)? }))
    }

    /// Writes an entry; if its present value is not the expected one, nothing of the batch is done.
    pub fn replace_if_equal<V: Serialize + ?Sized>(
        self,
        key: impl Serialize,
        expected: &V,
        value: &V,
    ) -> Self {
        self.with(|| {
            let (key, expected, value) = (encode(&key)?, encode(expected)?, encode(value)?);
            Ok(Operation::ReplaceIfEqual { key, expected, value })
        })
    }

    /// Removes an entry, if it is there.
    pub fn remove(self, key: impl Serialize) -> Self {
        self.with(|| Ok(Operation::Remove { key: encode(&key)? }))
    }

    /// Removes an entry; if its present value is not the expected one, nothing of the batch is done.
    pub fn remove_if_equal<V: Serialize + ?Sized>(self, key: impl Serialize, expected: &V) -> Self {
        self.with(|| Ok(Operation::RemoveIfEqual { key: encode(&key)?, expected: encode(expected)? }))
    }

    fn with(mut self, operation: impl FnOnce() -> Result<Operation>) -> Self {
        if let Ok(operations) = &mut self.operations {
            match operation() {
                Ok(operation) => operations.push(operation),
                Err(error) => self.operations = Err(error),
            }
        }
        self
    }

    /// Carries the operations out, in order. False when the condition of one did not hold: then nothing has changed.
    pub async fn apply(self) -> Result<bool> {
        let update = context()?.fabric().update_dictionary(self.dictionary, self.operations?).await?;
        Ok(update.failed_operation.is_none())
    }
}

/// The entries of a dictionary, page by page; see [`Dictionary::entries`].
#[derive(Debug)]
pub struct DictionaryEntries<K, V> {
    fabric: Result<Fabric>,
    dictionary: String,
    page: VecDeque<(Bytes, Bytes)>,
    /// Where the next page begins; `None` after the last.
    next: Option<Bytes>,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K: DeserializeOwned, V: DeserializeOwned> DictionaryEntries<K, V> {
    /// The next entry; `None` after the last.
    pub async fn try_next(&mut self) -> Result<Option<(K, V)>> {
        loop {
            if let Some((key, value)) = self.page.pop_front() {
                return Ok(Some((perper_values::from_slice(&key)?, perper_values::from_slice(&value)?)));
            }
            let Some(next) = self.next.clone() else { return Ok(None) };
            let fabric = self.fabric.as_ref().map_err(Clone::clone)?;
            let page = fabric.enumerate_dictionary(&self.dictionary, false, 0, next).await?;
            self.page = page.entries.into();
            self.next = Some(page.next).filter(|next| !next.is_empty());
        }
    }

    /// All entries that are left.
    pub async fn collect<C: Default + Extend<(K, V)>>(mut self) -> Result<C> {
        let mut all = C::default();
        while let Some(entry) = self.try_next().await? {
            all.extend([entry]);
        }
        Ok(all)
    }
}

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    Ok(perper_values::to_vec(value)?.into())
}

pub(super) fn decode<T: DeserializeOwned>(value: Option<Bytes>) -> Result<Option<T>> {
    value.map(|value| perper_values::from_slice(&value)).transpose().map_err(Into::into)
}
