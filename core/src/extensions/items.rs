use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context as Poller, Poll, ready},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::ambient::context;
use crate::{
    Error, Result,
    model::Stream,
    protocol::{
        Fabric, Item, ItemsPage, ListenFrom, Listener, ListenerOptions, Reply, StreamInfo, Writer,
        WriterOptions,
    },
};

/// Reading and writing, in the current context.
impl Stream {
    /// The values of the items, from where the reference says: the latest, or where
    /// [`replay`](Stream::replay) has put it.
    ///
    /// ```no_run
    /// # async fn example(numbers: perper::Stream) -> perper::Result<()> {
    /// let mut items = numbers.items::<i64>();
    /// while let Some(number) = items.try_next().await? {
    ///     println!("{number}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn items<T: DeserializeOwned>(&self) -> Items<T> {
        self.listen().items()
    }

    /// The items with their keys; otherwise as [`items`](Stream::items).
    pub fn entries<T: DeserializeOwned>(&self) -> Entries<T> {
        self.listen().entries()
    }

    /// Listens in another way than the usual: under a name, with another window.
    pub fn listen(&self) -> ListenBuilder {
        let context = context();
        let from = match self.start {
            None => ListenFrom::Latest,
            Some(i64::MIN) => ListenFrom::Beginning,
            Some(key) => ListenFrom::Key(key),
        };
        let options = ListenerOptions {
            from,
            local_to_data: self.local_to_data,
            owner: context.as_ref().ok().and_then(|context| context.owner()),
            ..ListenerOptions::new(&self.stream)
        };
        ListenBuilder { fabric: context.map(|context| context.fabric().clone()), options }
    }

    /// Writes an item with an automatic key, waits until it is in the stream, and gives its key.
    ///
    /// For many items use a [`writer`](Stream::writer).
    pub async fn write<T: Serialize + ?Sized>(&self, item: &T) -> Result<i64> {
        let value = perper_values::to_vec(item)?;
        context()?.fabric().write_items(&self.stream, Bytes::new(), [value.into()]).await
    }

    /// Writes an item at that key and waits until it is in the stream.
    pub async fn write_keyed<T: Serialize + ?Sized>(&self, key: i64, item: &T) -> Result<()> {
        let writer = self.writer()?;
        writer.write_keyed(key, item).await?;
        writer.flush().await
    }

    /// Writes items as fast as they come, in batches.
    pub fn writer(&self) -> Result<StreamWriter> {
        let options = WriterOptions { stride: self.stride, ..WriterOptions::new(&self.stream) };
        Ok(StreamWriter(context()?.fabric().writer(options)))
    }

    /// Ends the stream: its listeners get what is left, then the end.
    pub async fn complete(&self) -> Result<()> {
        self.end(None).await
    }

    /// Ends the stream with an error, which its listeners get after the last item.
    pub async fn fail(&self, error: Error) -> Result<()> {
        self.end(Some(error)).await
    }

    async fn end(&self, error: Option<Error>) -> Result<()> {
        context()?.fabric().complete_stream(&self.stream, Bytes::new(), error.as_ref()).await
    }

    /// A page of items as they are now, at most `limit` of them (0: as many as the Fabric likes), from that key on.
    pub async fn read(&self, from_key: Option<i64>, limit: u32) -> Result<ItemsPage> {
        context()?.fabric().read_items(&self.stream, from_key, limit).await
    }

    /// How the stream stands.
    pub async fn info(&self) -> Result<StreamInfo> {
        context()?.fabric().get_stream(&self.stream).await
    }

    /// Waits until the stream has, or has had, a listener.
    pub async fn wait_for_listener(&self) -> Result<()> {
        context()?.fabric().wait_for_listener(&self.stream).await
    }

    /// Removes a named listener and its place.
    pub async fn remove_listener(&self, name: &str) -> Result<()> {
        context()?.fabric().remove_listener(&self.stream, name).await
    }

    /// Destroys the stream and its items, and cancels its generator.
    pub async fn destroy(&self) -> Result<()> {
        let destroyed: Reply<()> = context()?.fabric().destroy_stream(&self.stream);
        destroyed.await
    }
}

/// A listener in the making; see [`Stream::listen`].
#[must_use = "it does not listen until it is asked for items"]
#[derive(Debug)]
pub struct ListenBuilder {
    fabric: Result<Fabric>,
    options: ListenerOptions,
}

impl ListenBuilder {
    /// Makes the listener durable: whoever attaches under that name goes on behind what was processed. Its place belongs
    /// to the current instance, and is kept until then or until [`remove_listener`](Stream::remove_listener).
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// How many items, and bytes of them, may be on their way here before they are taken.
    pub fn window(mut self, items: u64, bytes: u64) -> Self {
        (self.options.items, self.options.bytes) = (items, bytes);
        self
    }

    /// The values of the items.
    pub fn items<T: DeserializeOwned>(self) -> Items<T> {
        Items(self.entries())
    }

    /// The items with their keys.
    pub fn entries<T: DeserializeOwned>(self) -> Entries<T> {
        let listener = self.fabric.map(|fabric| fabric.attach_listener(self.options));
        Entries { listener: Some(listener), of: PhantomData }
    }

    /// The items undecoded, in batches if wanted.
    pub fn listener(self) -> Result<Listener> {
        Ok(self.fabric?.attach_listener(self.options))
    }
}

/// The keys and values of a stream's items, in order, each once.
///
/// Asking for the next item says that the last one is processed. Dropping it detaches without waiting and says nothing
/// more. After the end, and after an error, there is nothing.
///
/// It keeps the connection that was current when it was made, wherever it is used.
#[derive(Debug)]
pub struct Entries<T> {
    /// `None` when it is over.
    listener: Option<Result<Listener>>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Entries<T> {
    /// The next item; `None` when the stream has ended well. An item of another type is an error, after which the rest
    /// can still be asked for.
    pub async fn try_next(&mut self) -> Result<Option<(i64, T)>> {
        poll_fn(|poller| self.poll_entry(poller)).await
    }

    /// Waits until the listener is attached: everything that is written from now on will come.
    pub async fn attached(&mut self) -> Result<()> {
        match &mut self.listener {
            Some(Ok(listener)) => listener.attached().await.map(drop),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn poll_entry(&mut self, poller: &mut Poller<'_>) -> Poll<Result<Option<(i64, T)>>> {
        let next = match &mut self.listener {
            None => return Poll::Ready(Ok(None)),
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(listener)) => ready!(listener.poll_next(poller)),
        };
        match next {
            Ok(Some(Item { key, value })) => Poll::Ready(
                perper_values::from_slice(&value)
                    .map(|value| Some((key, value)))
                    .map_err(|error| Error::from(error).with("key", key)),
            ),
            over => {
                self.listener = None;
                Poll::Ready(over.map(|_| None))
            }
        }
    }
}

impl<T: DeserializeOwned> futures_core::Stream for Entries<T> {
    type Item = Result<(i64, T)>;

    fn poll_next(self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_entry(poller).map(Result::transpose)
    }
}

/// The values of a stream's items, in order, each once; see [`Entries`].
#[derive(Debug)]
pub struct Items<T>(Entries<T>);

impl<T: DeserializeOwned> Items<T> {
    /// As [`Entries::try_next`].
    pub async fn try_next(&mut self) -> Result<Option<T>> {
        Ok(self.0.try_next().await?.map(|(_, value)| value))
    }

    /// As [`Entries::attached`].
    pub async fn attached(&mut self) -> Result<()> {
        self.0.attached().await
    }
}

impl<T: DeserializeOwned> futures_core::Stream for Items<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.get_mut().0.poll_entry(poller));
        Poll::Ready(entry.map(|entry| entry.map(|(_, value)| value)).transpose())
    }
}

/// Writes items of a blank stream as fast as they come; see [`Stream::writer`].
///
/// Writing waits only when much is on its way. A batch that is refused closes the writer: every later call gets the
/// reason. [`flush`](StreamWriter::flush) tells whether everything has arrived; dropping the writer loses nothing.
#[derive(Debug)]
pub struct StreamWriter(Writer);

impl StreamWriter {
    /// Writes an item with an automatic key.
    pub async fn write<T: Serialize + ?Sized>(&self, item: &T) -> Result<()> {
        self.0.write(&perper_values::to_vec(item)?).await
    }

    /// Writes an item at that key.
    pub async fn write_keyed<T: Serialize + ?Sized>(&self, key: i64, item: &T) -> Result<()> {
        self.0.write_keyed(key, &perper_values::to_vec(item)?).await
    }

    /// Waits until everything written so far is in the stream.
    pub async fn flush(&self) -> Result<()> {
        self.0.flush().await
    }
}
