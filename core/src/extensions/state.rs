use std::marker::PhantomData;

use bytes::Bytes;

use super::{ambient::context, context::Context};
use crate::{
    Error, ErrorKind, Result,
    model::{Dictionary, List},
    protocol::Reply,
};

/// The dictionary of the current instance: its state. It exists from its first use on, and goes with the instance.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let visits = perper::state()?.get::<u64>("visits").await?.unwrap_or(0);
/// perper::state()?.set("visits", &(visits + 1)).await?;
/// # Ok(())
/// # }
/// ```
pub fn state() -> Result<Dictionary> {
    context()?.state()
}

/// Another dictionary, of the current instance or of nobody; [`create`](StateBuilder::create) creates it.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let prices = perper::dictionary().named("prices").create().await?;
/// prices.set("apples", &1.5).await?;
/// # Ok(())
/// # }
/// ```
pub fn dictionary() -> StateBuilder<Dictionary> {
    StateBuilder::new(None)
}

/// A list, of the current instance or of nobody; [`create`](StateBuilder::create) creates it.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let queue = perper::list().create().await?;
/// queue.add(&"first").await?;
/// assert_eq!(queue.dequeue::<String>().await?.as_deref(), Some("first"));
/// # Ok(())
/// # }
/// ```
pub fn list() -> StateBuilder<List> {
    StateBuilder::new(None)
}

impl Context {
    /// As [`state`].
    pub fn state(&self) -> Result<Dictionary> {
        let instance = self.instance();
        if instance.is_empty() {
            let message = "this context belongs to no instance, so it has no state; use `dictionary()`, or call \
                           this from a handler";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let incarnation = self.execution_scope().map_or(0, |execution| execution.incarnation);
        if self.connection().needs_state(instance, incarnation) {
            let created = self.fabric().create_dictionary(instance, self.owner(), Vec::new(), Bytes::new());
            let context = self.clone();
            self.created(async move {
                let outcome = created.await;
                if outcome.is_err() {
                    context.connection().forget_state(context.instance(), incarnation);
                }
                outcome
            });
        }
        Ok(Dictionary::new(instance))
    }

    /// As [`dictionary`].
    pub fn dictionary(&self) -> StateBuilder<Dictionary> {
        StateBuilder::new(Some(self.clone()))
    }

    /// As [`list`].
    pub fn list(&self) -> StateBuilder<List> {
        StateBuilder::new(Some(self.clone()))
    }
}

/// A dictionary or a list in the making; see [`dictionary`] and [`list`].
#[must_use = "nothing is created until `create`"]
#[derive(Clone, Debug)]
pub struct StateBuilder<T> {
    context: Option<Context>,
    name: Option<String>,
    detached: bool,
    indexed_fields: Vec<String>,
    of: PhantomData<fn() -> T>,
}

/// What a [`StateBuilder`] makes.
pub trait StateKind: Sized + private::Sealed {
    #[doc(hidden)]
    fn new(id: String) -> Self;
    #[doc(hidden)]
    fn request(id: &str, owner: Option<String>, indexed_fields: Vec<String>, context: &Context) -> Reply<()>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::Dictionary {}
    impl Sealed for super::List {}
}

impl StateKind for Dictionary {
    fn new(id: String) -> Self {
        Dictionary::new(id)
    }

    fn request(id: &str, owner: Option<String>, indexed_fields: Vec<String>, context: &Context) -> Reply<()> {
        context.fabric().create_dictionary(id, owner, indexed_fields, Bytes::new())
    }
}

impl StateKind for List {
    fn new(id: String) -> Self {
        List::new(id)
    }

    fn request(id: &str, owner: Option<String>, _: Vec<String>, context: &Context) -> Reply<()> {
        context.fabric().create_list(id, owner, Bytes::new())
    }
}

impl<T: StateKind> StateBuilder<T> {
    fn new(context: Option<Context>) -> Self {
        StateBuilder { context, name: None, detached: false, indexed_fields: Vec::new(), of: PhantomData }
    }

    /// Gives it a name within the instance, so that it is found again: creating it a second time gives the same one.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets it outlive the current instance: it stays until somebody destroys it.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Creates it.
    pub async fn create(self) -> Result<T> {
        let (state, created, _) = self.begin()?;
        created.await?;
        Ok(state)
    }

    /// As [`create`](StateBuilder::create), without waiting for the Fabric. Should it fail, so does the execution of the
    /// handler in which this is called.
    pub fn create_now(self) -> Result<T> {
        let (state, created, context) = self.begin()?;
        context.created(created);
        Ok(state)
    }

    fn begin(self) -> Result<(T, Reply<()>, Context)> {
        let context = self.context.map_or_else(context, Ok)?;
        let id = match &self.name {
            Some(name) => format!("{}/{name}", context.instance()),
            None => context.fabric().new_id(),
        };
        let owner = context.owner().filter(|_| !self.detached);
        let created = T::request(&id, owner, self.indexed_fields, &context);
        Ok((T::new(id), created, context))
    }
}

impl StateBuilder<Dictionary> {
    /// Indexes members of the values, so that they can be queried.
    pub fn indexed(mut self, members: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.indexed_fields.extend(members.into_iter().map(Into::into));
        self
    }
}
