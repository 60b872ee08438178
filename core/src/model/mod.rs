//! The model: references to what lives in the Fabric. Plain data, without a connection, that serialises inside any
//! other value as `docs/values.md` describes.

mod agent;
mod dictionary;
mod execution;
mod list;
mod reference;
mod stream;

pub use agent::Agent;
pub use dictionary::Dictionary;
pub use execution::Execution;
pub use list::List;
pub use stream::Stream;

#[cfg(test)]
mod tests;
