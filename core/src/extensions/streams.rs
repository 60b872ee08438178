use bytes::Bytes;
use serde::Serialize;

use super::{ambient::context, calls::encode_arguments, context::Context};
use crate::{
    Result,
    model::Stream,
    protocol::{NewExecution, NewStream, Reply, StreamOptions},
};

/// A stream that a delegate of the current instance will fill; [`start`](StreamBuilder::start) creates it.
///
/// Without options it is ephemeral (items that everybody has processed are removed), unpacked (keys are times), and its
/// generator starts with the first listener.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let numbers = perper::stream("Numbers").packed(1).persistent().start((0, 100)).await?;
/// let mut items = numbers.items::<i64>();
/// while let Some(number) = items.try_next().await? {
///     println!("{number}");
/// }
/// # Ok(())
/// # }
/// ```
pub fn stream(delegate: impl Into<String>) -> StreamBuilder {
    StreamBuilder { context: None, delegate: delegate.into(), options: StreamOptions::default() }
}

/// A stream that is filled from outside of generators: anybody who has the reference may write.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let orders = perper::blank_stream().persistent().create().await?;
/// orders.write(&"apples").await?;
/// orders.complete().await?;
/// # Ok(())
/// # }
/// ```
pub fn blank_stream() -> BlankStreamBuilder {
    BlankStreamBuilder { context: None, options: StreamOptions::default() }
}

/// Creates a stream whose generator is started later, so that streams can refer to each other in a circle.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let ping = perper::declare_stream("Ping").await?;
/// let pong = perper::stream("Pong").start(ping.stream()).await?;
/// let ping = ping.start(&pong).await?;
/// # drop(ping);
/// # Ok(())
/// # }
/// ```
pub async fn declare_stream(delegate: impl Into<String>) -> Result<DeclaredStream> {
    stream(delegate).declare().await
}

impl Context {
    /// As [`stream`].
    pub fn stream(&self, delegate: impl Into<String>) -> StreamBuilder {
        StreamBuilder { context: Some(self.clone()), ..stream(delegate) }
    }

    /// As [`blank_stream`].
    pub fn blank_stream(&self) -> BlankStreamBuilder {
        BlankStreamBuilder { context: Some(self.clone()), ..blank_stream() }
    }

    /// As [`declare_stream`].
    pub async fn declare_stream(&self, delegate: impl Into<String>) -> Result<DeclaredStream> {
        self.stream(delegate).declare().await
    }
}

macro_rules! options {
    () => {
        /// Keeps items that everybody has processed.
        pub fn persistent(mut self) -> Self {
            self.options.persistent = true;
            self
        }

        /// Removes items that everybody has processed. The default.
        pub fn ephemeral(mut self) -> Self {
            self.options.persistent = false;
            self
        }

        /// Makes keys `first key + n * stride`, which may be written in any order; listeners get them in order.
        pub fn packed(mut self, stride: u64) -> Self {
            self.options.stride = stride;
            self
        }

        /// The first key of a packed stream; 0 otherwise.
        pub fn first_key(mut self, key: i64) -> Self {
            self.options.first_key = key;
            self
        }

        /// Indexes members of the items, so that they can be queried.
        pub fn indexed(mut self, members: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.options.indexed_fields.extend(members.into_iter().map(Into::into));
            self
        }

        /// Lets writers wait while that many items are unread by the slowest listener. Mind circles of streams, which may
        /// come to wait for each other.
        pub fn backlog(mut self, items: u64) -> Self {
            self.options.backlog_items = items;
            self
        }
    };
}

/// See [`stream`].
#[must_use = "a stream is created when it is started"]
#[derive(Clone, Debug)]
pub struct StreamBuilder {
    context: Option<Context>,
    delegate: String,
    options: StreamOptions,
}

impl StreamBuilder {
    options!();

    /// Starts the generator at once, not with the first listener.
    pub fn action(mut self) -> Self {
        self.options.action = true;
        self
    }

    /// Creates the stream and the execution of its generator. The stream belongs to the current instance.
    pub async fn start(self, arguments: impl Serialize) -> Result<Stream> {
        let (stream, creation, _) = self.begin(encode_arguments(&arguments)?)?;
        creation.await?;
        Ok(stream)
    }

    /// As [`start`](StreamBuilder::start), without waiting for the Fabric: whoever gets the reference finds the stream.
    /// Should it fail, so does the execution of the handler in which this is called.
    pub fn start_now(self, arguments: impl Serialize) -> Result<Stream> {
        let (stream, creation, context) = self.begin(encode_arguments(&arguments)?)?;
        context.created(creation);
        Ok(stream)
    }

    /// Creates the stream without its generator.
    pub async fn declare(self) -> Result<DeclaredStream> {
        let context = current(&self.context)?;
        let (stream, created) = create(&context, &self.options, true, String::new());
        created.await?;
        Ok(DeclaredStream { stream, builder: StreamBuilder { context: Some(context), ..self } })
    }

    /// Makes both requests, in their order, and gives what to wait for.
    fn begin(
        self,
        arguments: Vec<Bytes>,
    ) -> Result<(Stream, impl Future<Output = Result<()>> + Send + 'static, Context)> {
        let context = current(&self.context)?;
        let execution = context.fabric().new_id();
        let (stream, created) = create(&context, &self.options, false, execution.clone());
        let execution = generator(&context, &self.delegate, &self.options, &stream, execution, arguments);
        let started = context.fabric().create_execution(execution);
        let creation = async move {
            created.await?;
            started.await.map(drop)
        };
        Ok((stream, creation, context))
    }
}

/// A stream whose generator has not been started; see [`declare_stream`].
#[derive(Clone, Debug)]
pub struct DeclaredStream {
    stream: Stream,
    builder: StreamBuilder,
}

impl DeclaredStream {
    /// The reference, to hand on before there is anything in it.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Starts the generator, with the options that the stream was declared with.
    pub async fn start(self, arguments: impl Serialize) -> Result<Stream> {
        let context = current(&self.builder.context)?;
        let arguments = encode_arguments(&arguments)?;
        let fabric = context.fabric();
        let (stream, options) = (self.stream, self.builder.options);
        let execution = fabric.new_id();
        let frozen = fabric.start_stream(&stream.stream, options.clone(), &execution);
        let execution = generator(&context, &self.builder.delegate, &options, &stream, execution, arguments);
        let started = fabric.create_execution(execution);
        frozen.await?;
        started.await?;
        Ok(stream)
    }
}

/// See [`blank_stream`].
#[must_use = "nothing is created until `create`"]
#[derive(Clone, Debug)]
pub struct BlankStreamBuilder {
    context: Option<Context>,
    options: StreamOptions,
}

impl BlankStreamBuilder {
    options!();

    /// Creates the stream. It belongs to the current instance.
    pub async fn create(self) -> Result<Stream> {
        let (stream, created) = create(&current(&self.context)?, &self.options, false, String::new());
        created.await?;
        Ok(stream)
    }

    /// As [`create`](BlankStreamBuilder::create), without waiting for the Fabric; see [`StreamBuilder::start_now`].
    pub fn create_now(self) -> Result<Stream> {
        let context = current(&self.context)?;
        let (stream, created) = create(&context, &self.options, false, String::new());
        context.created(created);
        Ok(stream)
    }
}

fn current(explicit: &Option<Context>) -> Result<Context> {
    explicit.clone().map_or_else(context, Ok)
}

/// Requests a stream of the current instance.
pub(crate) fn create(
    context: &Context,
    options: &StreamOptions,
    declared: bool,
    linked_execution: String,
) -> (Stream, Reply<()>) {
    let stream = NewStream {
        options: options.clone(),
        owner: context.owner(),
        declared,
        linked_execution,
        ..NewStream::new(context.fabric().new_id())
    };
    let reference = Stream::new(&stream.stream).packed(options.stride);
    (reference, context.fabric().create_stream(stream))
}

/// The execution that fills a stream: it outlives its maker, so it has an owner instead of a parent, and no deadline.
pub(crate) fn generator(
    context: &Context,
    delegate: &str,
    options: &StreamOptions,
    stream: &Stream,
    execution: String,
    arguments: Vec<Bytes>,
) -> NewExecution {
    let call = context.new_call(&context.agent(), delegate, arguments);
    NewExecution {
        execution,
        parent: None,
        owner: context.owner(),
        timeout: None,
        linked_stream: stream.stream.clone(),
        starts_on_listener: !options.action,
        ..call
    }
}
