//! Standard output: one JSON object a line, and nothing else.

use std::io::Write as _;

use serde_json::{Value as Json, json};

/// The name that the harness has given this process.
pub(crate) fn name() -> String {
    std::env::var("PERPER_CONFORMANCE_NAME").unwrap_or_default()
}

pub(crate) fn line(json: &Json) {
    let mut out = std::io::stdout().lock();
    // Without a harness there is nobody to tell.
    drop(writeln!(out, "{json}").and_then(|()| out.flush()));
}

/// Tells the harness of something that happened in a handler.
pub(crate) fn event(event: &str, detail: Json) {
    let context = perper::try_context();
    let instance = context.as_ref().map(|context| context.instance());
    line(&json!({ "event": event, "instance": instance, "detail": detail }));
}

/// Tells when it is dropped: a handler that is cancelled ends without another word.
pub(crate) struct Cancelled(Json);

impl Cancelled {
    pub(crate) fn new() -> Self {
        let instance = perper::try_context().map(|context| context.instance().to_owned());
        Cancelled(json!({ "event": "cancelled", "instance": instance, "detail": null }))
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        line(&self.0);
    }
}
