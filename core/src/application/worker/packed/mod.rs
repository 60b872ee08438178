//! One packed format for every binding: what crosses to another language's event loop, byte for byte.
//!
//! A [`Port`] has one queue out and one queue in. The binding waits for [`ready`](Port::ready), drains with
//! [`drain`](Port::drain) until it gets nothing, and waits again: one wake-up for however much has come. What it wants
//! it hands over with [`submit`](Port::submit), as much at once as it likes.
//!
//! # Notation
//!
//! Integers are little-endian and unaligned; `u8`, `u16`, `u32`, `u64`, `i64` by name. `bool` is a `u8` of 0 or 1.
//! `bytes` is a `u32` length and that many bytes; `text` is `bytes` in UTF-8; `value` is `bytes` holding one CBOR
//! value; `value?` is the same with length `0xffff_ffff` for none. `[x]` is a `u32` count and that many `x`. A batch is
//! records end to end, each `bytes`. Unknown bytes at the end of a record are to be skipped: later versions append.
//!
//! `error` is: `u16` code ([`ErrorKind::code`](crate::ErrorKind::code)), `text` reason, `text` message, `bool` whether a
//! handler raised it, and if so `failure`; then `[text name, text value]` of metadata. `failure` is `text` type, `text`
//! message, `text` stack trace. `options` of a stream are `bool` persistent, `bool` action, `u64` stride, `i64` first
//! key, `u64` backlog, `[text]` indexed members. `items` are a `u32` count, that many `i64` keys, and `bytes` that hold
//! as many values end to end, each behind its length as a base-128 varint. `end` is `bool` whether the stream has ended,
//! and if so `u64` skipped gaps, `bool` whether with an error, and if so `error`.
//!
//! # Out: what `drain` gives
//!
//! | kind (`u8`) | then |
//! | --- | --- |
//! | 1 activation | `u64` invocation, `u8` what (0 delegate, 1 Deploy, 2 Upgrade, 3 EnterContainer), `u32` attempt, `u64` incarnation, `u64` remaining milliseconds (0: no deadline), `text` execution (empty: none), `text` agent, `text` instance, `text` delegate, `text` traceparent, `text` tracestate, `[text name, text value]` headers, `bool` whether there is a linked stream and if so `text` stream, `bool` and `i64` last key, `u64` items there, `u64` stride, `i64` first key, `u64` items to skip; `[value]` arguments |
//! | 2 cancellation | `u64` invocation, `u16` code: stop the handler, its outcome is nobody's |
//! | 3 completion | `u64` request, `u8` 0 and the answer, or 1 and `error` |
//! | 4 shutdown | `bool` whether it came unasked, and if so `error`. The last record. |
//!
//! Answers begin with a `u8`:
//!
//! | answer | then |
//! | --- | --- |
//! | 0 nothing | |
//! | 1 values | `[value]` results |
//! | 2 number | `i64` |
//! | 3 instance | `u64` incarnation, `[value]` results of Start |
//! | 4 items | `items` |
//! | 5 end | `u64` skipped gaps: the stream has ended well |
//! | 6 attached | `i64` first key that can come, `bool` items removed, `options` |
//! | 7 dictionary | `i64` operation whose condition did not hold (−1: all did), `[bool applied, u64 count, value? value]` |
//! | 8 entries | `[value key, value value]`, `bytes` token of the next page (empty: the last) |
//! | 9 list | `value?`, `i64` index (−1: none), `u64` count, `bool` found |
//! | 10 elements | `[value]`, `bytes` token of the next page |
//! | 11 stream | `text` stream, `options`, `text` owner, `bool` declared, `text` linked execution, `bool` and `i64` first key, `bool` and `i64` last key, `u64` items kept, `u64` written, `u64` bytes kept, `u32` listeners, `bool` listened, `end` |
//! | 12 page | `[items]`, `end` |
//!
//! # In: what `submit` takes
//!
//! Each record is a `u8` operation and a `u64` request, then what the table says. A request other than 0 gets a
//! completion with that number, exactly one, unless it is cancelled first; the binding never uses a number twice. Request
//! 0 wants none: should it fail, that is logged, or fails the invocation where the table says *creates*.
//! `invocation` is a `u64`: the activation on whose behalf it is, 0 for none. It gives parent, deadline, trace and
//! reservation; when it is over, that is as none. An empty `owner` is none. `timeout` is `u64` milliseconds, 0 for none;
//! an invocation's own deadline wins if it is earlier. `headers` are `[text name, text value]`, to add to the trace's.
//!
//! | operation | then | answer |
//! | --- | --- | --- |
//! | 1 complete | `invocation`, `[value]` results | 0, once the Fabric has it |
//! | 2 fail | `invocation`, `failure` | 0 |
//! | 3 release | `invocation`: another worker shall have it | 0 |
//! | 4 cancel | `u64` request to give up; a call is cancelled with it | |
//! | 5 stop | take no more calls; shutdown comes when those in flight are over | |
//! | 6 release all | give back what is in flight | |
//! | 7 grant | `u64` how many executions more to take, of a worker whose concurrency is 0 | |
//! | 10 call | `invocation`, `timeout`, `text` agent, `text` instance, `text` delegate, `[value]` arguments, `headers` | 1 |
//! | 11 start instance | `invocation`, `timeout`, `text` agent, `text` instance, `text` owner, `[value]` arguments, `headers` | 3 |
//! | 12 stop instance | `text` instance, `bool` force, `timeout` | 2: whether it existed |
//! | 13 create execution (*creates*) | `invocation`, `bool` as its child, `timeout`, `text` execution, `text` agent, `text` instance, `text` delegate, `[value]` arguments, `headers`, `text` owner, `text` linked stream, `bool` starts on listener, `bool` manual | 2: whether it is new |
//! | 14 wait execution | `text` execution | 1 |
//! | 15 cancel execution, 16 forget execution | `text` execution | 0 |
//! | 17 complete a manual execution | `text` execution, `bool` failed, `failure` or `[value]` results | 0 |
//! | 20 create stream (*creates*) | `invocation`, `text` stream, `options`, `text` owner, `bool` declared, `text` linked execution | 0 |
//! | 21 start stream | `invocation`, `text` stream, `options`, `text` linked execution | 0 |
//! | 22 complete stream | `invocation`, `text` stream, `bool` failed, and if so `failure` | 0 |
//! | 23 destroy stream, 24 wait for listener | `invocation`, `text` stream | 0 |
//! | 25 get stream | `invocation`, `text` stream | 11 |
//! | 26 remove listener | `invocation`, `text` stream, `text` name | 0 |
//! | 27 read items | `invocation`, `text` stream, `bool` and `i64` first key, `u32` limit | 12 |
//! | 30 open writer | `invocation` (its reservation, for its linked stream), `u64` writer (the binding's number), `text` stream, `u64` stride | |
//! | 31 write items | `u64` writer, `bool` with keys, `[i64 key if so, value]`: submit no more for that writer until it is answered | 0, when there is room for more |
//! | 32 flush writer | `u64` writer | 0, when everything is in the stream |
//! | 33 close writer | `u64` writer | |
//! | 34 write item | `text` stream, `value`: apart from any writer | 2: its key |
//! | 35 attach listener | `u64` listener (the binding's number), `text` stream, `text` name, `text` owner, `u8` from (0 latest, 1 beginning, 2 key), `i64` key, `u64` window in items, `u64` in bytes (0: the usual), `bool` local to data: ask for items when it is answered, not before | 6 |
//! | 36 next items | `u64` listener: what came last is processed | 4 or 5; an error ends the listener |
//! | 37 processed | `u64` listener, `i64` key: through that one | |
//! | 38 detach listener | `u64` listener | |
//! | 40 create dictionary (*creates*) | `invocation`, `text` dictionary, `text` owner, `[text]` indexed members | 0 |
//! | 41 update dictionary | `text` dictionary, `[u8 operation, value key, value value, value expected]`, unused ones empty; 1 get, 2 set, 3 set if absent, 4 replace if equal, 5 get and replace, 6 get and remove, 7 remove, 8 remove if equal, 9 contains, 10 count, 11 clear | 7 |
//! | 42 enumerate dictionary | `text` dictionary, `bool` keys only, `u32` page size, `bytes` token | 8 |
//! | 43 destroy dictionary | `text` dictionary | 0 |
//! | 50 create list (*creates*) | `invocation`, `text` list, `text` owner | 0 |
//! | 51 update list | `text` list, `u8` operation, `u64` index, `value`; 1 add, 2 pop, 3 dequeue, 4 insert at, 5 remove at, 6 get at, 7 set at, 8 index of, 9 contains, 10 count, 11 clear, 12 remove | 9 |
//! | 52 enumerate list | `text` list, `u32` page size, `bytes` token | 10 |
//! | 53 destroy list | `text` list | 0 |

mod answer;
mod cursor;
mod packer;
mod port;
mod request;

pub use port::Port;

#[cfg(test)]
mod tests;
