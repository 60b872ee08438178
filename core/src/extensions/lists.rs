use std::{collections::VecDeque, marker::PhantomData};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ambient::context,
    dictionaries::{decode, encode},
};
use crate::{
    Error, ErrorKind, Result,
    model::List,
    protocol::{Fabric, ListOperation as Operation, ListResult},
};

/// Reading and changing elements, in the current context. Each operation is atomic.
impl List {
    /// Appends an element at the end, and gives its index.
    pub async fn add<T: Serialize + ?Sized>(&self, element: &T) -> Result<u64> {
        Ok(self.update(Operation::Add(encode(element)?)).await?.index.unwrap_or(0))
    }

    /// Takes the last element, if there is one.
    pub async fn pop<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        decode(self.update(Operation::Pop).await?.value)
    }

    /// Takes the first element, if there is one.
    pub async fn dequeue<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        decode(self.update(Operation::Dequeue).await?.value)
    }

    /// Puts an element before the one at an index; the length itself appends.
    pub async fn insert_at<T: Serialize + ?Sized>(&self, index: u64, element: &T) -> Result<()> {
        self.update(Operation::InsertAt(index, encode(element)?)).await.map(drop)
    }

    /// Takes the element at an index.
    pub async fn remove_at<T: DeserializeOwned>(&self, index: u64) -> Result<T> {
        element(self.update(Operation::RemoveAt(index)).await?, index)
    }

    /// The element at an index.
    pub async fn get_at<T: DeserializeOwned>(&self, index: u64) -> Result<T> {
        element(self.update(Operation::GetAt(index)).await?, index)
    }

    /// Writes the element at an index.
    pub async fn set_at<T: Serialize + ?Sized>(&self, index: u64, element: &T) -> Result<()> {
        self.update(Operation::SetAt(index, encode(element)?)).await.map(drop)
    }

    /// The index of the first element equal to a value.
    pub async fn index_of<T: Serialize + ?Sized>(&self, value: &T) -> Result<Option<u64>> {
        Ok(self.update(Operation::IndexOf(encode(value)?)).await?.index)
    }

    /// Whether an element equals a value.
    pub async fn contains<T: Serialize + ?Sized>(&self, value: &T) -> Result<bool> {
        Ok(self.update(Operation::Contains(encode(value)?)).await?.found)
    }

    /// Removes the first element equal to a value. False if there is none.
    pub async fn remove<T: Serialize + ?Sized>(&self, value: &T) -> Result<bool> {
        Ok(self.update(Operation::Remove(encode(value)?)).await?.found)
    }

    /// The number of elements.
    pub async fn count(&self) -> Result<u64> {
        Ok(self.update(Operation::Count).await?.count)
    }

    /// Removes all elements.
    pub async fn clear(&self) -> Result<()> {
        self.update(Operation::Clear).await.map(drop)
    }

    /// Every element, in order.
    pub fn elements<T: DeserializeOwned>(&self) -> ListElements<T> {
        ListElements {
            fabric: context().map(|context| context.fabric().clone()),
            list: self.list.clone(),
            page: VecDeque::new(),
            next: Some(Bytes::new()),
            of: PhantomData,
        }
    }

    /// Destroys the list and its elements.
    pub async fn destroy(&self) -> Result<()> {
        context()?.fabric().destroy_list(&self.list).await
    }

    async fn update(&self, operation: Operation) -> Result<ListResult> {
        context()?.fabric().update_list(&self.list, operation).await
    }
}

fn element<T: DeserializeOwned>(result: ListResult, index: u64) -> Result<T> {
    decode(result.value)?.ok_or_else(|| {
        let message = format!("the list has no element at index {index}");
        Error::new(ErrorKind::IndexOutOfRange, message).with("index", index)
    })
}

/// The elements of a list, page by page; see [`List::elements`].
#[derive(Debug)]
pub struct ListElements<T> {
    fabric: Result<Fabric>,
    list: String,
    page: VecDeque<Bytes>,
    /// Where the next page begins; `None` after the last.
    next: Option<Bytes>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> ListElements<T> {
    /// The next element; `None` after the last.
    pub async fn try_next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(element) = self.page.pop_front() {
                return Ok(Some(perper_values::from_slice(&element)?));
            }
            let Some(next) = self.next.clone() else { return Ok(None) };
            let fabric = self.fabric.as_ref().map_err(Clone::clone)?;
            let page = fabric.enumerate_list(&self.list, 0, next).await?;
            self.page = page.values.into();
            self.next = Some(page.next).filter(|next| !next.is_empty());
        }
    }

    /// All elements that are left.
    pub async fn collect<C: Default + Extend<T>>(mut self) -> Result<C> {
        let mut all = C::default();
        while let Some(element) = self.try_next().await? {
            all.extend([element]);
        }
        Ok(all)
    }
}
