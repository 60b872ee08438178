//! Public types cross threads: a compile-time test.

use crate::{application, extensions, model, protocol};

const fn is_send_and_sync<T: Send + Sync + 'static>() {}
const fn is_send<T: Send>(_: &T) {}

const _: () = {
    is_send_and_sync::<crate::Error>();
    is_send_and_sync::<application::AgentBuilder>();
    is_send_and_sync::<application::RunningAgent>();
    is_send_and_sync::<application::worker::Invocation>();
    is_send_and_sync::<application::worker::Port>();
    is_send_and_sync::<application::worker::Worker>();
    is_send_and_sync::<extensions::Context>();
    is_send_and_sync::<extensions::DictionaryEntries<u64, u64>>();
    is_send_and_sync::<extensions::Entries<u64>>();
    is_send_and_sync::<extensions::ListElements<u64>>();
    is_send_and_sync::<extensions::StreamWriter>();
    is_send_and_sync::<model::Agent>();
    is_send_and_sync::<model::Dictionary>();
    is_send_and_sync::<model::Execution>();
    is_send_and_sync::<model::List>();
    is_send_and_sync::<model::Stream>();
    is_send_and_sync::<protocol::Batch>();
    is_send_and_sync::<protocol::Call>();
    is_send_and_sync::<protocol::Fabric>();
    is_send_and_sync::<protocol::Listen>();
    is_send_and_sync::<protocol::Listener>();
    is_send_and_sync::<protocol::Reply<u64>>();
    is_send_and_sync::<protocol::Settings>();
    is_send_and_sync::<protocol::Watch>();
    is_send_and_sync::<protocol::Writer>();
};

/// Futures move between the threads of a runtime.
#[expect(dead_code, reason = "compiling it is the test")]
fn futures_are_send(
    fabric: &protocol::Fabric,
    listen: &mut protocol::Listen,
    listener: &mut protocol::Listener,
    watch: &mut protocol::Watch,
    writer: &protocol::Writer,
) {
    is_send(&protocol::Fabric::connect(protocol::Settings::default()));
    is_send(&fabric.close());
    is_send(&fabric.list_agents(protocol::PageRequest::default()));
    is_send(&listen.next());
    is_send(&listener.next());
    is_send(&watch.next());
    is_send(&writer.write(b""));
    is_send(&writer.flush());
}
