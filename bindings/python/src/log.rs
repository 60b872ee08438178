//! What the core logs, on its way to Python's `logging`: kept here until a thread of Python comes for it, since no thread
//! of ours goes into the interpreter.

use std::{
    collections::VecDeque,
    fmt::{Debug, Write as _},
    sync::{Mutex, Once, PoisonError},
};

use pyo3::prelude::*;
use tokio::sync::Notify;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::runtime;

/// More than that at a time is not kept: who logs so much says the same again and again.
const KEPT: usize = 1_000;

type Line = (u8, String, String);

static LINES: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());
static NEWS: Notify = Notify::const_new();

/// Begins to keep what is logged. A subscriber that is installed already stays.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(tracing::subscriber::set_global_default(Keeper)));
}

/// Waits for lines, and takes them: the level as `logging` has it, the place, and the message.
#[pyfunction]
pub(crate) fn take_log(py: Python<'_>) -> PyResult<Vec<Line>> {
    loop {
        let lines: Vec<_> = LINES.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        if !lines.is_empty() {
            return Ok(lines);
        }
        runtime::wait(py, None, NEWS.notified())?;
    }
}

struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN && metadata.target().starts_with("perper")
    }

    fn event(&self, event: &Event<'_>) {
        let level = if *event.metadata().level() == Level::ERROR { 40 } else { 30 };
        let mut text = Text::default();
        event.record(&mut text);
        let place = event.metadata().target().replace("::", ".");
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < KEPT {
            lines.push_back((level, place, text.message + &text.fields));
            NEWS.notify_one();
        }
    }

    // There are no spans here: none is enabled.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The message, and the other fields behind it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a `String` cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
