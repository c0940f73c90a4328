//! Traces, where they are asked for: from a record's own context in Kafka, over the flush that
//! committed it, to the judgement of its window.
//!
//! A flush holds many records and a window many flushes, so spans are linked and not nested. The
//! context of a flush is stored with its tallies, as the text of W3C's `traceparent`; whoever judges
//! them, later and elsewhere, links to it. Without an address nothing is kept and nothing is sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

/// Links of one span at most.
const LINKS: usize = 32;

static ON: AtomicBool = AtomicBool::new(false);

/// Keeps traces going; what is left is sent when it is dropped.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends spans to an OTLP collector by HTTP, such as `http://collector:4318`.
    ///
    /// # Errors
    /// If the address is none.
    pub fn install(collector: &str) -> anyhow::Result<Traces> {
        // Another part may have installed it; there is only this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = format!("{}/v1/traces", collector.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(address).build()?;
        let service = Resource::builder()
            .with_service_name("driftd")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(service).build();
        global::set_tracer_provider(provider.clone());
        ON.store(true, Ordering::Release);
        Ok(Traces(provider))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is away has had its chance.
        let _ = self.0.shutdown();
    }
}

/// Whether traces are kept at all.
pub fn on() -> bool {
    ON.load(Ordering::Acquire)
}

/// Whether a record's context is worth keeping: traces are on, and its producer sampled it.
pub fn wanted(traceparent: &[u8]) -> bool {
    on() && std::str::from_utf8(traceparent).is_ok_and(|t| context(t).is_some_and(|c| c.is_sampled()))
}

/// Adds a context to those that a span will link to, as long as there is room.
pub fn keep(links: &mut Vec<String>, traceparent: String) {
    if links.len() < LINKS && !links.contains(&traceparent) {
        links.push(traceparent);
    }
}

/// Writes down a span that began at some time and ends now. Gives its context as a `traceparent`;
/// `None` if traces are off.
pub fn span(
    name: &'static str,
    began: SystemTime,
    links: &[String],
    attributes: impl IntoIterator<Item = (&'static str, String)>,
) -> Option<String> {
    if !ON.load(Ordering::Acquire) {
        return None;
    }
    let tracer = global::tracer("driftd");
    let links = links.iter().filter_map(|l| context(l)).map(|c| Link::new(c, Vec::new(), 0)).collect();
    let attributes: Vec<KeyValue> = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
    let builder = tracer.span_builder(name).with_kind(SpanKind::Consumer).with_start_time(began);
    let mut span = builder.with_links(links).with_attributes(attributes).start(&tracer);
    let own = span.span_context().clone();
    span.end();
    own.is_valid().then(|| format!("00-{}-{}-{:02x}", own.trace_id(), own.span_id(), own.trace_flags().to_u8()))
}

/// A context from the text of `traceparent`; `None` if it is none.
fn context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn contexts_are_read_as_w3c_says() {
        assert!(context(SAMPLED).is_some_and(|c| c.is_sampled() && c.is_remote()));
        for wrong in [
            "",
            "00-0-0-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(context(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn without_an_address_nothing_is_kept() {
        assert!(!wanted(SAMPLED.as_bytes()));
        assert_eq!(span("x", SystemTime::now(), &[], []), None);
    }

    #[test]
    fn links_are_few_and_different() {
        let mut links = Vec::new();
        (0..100).for_each(|i| keep(&mut links, format!("{}", i % 50)));
        assert_eq!(links.len(), LINKS);
    }
}
