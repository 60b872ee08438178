use bytes::Bytes;

use super::{
    super::event::{Event, Invocation, InvocationKind},
    packer::Packer,
};
use crate::{
    Result,
    protocol::{
        Batch, DictionaryPage, DictionaryUpdate, ItemsPage, ListPage, ListResult, ListenerStart,
        StartedInstance, StreamEnd, StreamInfo, StreamOptions,
    },
};

/// What a request brought.
pub(super) enum Answer {
    Nothing,
    Values(Vec<Bytes>),
    Number(i64),
    Instance(StartedInstance),
    Items(Batch),
    End(u64),
    Attached(ListenerStart),
    Dictionary(DictionaryUpdate),
    Entries(DictionaryPage),
    List(ListResult),
    Elements(ListPage),
    Stream(Box<StreamInfo>),
    Page(ItemsPage),
}

/// What waits to be drained.
pub(super) enum Pending {
    Event(Event),
    Completion(u64, Result<Answer>),
}

impl Pending {
    pub(super) fn pack(self, packer: &mut Packer) {
        packer.record(|packer| match self {
            Pending::Event(Event::Activation(invocation)) => activation(packer, &invocation),
            Pending::Event(Event::Cancellation { invocation, reason }) => {
                packer.u8(2);
                packer.u64(invocation);
                packer.u16(reason.code());
            }
            Pending::Completion(request, outcome) => {
                packer.u8(3);
                packer.u64(request);
                match outcome {
                    Ok(answer) => {
                        packer.u8(0);
                        answer.pack(packer);
                    }
                    Err(error) => {
                        packer.u8(1);
                        packer.error(&error);
                    }
                }
            }
            Pending::Event(Event::Shutdown(error)) => {
                packer.u8(4);
                packer.bool(error.is_some());
                if let Some(error) = &error {
                    packer.error(error);
                }
            }
        });
    }
}

fn activation(packer: &mut Packer, invocation: &Invocation) {
    let context = &invocation.context;
    let execution = context.execution_scope();
    packer.u8(1);
    packer.u64(invocation.id);
    packer.u8(match invocation.kind {
        InvocationKind::Delegate => 0,
        InvocationKind::Deploy => 1,
        InvocationKind::Upgrade => 2,
        InvocationKind::Enter => 3,
    });
    packer.u32(execution.map_or(0, |execution| execution.attempt));
    packer.u64(execution.map_or(0, |execution| execution.incarnation));
    let remaining = context.remaining().map_or(0, |remaining| remaining.as_millis().max(1));
    packer.u64(u64::try_from(remaining).unwrap_or(u64::MAX));
    packer.text(execution.map_or("", |execution| &execution.execution));
    packer.text(context.agent_name());
    packer.text(context.instance());
    packer.text(&invocation.delegate);
    packer.text(&context.traceparent().unwrap_or_default());
    packer.text(context.tracestate().unwrap_or_default());
    let headers = context.headers();
    packer.count(headers.map_or(0, |headers| headers.len()));
    for (name, value) in headers.into_iter().flatten() {
        packer.text(name);
        packer.text(value);
    }
    packer.bool(invocation.linked_stream.is_some());
    if let Some(linked) = &invocation.linked_stream {
        packer.text(&linked.stream);
        packer.bool(linked.last_key.is_some());
        packer.i64(linked.last_key.unwrap_or_default());
        packer.u64(linked.items);
        packer.u64(linked.stride);
        packer.i64(linked.first_key);
        packer.u64(invocation.skip_items);
    }
    packer.values(&invocation.arguments);
}

impl Answer {
    fn pack(self, packer: &mut Packer) {
        match self {
            Answer::Nothing => packer.u8(0),
            Answer::Values(values) => {
                packer.u8(1);
                packer.values(&values);
            }
            Answer::Number(number) => {
                packer.u8(2);
                packer.i64(number);
            }
            Answer::Instance(started) => {
                packer.u8(3);
                packer.u64(started.incarnation);
                packer.values(&started.results);
            }
            Answer::Items(batch) => {
                packer.u8(4);
                items(packer, batch);
            }
            Answer::End(skipped) => {
                packer.u8(5);
                packer.u64(skipped);
            }
            Answer::Attached(start) => {
                packer.u8(6);
                packer.i64(start.start_key);
                packer.bool(start.items_removed);
                options(packer, &start.options);
            }
            Answer::Dictionary(update) => {
                packer.u8(7);
                let failed = update.failed_operation.and_then(|index| i64::try_from(index).ok());
                packer.i64(failed.unwrap_or(-1));
                packer.count(update.results.len());
                for result in &update.results {
                    packer.bool(result.applied);
                    packer.u64(result.count);
                    packer.optional(result.value.as_ref());
                }
            }
            Answer::Entries(page) => {
                packer.u8(8);
                packer.count(page.entries.len());
                for (key, value) in &page.entries {
                    packer.bytes(key);
                    packer.bytes(value);
                }
                packer.bytes(&page.next);
            }
            Answer::List(result) => {
                packer.u8(9);
                packer.optional(result.value.as_ref());
                packer.i64(result.index.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1));
                packer.u64(result.count);
                packer.bool(result.found);
            }
            Answer::Elements(page) => {
                packer.u8(10);
                packer.values(&page.values);
                packer.bytes(&page.next);
            }
            Answer::Stream(info) => {
                packer.u8(11);
                stream(packer, &info);
            }
            Answer::Page(page) => {
                packer.u8(12);
                packer.count(page.batches.len());
                page.batches.into_iter().for_each(|batch| items(packer, batch));
                end(packer, page.end.as_ref());
            }
        }
    }
}

fn items(packer: &mut Packer, batch: Batch) {
    // The values as they came, in one piece; an iterator would cut them first.
    let values = batch.packed_values().clone();
    packer.count(batch.len());
    batch.for_each(|item| packer.i64(item.key));
    packer.bytes(&values);
}

fn options(packer: &mut Packer, options: &StreamOptions) {
    packer.bool(options.persistent);
    packer.bool(options.action);
    packer.u64(options.stride);
    packer.i64(options.first_key);
    packer.u64(options.backlog_items);
    packer.count(options.indexed_fields.len());
    options.indexed_fields.iter().for_each(|field| packer.text(field));
}

fn end(packer: &mut Packer, end: Option<&StreamEnd>) {
    packer.bool(end.is_some());
    if let Some(end) = end {
        packer.u64(end.skipped);
        packer.bool(end.error.is_some());
        if let Some(error) = &end.error {
            packer.error(error);
        }
    }
}

fn stream(packer: &mut Packer, info: &StreamInfo) {
    let key = |packer: &mut Packer, key: Option<i64>| {
        packer.bool(key.is_some());
        packer.i64(key.unwrap_or_default());
    };
    packer.text(&info.stream);
    options(packer, &info.options);
    packer.text(info.owner.as_deref().unwrap_or_default());
    packer.bool(info.declared);
    packer.text(&info.linked_execution);
    key(packer, info.first_key);
    key(packer, info.last_key);
    packer.u64(info.items_kept);
    packer.u64(info.items_written);
    packer.u64(info.bytes_kept);
    packer.u32(info.listeners);
    packer.bool(info.listened);
    end(packer, info.end.as_ref());
}
