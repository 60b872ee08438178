//! What is checked about a request before the engine sees it: limits, ids, values.

use bytes::Bytes;
use perper_proto::{Reason, v1};
use v1::request::Request;

use crate::config::Limits;
use crate::engine::Result;

/// Ids are at most this long, in bytes.
const ID_BYTES: usize = 255;

/// Keys of dictionaries are stored after encoding, which may lengthen them; the store takes four times the limit.
pub(super) fn admit(limits: &Limits, request: &Request) -> Result<()> {
    match request {
        Request::CreateExecution(request) => {
            id("execution", &request.execution)?;
            id("agent", &request.agent)?;
            optional_id("instance", &request.instance)?;
            id("delegate", &request.delegate)?;
            optional_id("linked_stream", &request.linked_stream)?;
            owner(request.owner.as_ref())?;
            capability(&request.capability)?;
            if let Some(parent) = &request.parent {
                id("parent.execution", &parent.execution)?;
                if request.owner.as_ref().is_some_and(|owner| !owner.instance.is_empty()) {
                    return Err(Reason::InvalidArgument.error(format!(
                        "execution {:?} has both a parent and an owner; a call has a parent, what outlives its maker an owner",
                        request.execution
                    )));
                }
            }
            if request.starts_on_listener && request.linked_stream.is_empty() {
                return Err(Reason::InvalidArgument.error(format!(
                    "execution {:?} is to start with its stream's first listener, but has no linked_stream",
                    request.execution
                )));
            }
            headers(limits, &request.headers)?;
            values(limits, "arguments", &request.arguments)
        }
        Request::CompleteExecution(request) => {
            id("execution", &request.execution)?;
            values(limits, "results", &request.results)?;
            match &request.failure {
                Some(failure) => {
                    let bytes = failure.r#type.len() + failure.message.len() + failure.stack_trace.len();
                    size(limits, "failure", bytes)
                }
                None => Ok(()),
            }
        }
        Request::ReleaseExecution(request) => id("execution", &request.execution),
        Request::CancelExecution(request) => id("execution", &request.execution),
        Request::ForgetExecution(request) => id("execution", &request.execution),
        Request::GetExecution(request) => id("execution", &request.execution),
        Request::WaitExecution(request) => id("execution", &request.execution),
        Request::Listen(request) => {
            optional_id("work_group", &request.work_group)?;
            if request.filters.is_empty() {
                return Err(Reason::InvalidArgument.error("a listen needs at least one filter"));
            }
            request.filters.iter().try_for_each(filter)
        }
        Request::Unlisten(_) | Request::DetachListener(_) => Ok(()),
        Request::StartInstance(request) => {
            id("agent", &request.agent)?;
            // Its calls of Start and Stop are named after it.
            bounded_id("instance", &request.instance, ID_BYTES - "/Start".len())?;
            owner(request.owner.as_ref())?;
            capability(&request.capability)?;
            headers(limits, &request.headers)?;
            values(limits, "arguments", &request.arguments)
        }
        Request::StopInstance(request) => id("instance", &request.instance),
        Request::CreateStream(request) => {
            id("stream", &request.stream)?;
            optional_id("linked_execution", &request.linked_execution)?;
            capability(&request.capability)?;
            owner(request.owner.as_ref())
        }
        Request::StartStream(request) => {
            optional_id("linked_execution", &request.linked_execution)?;
            id("stream", &request.stream)
        }
        Request::WriteItems(request) => {
            id("stream", &request.stream)?;
            match &request.batch {
                Some(batch) if batch.count > 0 => Ok(()),
                _ => Err(Reason::InvalidArgument
                    .error(format!("the batch for stream {:?} has no items", request.stream))),
            }
        }
        Request::CompleteStream(request) => id("stream", &request.stream),
        Request::AttachListener(request) => {
            id("stream", &request.stream)?;
            optional_id("name", &request.name)?;
            if request.name.starts_with('\0') {
                return Err(
                    Reason::InvalidArgument.error("a listener's name must not begin with a zero character")
                );
            }
            owner(request.owner.as_ref())
        }
        Request::RemoveListener(request) => {
            id("stream", &request.stream)?;
            id("name", &request.name)
        }
        Request::WaitForListener(request) => id("stream", &request.stream),
        Request::DestroyStream(request) => id("stream", &request.stream),
        Request::GetStream(request) => id("stream", &request.stream),
        Request::ReadItems(request) => id("stream", &request.stream),
        Request::CreateDictionary(request) => {
            id("dictionary", &request.dictionary)?;
            capability(&request.capability)?;
            owner(request.owner.as_ref())
        }
        Request::UpdateDictionary(request) => dictionary(limits, request),
        Request::EnumerateDictionary(request) => id("dictionary", &request.dictionary),
        Request::DestroyDictionary(request) => id("dictionary", &request.dictionary),
        Request::CreateList(request) => {
            id("list", &request.list)?;
            capability(&request.capability)?;
            owner(request.owner.as_ref())
        }
        Request::UpdateList(request) => list(limits, request),
        Request::EnumerateList(request) => id("list", &request.list),
        Request::DestroyList(request) => id("list", &request.list),
    }
}

pub(super) fn filter(filter: &v1::ExecutionFilter) -> Result<()> {
    id("agent", &filter.agent)?;
    optional_id("instance", &filter.instance)?;
    filter.delegates.iter().try_for_each(|delegate| id("delegate", delegate))
}

fn dictionary(limits: &Limits, request: &v1::UpdateDictionaryRequest) -> Result<()> {
    use v1::dictionary_operation::Operation;

    id("dictionary", &request.dictionary)?;
    let count = request.operations.len();
    if count > limits.dictionary_operations as usize {
        return Err(over("dictionary_operations", count as u64, u64::from(limits.dictionary_operations)));
    }
    for (index, operation) in request.operations.iter().enumerate() {
        let Some(operation) = &operation.operation else {
            return Err(Reason::InvalidArgument.error(format!("operations[{index}] says nothing")));
        };
        let (key, values): (Option<&Bytes>, [Option<&Bytes>; 2]) = match operation {
            Operation::Get(get)
            | Operation::GetAndRemove(get)
            | Operation::Remove(get)
            | Operation::Contains(get) => (Some(&get.key), [None, None]),
            Operation::Set(set) | Operation::SetIfAbsent(set) | Operation::GetAndReplace(set) => {
                (Some(&set.key), [Some(&set.value), None])
            }
            Operation::ReplaceIfEqual(replace) => {
                (Some(&replace.key), [Some(&replace.expected), Some(&replace.value)])
            }
            Operation::RemoveIfEqual(remove) => (Some(&remove.key), [Some(&remove.expected), None]),
            Operation::Count(_) | Operation::Clear(_) => (None, [None, None]),
        };
        if let Some(key) = key
            && key.len() as u64 > limits.key_bytes
        {
            return Err(over("key_bytes", key.len() as u64, limits.key_bytes));
        }
        for value in values.into_iter().flatten() {
            check_value(limits, &format!("operations[{index}]"), value)?;
        }
    }
    Ok(())
}

fn list(limits: &Limits, request: &v1::UpdateListRequest) -> Result<()> {
    use v1::update_list_request::Operation;

    id("list", &request.list)?;
    match &request.operation {
        None => Err(Reason::InvalidArgument
            .error(format!("the request on list {:?} says nothing to do", request.list))),
        Some(
            Operation::Add(value)
            | Operation::IndexOf(value)
            | Operation::Contains(value)
            | Operation::Remove(value),
        ) => check_value(limits, "value", value),
        Some(Operation::InsertAt(at)) => check_value(limits, "value", &at.value),
        Some(Operation::SetAt(at)) => check_value(limits, "value", &at.value),
        Some(_) => Ok(()),
    }
}

fn id(field: &str, id: &str) -> Result<()> {
    bounded_id(field, id, ID_BYTES)
}

fn bounded_id(field: &str, id: &str, most: usize) -> Result<()> {
    if id.is_empty() {
        return Err(Reason::InvalidArgument.error(format!("{field} is empty; it needs 1 to {most} bytes")));
    }
    optional_bounded(field, id, most)
}

fn optional_id(field: &str, id: &str) -> Result<()> {
    optional_bounded(field, id, ID_BYTES)
}

fn optional_bounded(field: &str, id: &str, most: usize) -> Result<()> {
    if id.len() > most {
        return Err(Reason::InvalidArgument
            .error(format!("{field} has {} bytes; the limit is {most}", id.len()))
            .with("field", field));
    }
    Ok(())
}

fn owner(owner: Option<&v1::Owner>) -> Result<()> {
    owner.map_or(Ok(()), |owner| optional_id("owner.instance", &owner.instance))
}

fn capability(capability: &Bytes) -> Result<()> {
    if capability.len() > 64 {
        return Err(Reason::InvalidArgument
            .error(format!("capability has {} bytes; the limit is 64", capability.len())));
    }
    Ok(())
}

fn headers(limits: &Limits, headers: &std::collections::BTreeMap<String, String>) -> Result<()> {
    size(limits, "headers", headers.iter().map(|(name, value)| name.len() + value.len()).sum())
}

fn values(limits: &Limits, field: &str, values: &[Bytes]) -> Result<()> {
    size(limits, field, values.iter().map(Bytes::len).sum())?;
    values.iter().enumerate().try_for_each(|(index, value)| {
        well_formed(limits, value, |error| error.at_index(index).at_root(field))
    })
}

fn check_value(limits: &Limits, field: &str, value: &[u8]) -> Result<()> {
    size(limits, field, value.len())?;
    well_formed(limits, value, |error| error.at_root(field))
}

fn well_formed(
    limits: &Limits,
    value: &[u8],
    at: impl FnOnce(perper_values::Error) -> perper_values::Error,
) -> Result<()> {
    perper_values::validate_within(value, limits.depth as usize).map_err(|error| {
        let error = at(error);
        let path = error.path();
        match error.kind() {
            perper_values::ErrorKind::Depth => Reason::LimitExceeded
                .error(format!(
                    "{path}: deeper than {} levels, the server's limit; nest less, or raise the limit there",
                    limits.depth
                ))
                .with("limit", "depth")
                .with("most", limits.depth),
            _ => Reason::InvalidValue.error(error.to_string()),
        }
        .with("path", path)
    })
}

fn size(limits: &Limits, field: &str, bytes: usize) -> Result<()> {
    if bytes as u64 > limits.value_bytes {
        return Err(over("value_bytes", bytes as u64, limits.value_bytes).with("field", field));
    }
    Ok(())
}

/// The refusal of what is over a limit.
pub(super) fn over(limit: &str, is: u64, most: u64) -> v1::Error {
    Reason::LimitExceeded
        .error(format!(
            "{limit} is {is}, the server's limit is {most}; send less at once, or raise the limit there"
        ))
        .with("limit", limit)
        .with("is", is)
        .with("most", most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_nest_as_deeply_as_the_configuration_says() {
        let limits = Limits { depth: 3, ..Limits::default() };
        // Arrays of one element each around a 0.
        let nested = |levels: usize| [vec![0x81; levels], vec![0]].concat();
        assert_eq!(check_value(&limits, "value", &nested(3)), Ok(()));
        let error = check_value(&limits, "value", &nested(4)).expect_err("a level too many");
        assert_eq!((&*error.reason, &*error.metadata["most"]), ("LIMIT_EXCEEDED", "3"));
        let error = values(&Limits::default(), "arguments", &[nested(129).into()]).expect_err("far too many");
        assert_eq!((&*error.reason, &*error.metadata["most"]), ("LIMIT_EXCEEDED", "128"));
        let error = check_value(&limits, "value", &[0x81]).expect_err("the element is missing");
        assert_eq!(error.reason, "INVALID_VALUE");
    }
}
