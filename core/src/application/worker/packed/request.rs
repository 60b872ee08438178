//! What bindings ask for: each operation of a submitted batch becomes a future of its answer.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use super::{
    answer::Answer,
    cursor::{Cursor, malformed},
};
use crate::{
    Error, Result,
    extensions::Context,
    protocol::{
        DictionaryOperation, Fabric, ListOperation, NewExecution, NewInstance, NewStream, Reply,
        StreamOptions,
    },
};

pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

fn nothing(reply: Reply<()>) -> Answering {
    Box::pin(async move { reply.await.map(|()| Answer::Nothing) })
}

fn with<T: Send + 'static>(reply: Reply<T>, answer: fn(T) -> Answer) -> Answering {
    Box::pin(async move { reply.await.map(answer) })
}

/// Time to live; 0 is none.
fn timeout(cursor: &mut Cursor) -> Result<Option<Duration>> {
    Ok(Some(cursor.u64()?).filter(|&ms| ms > 0).map(Duration::from_millis))
}

/// The trace of a call: given, or the invocation's.
fn headers(cursor: &mut Cursor, context: Option<&Context>) -> Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    if let Some(trace) = context.and_then(Context::trace) {
        trace.write_headers(&mut headers);
    }
    for (name, value) in cursor.list(|cursor| Ok((cursor.text()?, cursor.text()?)))? {
        headers.insert(name, value);
    }
    Ok(headers)
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    [one, other].into_iter().flatten().min()
}

pub(super) fn call(cursor: &mut Cursor, fabric: &Fabric, context: Option<&Context>) -> Result<Answering> {
    let timeout = shorter(timeout(cursor)?, context.and_then(Context::remaining));
    let execution = NewExecution {
        execution: fabric.new_id(),
        agent: cursor.text()?,
        instance: cursor.text()?,
        delegate: cursor.text()?,
        arguments: cursor.values()?,
        headers: headers(cursor, context)?,
        parent: context.and_then(Context::running).map(|execution| execution.parent()),
        timeout,
        ..NewExecution::default()
    };
    let call = fabric.call_execution(execution);
    let waiting = context.and_then(Context::wait);
    Ok(Box::pin(async move {
        let results = call.await;
        drop(waiting);
        results.map(Answer::Values)
    }))
}

pub(super) fn start_instance(
    cursor: &mut Cursor,
    fabric: &Fabric,
    context: Option<&Context>,
) -> Result<Answering> {
    let timeout = shorter(timeout(cursor)?, context.and_then(Context::remaining));
    let instance = NewInstance {
        agent: cursor.text()?,
        instance: cursor.text()?,
        owner: cursor.optional_text()?,
        arguments: cursor.values()?,
        headers: headers(cursor, context)?,
        timeout,
        ..NewInstance::default()
    };
    Ok(with(fabric.start_instance(instance), Answer::Instance))
}

pub(super) fn stop_instance(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let (instance, force, timeout) = (cursor.text()?, cursor.bool()?, timeout(cursor)?);
    Ok(with(fabric.stop_instance(instance, force, timeout), |existed| Answer::Number(existed.into())))
}

pub(super) fn create_execution(
    cursor: &mut Cursor,
    fabric: &Fabric,
    context: Option<&Context>,
) -> Result<Answering> {
    let attached = cursor.bool()?;
    let execution = NewExecution {
        timeout: timeout(cursor)?,
        execution: cursor.text()?,
        agent: cursor.text()?,
        instance: cursor.text()?,
        delegate: cursor.text()?,
        arguments: cursor.values()?,
        headers: headers(cursor, context)?,
        owner: cursor.optional_text()?,
        parent: context.filter(|_| attached).and_then(Context::running).map(|execution| execution.parent()),
        linked_stream: cursor.text()?,
        starts_on_listener: cursor.bool()?,
        manual: cursor.bool()?,
        ..NewExecution::default()
    };
    Ok(with(fabric.create_execution(execution), |created| Answer::Number(created.into())))
}

pub(super) fn execution(operation: u8, cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let execution = cursor.text()?;
    Ok(match operation {
        14 => {
            let wait = fabric.wait_execution(execution);
            Box::pin(async move { wait.await.map(Answer::Values) })
        }
        15 => nothing(fabric.cancel_execution(execution)),
        16 => nothing(fabric.forget_execution(execution)),
        // 17: a manual one, from outside of any reservation.
        _ => {
            let outcome = if cursor.bool()? { Err(failure(cursor)?) } else { Ok(cursor.values()?) };
            nothing(fabric.complete_execution(execution, bytes::Bytes::new(), outcome))
        }
    })
}

pub(super) fn failure(cursor: &mut Cursor) -> Result<crate::Failure> {
    Ok(crate::Failure { type_name: cursor.text()?, message: cursor.text()?, stack_trace: cursor.text()? })
}

fn options(cursor: &mut Cursor) -> Result<StreamOptions> {
    Ok(StreamOptions {
        persistent: cursor.bool()?,
        action: cursor.bool()?,
        stride: cursor.u64()?,
        first_key: cursor.i64()?,
        backlog_items: cursor.u64()?,
        indexed_fields: cursor.list(Cursor::text)?,
    })
}

pub(super) fn create_stream(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let stream = NewStream {
        stream: cursor.text()?,
        options: options(cursor)?,
        owner: cursor.optional_text()?,
        declared: cursor.bool()?,
        linked_execution: cursor.text()?,
        ..NewStream::default()
    };
    Ok(nothing(fabric.create_stream(stream)))
}

pub(super) fn stream(
    operation: u8,
    cursor: &mut Cursor,
    fabric: &Fabric,
    context: Option<&Context>,
) -> Result<Answering> {
    let stream = cursor.text()?;
    Ok(match operation {
        21 => {
            let options = options(cursor)?;
            nothing(fabric.start_stream(stream, options, cursor.text()?))
        }
        22 => {
            let reservation = context.and_then(Context::running).map(|running| running.reservation.clone());
            let error = if cursor.bool()? { Some(Error::from_failure(failure(cursor)?)) } else { None };
            nothing(fabric.complete_stream(stream, reservation.unwrap_or_default(), error.as_ref()))
        }
        23 => nothing(fabric.destroy_stream(stream)),
        24 => nothing(fabric.wait_for_listener(stream)),
        25 => with(fabric.get_stream(stream), |info| Answer::Stream(Box::new(info))),
        26 => nothing(fabric.remove_listener(stream, cursor.text()?)),
        // 27
        _ => {
            let (has_key, key) = (cursor.bool()?, cursor.i64()?);
            with(fabric.read_items(stream, has_key.then_some(key), cursor.u32()?), Answer::Page)
        }
    })
}

pub(super) fn write_item(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let (stream, value) = (cursor.text()?, cursor.bytes()?);
    Ok(with(fabric.write_items(stream, bytes::Bytes::new(), [value]), Answer::Number))
}

pub(super) fn create_dictionary(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let (dictionary, owner) = (cursor.text()?, cursor.optional_text()?);
    let indexed_fields = cursor.list(Cursor::text)?;
    Ok(nothing(fabric.create_dictionary(dictionary, owner, indexed_fields, bytes::Bytes::new())))
}

pub(super) fn update_dictionary(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let dictionary = cursor.text()?;
    let operations = cursor.list(|cursor| {
        use DictionaryOperation as D;
        let kind = cursor.u8()?;
        // Always all three, so that the format is one; what an operation does not use is empty.
        let (key, value, expected) = (cursor.bytes()?, cursor.bytes()?, cursor.bytes()?);
        Ok(match kind {
            1 => D::Get { key },
            2 => D::Set { key, value },
            3 => D::SetIfAbsent { key, value },
            4 => D::ReplaceIfEqual { key, expected, value },
            5 => D::GetAndReplace { key, value },
            6 => D::GetAndRemove { key },
            7 => D::Remove { key },
            8 => D::RemoveIfEqual { key, expected },
            9 => D::Contains { key },
            10 => D::Count,
            11 => D::Clear,
            other => return Err(malformed(&format!("there is no operation {other} on dictionaries"))),
        })
    })?;
    Ok(with(fabric.update_dictionary(dictionary, operations), Answer::Dictionary))
}

pub(super) fn enumerate_dictionary(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let (dictionary, keys_only) = (cursor.text()?, cursor.bool()?);
    let (size, token) = (cursor.u32()?, cursor.bytes()?);
    Ok(with(fabric.enumerate_dictionary(dictionary, keys_only, size, token), Answer::Entries))
}

pub(super) fn create_list(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let (list, owner) = (cursor.text()?, cursor.optional_text()?);
    Ok(nothing(fabric.create_list(list, owner, bytes::Bytes::new())))
}

pub(super) fn update_list(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    use ListOperation as L;
    let (list, kind) = (cursor.text()?, cursor.u8()?);
    let (index, value) = (cursor.u64()?, cursor.bytes()?);
    let operation = match kind {
        1 => L::Add(value),
        2 => L::Pop,
        3 => L::Dequeue,
        4 => L::InsertAt(index, value),
        5 => L::RemoveAt(index),
        6 => L::GetAt(index),
        7 => L::SetAt(index, value),
        8 => L::IndexOf(value),
        9 => L::Contains(value),
        10 => L::Count,
        11 => L::Clear,
        12 => L::Remove(value),
        other => return Err(malformed(&format!("there is no operation {other} on lists"))),
    };
    Ok(with(fabric.update_list(list, operation), Answer::List))
}

pub(super) fn enumerate_list(cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let (list, size, token) = (cursor.text()?, cursor.u32()?, cursor.bytes()?);
    Ok(with(fabric.enumerate_list(list, size, token), Answer::Elements))
}

pub(super) fn destroy(operation: u8, cursor: &mut Cursor, fabric: &Fabric) -> Result<Answering> {
    let id = cursor.text()?;
    Ok(match operation {
        43 => nothing(fabric.destroy_dictionary(id)),
        // 53
        _ => nothing(fabric.destroy_list(id)),
    })
}
