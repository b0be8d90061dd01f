//! The log and the metrics of the process.
use crate::config::{Global, LogFormat};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{io::IsTerminal as _, sync::OnceLock};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Upper bounds of the buckets of every histogram of seconds.
const SECONDS: [f64; 14] =
    [0.0001, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Starts the log; a second call changes nothing.
pub fn init_log(global: &Global) {
    let filter = EnvFilter::try_new(&global.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    // Standard output belongs to what commands print. A log that nobody reads any more is no reason to panic, which telling
    // of it on the same closed pipe would be.
    let started = match global.log_format {
        LogFormat::Text => {
            // Colours are for a terminal, and for whoever wants them there (no-color.org).
            let colours =
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
            let text = fmt::layer().with_writer(std::io::stderr).with_ansi(colours).log_internal_errors(false);
            registry.with(text).try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().with_writer(std::io::stderr).log_internal_errors(false)).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

/// The metrics of this process; the recorder is installed at the first call.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder =
            match PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS) {
                Ok(with_buckets) => with_buckets,
                Err(error) => {
                    tracing::warn!(%error, "metrics have no histogram buckets");
                    builder
                }
            };
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; these metrics stay empty");
        }
        handle
    })
}

/// Sets a gauge, for services that measure nothing else.
pub fn gauge(name: &'static str, value: f64) {
    metrics::gauge!(name).set(value);
}
