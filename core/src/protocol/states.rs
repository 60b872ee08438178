use bytes::Bytes;
use perper_proto::v1::{self, dictionary_operation as op, request, response, update_list_request as list_op};

use super::{
    fabric::Fabric,
    machines::session::Class,
    reply::{self, Reply},
};

/// One operation on a dictionary. Keys and values are CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DictionaryOperation {
    /// The value of the key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Writes an entry.
    Set {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
    },
    /// Writes an entry if the key is absent.
    SetIfAbsent {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
    },
    /// Writes an entry if its present value equals another.
    ReplaceIfEqual {
        /// The key.
        key: Bytes,
        /// What must be there.
        expected: Bytes,
        /// The new value.
        value: Bytes,
    },
    /// Writes an entry if the key is present; the result is the former value.
    GetAndReplace {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
    },
    /// Removes an entry; the result is the former value.
    GetAndRemove {
        /// The key.
        key: Bytes,
    },
    /// Removes an entry.
    Remove {
        /// The key.
        key: Bytes,
    },
    /// Removes an entry if its present value equals another.
    RemoveIfEqual {
        /// The key.
        key: Bytes,
        /// What must be there.
        expected: Bytes,
    },
    /// Whether the key is present.
    Contains {
        /// The key.
        key: Bytes,
    },
    /// The number of entries.
    Count,
    /// Removes all entries.
    Clear,
}

impl From<DictionaryOperation> for v1::DictionaryOperation {
    fn from(operation: DictionaryOperation) -> Self {
        use DictionaryOperation as D;
        use op::Operation as O;
        let get = |key| v1::dictionary_operation::Get { key };
        let set = |key, value| v1::dictionary_operation::Set { key, value };
        let operation = match operation {
            D::Get { key } => O::Get(get(key)),
            D::Set { key, value } => O::Set(set(key, value)),
            D::SetIfAbsent { key, value } => O::SetIfAbsent(set(key, value)),
            D::ReplaceIfEqual { key, expected, value } => {
                O::ReplaceIfEqual(op::ReplaceIfEqual { key, expected, value })
            }
            D::GetAndReplace { key, value } => O::GetAndReplace(set(key, value)),
            D::GetAndRemove { key } => O::GetAndRemove(get(key)),
            D::Remove { key } => O::Remove(get(key)),
            D::RemoveIfEqual { key, expected } => O::RemoveIfEqual(op::RemoveIfEqual { key, expected }),
            D::Contains { key } => O::Contains(get(key)),
            D::Count => O::Count(op::Count {}),
            D::Clear => O::Clear(op::Clear {}),
        };
        v1::DictionaryOperation { operation: Some(operation) }
    }
}

/// What one operation on a dictionary gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DictionaryResult {
    /// Of get, get and replace, get and remove: the (former) value, if there was one.
    pub value: Option<Bytes>,
    /// Whether something was written or removed; of contains, whether the key is present.
    pub applied: bool,
    /// Of count: the number of entries.
    pub count: u64,
}

/// What an update of a dictionary gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DictionaryUpdate {
    /// One for each operation.
    pub results: Vec<DictionaryResult>,
    /// The operation whose condition did not hold; then nothing was changed by any.
    pub failed_operation: Option<usize>,
}

/// A page of a dictionary's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DictionaryPage {
    /// Keys and values; the values are empty when only keys were asked for.
    pub entries: Vec<(Bytes, Bytes)>,
    /// For the next page; empty on the last one.
    pub next: Bytes,
}

/// One operation on a list. Values are CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOperation {
    /// Appends at the end; the result tells the index.
    Add(Bytes),
    /// Takes from the end.
    Pop,
    /// Takes from the front.
    Dequeue,
    /// Puts before the element at an index; the length itself appends.
    InsertAt(u64, Bytes),
    /// Takes the element at an index.
    RemoveAt(u64),
    /// The element at an index.
    GetAt(u64),
    /// Writes the element at an index.
    SetAt(u64, Bytes),
    /// The index of the first element equal to a value.
    IndexOf(Bytes),
    /// Whether an element equals a value.
    Contains(Bytes),
    /// The number of elements.
    Count,
    /// Removes all elements.
    Clear,
    /// Removes the first element equal to a value.
    Remove(Bytes),
}

impl From<ListOperation> for list_op::Operation {
    fn from(operation: ListOperation) -> Self {
        use ListOperation as L;
        match operation {
            L::Add(value) => Self::Add(value),
            L::Pop => Self::Pop(v1::ListPop {}),
            L::Dequeue => Self::Dequeue(v1::ListDequeue {}),
            L::InsertAt(index, value) => Self::InsertAt(v1::ListInsertAt { index, value }),
            L::RemoveAt(index) => Self::RemoveAt(index),
            L::GetAt(index) => Self::GetAt(index),
            L::SetAt(index, value) => Self::SetAt(v1::ListSetAt { index, value }),
            L::IndexOf(value) => Self::IndexOf(value),
            L::Contains(value) => Self::Contains(value),
            L::Count => Self::Count(v1::ListCount {}),
            L::Clear => Self::Clear(v1::ListClear {}),
            L::Remove(value) => Self::Remove(value),
        }
    }
}

/// What an operation on a list gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListResult {
    /// Of pop, dequeue, remove at, get at: the element, if there was one.
    pub value: Option<Bytes>,
    /// Of index of and add: where.
    pub index: Option<u64>,
    /// Of count, and after every change: the length.
    pub count: u64,
    /// Of contains and remove: whether there was such an element.
    pub found: bool,
}

/// A page of a list's elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The elements.
    pub values: Vec<Bytes>,
    /// For the next page; empty on the last one.
    pub next: Bytes,
}

impl Fabric {
    /// Creates a dictionary; repeating it changes nothing.
    pub fn create_dictionary(
        &self,
        dictionary: impl Into<String>,
        owner: Option<String>,
        indexed_fields: Vec<String>,
        capability: Bytes,
    ) -> Reply<()> {
        let request = v1::CreateDictionaryRequest {
            dictionary: dictionary.into(),
            owner: owner.map(|instance| v1::Owner { instance }),
            indexed_fields,
            capability,
            identity: None,
        };
        self.request(Class::Mutation, request::Request::CreateDictionary(request), reply::nothing)
    }

    /// Reads and changes entries: all operations apply, in order, or none does.
    pub fn update_dictionary(
        &self,
        dictionary: impl Into<String>,
        operations: Vec<DictionaryOperation>,
    ) -> Reply<DictionaryUpdate> {
        use DictionaryOperation as D;
        // Reads need no identity: they go on in a new session.
        let reads = operations
            .iter()
            .all(|operation| matches!(operation, D::Get { .. } | D::Contains { .. } | D::Count));
        let class = if reads { Class::Read } else { Class::Mutation };
        let request = v1::UpdateDictionaryRequest {
            dictionary: dictionary.into(),
            operations: operations.into_iter().map(Into::into).collect(),
            identity: None,
        };
        self.request(class, request::Request::UpdateDictionary(request), |answer| match answer {
            Some(response::Response::UpdateDictionary(response)) => Ok(DictionaryUpdate {
                results: response
                    .results
                    .into_iter()
                    .map(|result| DictionaryResult {
                        value: result.value,
                        applied: result.applied,
                        count: result.count,
                    })
                    .collect(),
                failed_operation: response.failed_operation.map(|index| index as usize),
            }),
            None => Ok(DictionaryUpdate::default()),
            Some(_) => reply::unexpected("UpdateDictionary"),
        })
    }

    /// A page of entries: at most `size` (0: the server's default) from where `token`, the last page's `next`, says.
    pub fn enumerate_dictionary(
        &self,
        dictionary: impl Into<String>,
        keys_only: bool,
        size: u32,
        token: Bytes,
    ) -> Reply<DictionaryPage> {
        let request = v1::EnumerateDictionaryRequest {
            dictionary: dictionary.into(),
            page: Some(v1::Page { size, token }),
            keys_only,
        };
        self.request(Class::Read, request::Request::EnumerateDictionary(request), |answer| match answer {
            Some(response::Response::EnumerateDictionary(page)) => Ok(DictionaryPage {
                entries: page.entries.into_iter().map(|entry| (entry.key, entry.value)).collect(),
                next: page.next,
            }),
            None => Ok(DictionaryPage::default()),
            Some(_) => reply::unexpected("EnumerateDictionary"),
        })
    }

    /// Destroys a dictionary and its entries.
    pub fn destroy_dictionary(&self, dictionary: impl Into<String>) -> Reply<()> {
        let request = v1::DestroyDictionaryRequest { dictionary: dictionary.into(), identity: None };
        self.request(Class::Mutation, request::Request::DestroyDictionary(request), reply::nothing)
    }

    /// Creates a list; repeating it changes nothing.
    pub fn create_list(
        &self,
        list: impl Into<String>,
        owner: Option<String>,
        capability: Bytes,
    ) -> Reply<()> {
        let request = v1::CreateListRequest {
            list: list.into(),
            owner: owner.map(|instance| v1::Owner { instance }),
            capability,
            identity: None,
        };
        self.request(Class::Mutation, request::Request::CreateList(request), reply::nothing)
    }

    /// One operation on a list.
    pub fn update_list(&self, list: impl Into<String>, operation: ListOperation) -> Reply<ListResult> {
        use ListOperation as L;
        let reads = matches!(operation, L::GetAt(_) | L::IndexOf(_) | L::Contains(_) | L::Count);
        let class = if reads { Class::Read } else { Class::Mutation };
        let request =
            v1::UpdateListRequest { list: list.into(), operation: Some(operation.into()), identity: None };
        self.request(class, request::Request::UpdateList(request), |answer| match answer {
            Some(response::Response::UpdateList(response)) => Ok(ListResult {
                value: response.value,
                index: response.index,
                count: response.count,
                found: response.found,
            }),
            None => Ok(ListResult::default()),
            Some(_) => reply::unexpected("UpdateList"),
        })
    }

    /// A page of elements: at most `size` (0: the server's default) from where `token`, the last page's `next`, says.
    pub fn enumerate_list(&self, list: impl Into<String>, size: u32, token: Bytes) -> Reply<ListPage> {
        let request = v1::EnumerateListRequest { list: list.into(), page: Some(v1::Page { size, token }) };
        self.request(Class::Read, request::Request::EnumerateList(request), |answer| match answer {
            Some(response::Response::EnumerateList(page)) => {
                Ok(ListPage { values: page.values, next: page.next })
            }
            None => Ok(ListPage::default()),
            Some(_) => reply::unexpected("EnumerateList"),
        })
    }

    /// Destroys a list and its elements.
    pub fn destroy_list(&self, list: impl Into<String>) -> Reply<()> {
        let request = v1::DestroyListRequest { list: list.into(), identity: None };
        self.request(Class::Mutation, request::Request::DestroyList(request), reply::nothing)
    }
}
