use perper::protocol::{
    Fabric, ListenFrom, Listener, ListenerOptions, NewStream, StreamOptions, WriterOptions,
};

use super::{
    load::Load,
    tally::{Found, Kind},
};

use bytes::Bytes;

/// Items between two waits for their arrival.
const ROUND: u64 = 40;

/// An ephemeral stream, from a writer to a listener in another session: every item once, in order, to the end.
pub(super) struct Relay {
    load: Load,
    writer: Fabric,
    /// Kept, since its session is the listener's.
    _reader: Fabric,
    listener: Listener,
    stream: String,
    written: u64,
}

impl Relay {
    pub(super) async fn start(load: Load) -> Result<Self, Found> {
        let (writer, reader) = (load.connect().await?, load.connect().await?);
        let stream = writer.new_id();
        // Few enough that the writer has to wait now and then.
        let options = StreamOptions { backlog_items: 10 * ROUND, ..StreamOptions::default() };
        let created = writer.create_stream(NewStream { options, ..NewStream::new(&stream) });
        load.ok(created, "creating a stream").await?;
        let options = ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new(&stream) };
        let mut listener = reader.attach_listener(options);
        load.ok(listener.attached(), "attaching a listener").await?;
        Ok(Relay { load, writer, _reader: reader, listener, stream, written: 0 })
    }

    /// Writes and listens until told to stop; the stream has ended then, and everything has come.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let Relay { load, writer, listener, stream, written, .. } = self;
        let load = &*load;
        let writing = async {
            let items = writer.writer(WriterOptions::new(stream.clone()));
            while !load.stopped() {
                for _ in 0..ROUND {
                    load.ok(items.write(&load.value(written)?), "writing an item").await?;
                    *written += 1;
                }
                load.ok(items.flush(), "flushing items").await?;
            }
            let completed = writer.complete_stream(stream.clone(), Bytes::new(), None);
            load.ok(completed, "completing a stream").await?;
            Ok(*written)
        };
        let listening = async {
            let mut expected = 0;
            while let Some(item) = load.ok(listener.next(), "listening").await? {
                let number: u64 = load.read(&item.value, "an item")?;
                let text =
                    || format!("a listener got item {number} of stream {stream} in place of {expected}");
                if number < expected {
                    return Err(load.tally().duplicated(text()));
                }
                if number > expected {
                    return Err(load.tally().lost(text()));
                }
                expected += 1;
                load.tally().acknowledge(Kind::Delivery);
            }
            Ok(expected)
        };
        let (written, came) = tokio::try_join!(writing, listening)?;
        if written != came {
            let text = format!("stream {stream} ended after {came} of {written} items");
            return Err(load.tally().lost(text));
        }
        Ok(())
    }

    /// The stream's own account.
    pub(super) async fn verify(&mut self) -> Result<(), Found> {
        let info = self.load.ok(self.writer.get_stream(&self.stream), "getting a stream").await?;
        if info.items_written != self.written || info.end.is_none() {
            let text = format!("{} items were written to an ended stream that is {info:?}", self.written);
            return Err(self.load.tally().wrong(text));
        }
        Ok(())
    }
}
