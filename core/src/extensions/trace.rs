//! W3C trace context: the trace goes on through every call, with a span of its own for each execution.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The header of that name, as the W3C recommendation defines it.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// What vendors add; handed on as it came.
pub(crate) const TRACESTATE: &str = "tracestate";

/// A position in a trace: which trace, and which span of it is the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    trace_id: u128,
    /// The span of the execution itself; what it calls has it as parent.
    span_id: u64,
    /// The caller's span, if there was one.
    parent_id: Option<u64>,
    flags: u8,
    state: Option<String>,
}

impl Trace {
    /// The span of an execution below that of its caller, or at the root of a new trace.
    pub(crate) fn of_execution(headers: &BTreeMap<String, String>) -> Self {
        let caller = headers.get(TRACEPARENT).and_then(|header| parse(header));
        let span_id = random_id();
        match caller {
            Some((trace_id, parent_id, flags)) => Trace {
                trace_id,
                span_id,
                parent_id: Some(parent_id),
                flags,
                state: headers.get(TRACESTATE).cloned(),
            },
            None => Trace {
                trace_id: u128::from(random_id()) << 64 | u128::from(random_id()),
                span_id,
                parent_id: None,
                flags: 0,
                state: None,
            },
        }
    }

    /// The position that a header names; `None` when it is not a valid one.
    pub(crate) fn from_headers(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let (trace_id, span_id, flags) = parse(traceparent)?;
        Some(Trace { trace_id, span_id, parent_id: None, flags, state: tracestate.map(str::to_owned) })
    }

    /// The headers for a call that is made here.
    pub(crate) fn write_headers(&self, headers: &mut BTreeMap<String, String>) {
        headers.insert(TRACEPARENT.to_owned(), self.to_string());
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE.to_owned(), state.clone());
        }
    }

    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    pub(crate) fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    pub(crate) fn parent_id(&self) -> Option<String> {
        self.parent_id.map(|id| format!("{id:016x}"))
    }

    pub(crate) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Trace id, span id and flags of a `traceparent`. Versions above 0 may have more fields behind, which are ignored;
/// version ff is invalid, as are ids of zeros.
fn parse(header: &str) -> Option<(u128, u64, u8)> {
    let mut fields = header.trim().split('-');
    let mut hex = |length: usize| {
        let field = fields.next().filter(|field| field.len() == length)?;
        let lower = field.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        lower.then_some(field)
    };
    let (version, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let trace_id = u128::from_str_radix(trace_id, 16).ok().filter(|&id| id != 0)?;
    let span_id = u64::from_str_radix(span_id, 16).ok().filter(|&id| id != 0)?;
    Some((trace_id, span_id, u8::from_str_radix(flags, 16).ok()?))
}

/// An id that is not zero. Made for every execution, so without a call of the operating system; ids of spans need to
/// be distinct, not secret.
fn random_id() -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    HASHER.hash_one(NEXT.fetch_add(1, Ordering::Relaxed)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_execution_is_a_span_below_its_callers() {
        let headers = BTreeMap::from([
            (TRACEPARENT.to_owned(), HEADER.to_owned()),
            (TRACESTATE.to_owned(), "vendor=1".to_owned()),
        ]);
        let trace = Trace::of_execution(&headers);
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent_id().as_deref(), Some("00f067aa0ba902b7"));
        assert_ne!(trace.span_id(), "00f067aa0ba902b7");
        let mut outgoing = BTreeMap::new();
        trace.write_headers(&mut outgoing);
        assert_eq!(outgoing[TRACESTATE], "vendor=1");
        let expected = format!("00-{}-{}-01", trace.trace_id(), trace.span_id());
        assert_eq!(outgoing[TRACEPARENT], expected);
    }

    #[test]
    fn what_is_not_a_traceparent_begins_a_new_trace() {
        for header in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(header), None, "{header}");
        }
        assert!(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
        let headers = BTreeMap::from([(TRACEPARENT.to_owned(), "nonsense".to_owned())]);
        let (one, other) = (Trace::of_execution(&headers), Trace::of_execution(&headers));
        assert_eq!(one.parent_id(), None);
        assert_ne!(one.trace_id(), other.trace_id());
    }
}
