//! Log lines to stderr and traces to an OTLP endpoint.
//!
//! Part of the command line only: a program that embeds a server has a subscriber of its own.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use crate::Config;
use crate::config::LogFormat;

/// How long the last traces may take on their way when the server ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// What has to be brought to an end with the server.
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Installs the subscriber of this process. Needs a tokio runtime if traces are to be sent.
    pub(crate) fn install(config: &Config) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_new(&config.log_filter)
            .with_context(|| format!("log-filter {:?} is not a filter", config.log_filter))?;
        let lines = fmt::layer().with_writer(io::stderr);
        let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
            LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).with_filter(filter).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        };
        let traces = config.otlp_endpoint.as_deref().map(trace_provider).transpose()?;
        // Only spans of our own: those of the exporter's HTTP client would make new ones with each export.
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("perper-fabric"))
                .with_filter(Targets::new().with_target("perper_fabric", LevelFilter::INFO))
        });
        tracing_subscriber::registry()
            .with(lines)
            .with(spans)
            .try_init()
            .context("a subscriber is installed already")?;
        Ok(Self { traces })
    }

    /// Sends what is left of the traces.
    pub(crate) async fn end(self) {
        let Some(traces) = self.traces else { return };
        // It waits for a thread of its own, which sends by means of this runtime.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces could not be sent"),
            Err(error) => tracing::warn!(%error, "the last traces could not be sent"),
        }
    }
}

fn trace_provider(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("otlp-endpoint {endpoint:?} cannot be used"))?;
    let resource = Resource::builder()
        .with_service_name("perper-fabric")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
