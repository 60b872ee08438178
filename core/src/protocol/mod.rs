//! The protocol client: a [`Fabric`] and the operations on it, named as in the protocol. No ambient state.

mod connect;
mod dispatch;
mod driver;
mod executions;
mod fabric;
mod hub;
mod inspection;
mod instances;
mod items;
mod listen;
mod machines;
mod pump;
mod random;
mod reply;
mod request;
mod settings;
mod states;
mod streams;
mod subscriptions;
mod unary;
mod watch;
mod writer;

pub use executions::{Call, ExecutionInfo, ExecutionState, NewExecution, Parent};
pub use fabric::{Fabric, Server};
pub use inspection::{
    AgentInfo, InstanceInfo, ListenerInfo, Page, PageRequest, SessionInfo, StateInfo, StateKind,
};
pub use instances::{NewInstance, StartedInstance};
pub use items::{Batch, Item, ListenFrom, Listener, ListenerOptions, ListenerStart};
pub use listen::{
    Activation, CreditReturn, ExecutionFilter, LinkedStream, Listen, ListenEvent, ListenOptions,
};
pub use reply::Reply;
pub use settings::{DEFAULT_ENDPOINT, Environment, Settings, Strings};
pub use states::{
    DictionaryOperation, DictionaryPage, DictionaryResult, DictionaryUpdate, ListOperation, ListPage,
    ListResult,
};
pub use streams::{ItemsPage, NewStream, StreamEnd, StreamInfo, StreamOptions};
pub use watch::{Watch, WatchEvent, WatchOptions};
pub use writer::{Writer, WriterOptions};
