use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::sync::Notify;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

use crate::{NativeError, runtime};

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something that may become a failure.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer may want to know.
    Debug,
}

/// One thing that the core has to say.
#[derive(Debug, Clone, uniffi::Record)]
pub struct LogRecord {
    /// How much it matters.
    pub level: LogLevel,
    /// Which part says it.
    pub target: String,
    /// What it says, with its values.
    pub message: String,
}

/// What the core has to say, for the language's own logging. The first to ask for it in a process gets it.
#[derive(Debug, uniffi::Object)]
pub struct Logs {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    records: Mutex<VecDeque<LogRecord>>,
    more: Notify,
}

/// Records kept for a reader that is slow. What is older goes.
const KEPT: usize = 1024;

#[uniffi::export]
impl Logs {
    /// From now on, everything of that level and above goes here. `None` where the process has a subscriber already.
    #[uniffi::constructor]
    pub fn capture(level: LogLevel) -> Arc<Self> {
        static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();
        let queue = QUEUE.get_or_init(|| {
            let queue = Arc::new(Queue::default());
            let layer = Capture(queue.clone()).with_filter(LevelFilter::from_level(level.into()));
            // A process that has a subscriber already, such as a test of Rust, keeps it; then nothing comes here.
            drop(tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)));
            queue
        });
        Arc::new(Logs { queue: queue.clone() })
    }

    /// Waits for records and takes them. Giving up loses nothing.
    pub async fn next(&self) -> Result<Vec<LogRecord>, NativeError> {
        runtime::within(async {
            loop {
                let more = self.queue.more.notified();
                let records = std::mem::take(&mut *self.queue.lock());
                if !records.is_empty() {
                    return records.into();
                }
                more.await;
            }
        })
        .await
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<LogRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Capture(Arc<Queue>);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let record = LogRecord {
            level: (*metadata.level()).into(),
            target: metadata.target().to_owned(),
            message: format!("{}{}", text.message, text.values),
        };
        let mut records = self.0.lock();
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(record);
        drop(records);
        self.0.more.notify_one();
    }
}

#[derive(Default)]
struct Text {
    message: String,
    values: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.values, " {name}={value:?}"),
        };
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        }
    }
}
