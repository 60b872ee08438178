//! Who may speak to the server: TLS with or without certificates of clients, and bearer tokens.

mod bearer;
mod tls;
mod tokens;

pub(crate) use bearer::{Bearer, BearerLayer};
pub(crate) use tls::{TlsContext, explain};
pub(crate) use tokens::Tokens;
