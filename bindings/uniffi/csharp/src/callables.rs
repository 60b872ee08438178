//! Functions, constructors, methods.

use anyhow::Result;
use uniffi_bindgen::pipeline::general::{Argument, Callable, Namespace, Type};

use crate::{
    names::{camel, pascal},
    native,
    text::Text,
    types,
};

pub(crate) fn write_functions(text: &mut Text, name: &str, namespace: &Namespace) -> Result<()> {
    text.line("/// <summary>The functions that belong to no object.</summary>");
    text.line(format!("internal static unsafe class {name}Functions"));
    text.open();
    for function in &namespace.functions {
        text.summary(function.docstring.as_deref());
        callable(text, &function.callable, "static ", &pascal(&function.callable.name), Receiver::None)?;
    }
    text.close();
    text.blank();
    Ok(())
}

/// Whose handle goes first.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Receiver {
    /// Nobody's; the library may not be checked yet.
    None,
    /// This object's.
    This,
}

fn parameter(argument: &Argument) -> Result<String> {
    let name = camel(&argument.name);
    Ok(match argument.is_borrowed_bytes() {
        true => format!("ReadOnlySpan<byte> {name}"),
        false => format!("{} {name}", types::name(&argument.ty.ty)?),
    })
}

/// Writes a function, method or constructor as a C# method.
pub(crate) fn callable(
    text: &mut Text,
    callable: &Callable,
    modifier: &str,
    name: &str,
    receiver: Receiver,
) -> Result<()> {
    let returned = callable.return_type.ty.as_ref();
    let returned_name = returned.map(|ty| types::name(&ty.ty)).transpose()?;
    let mut parameters = callable.arguments.iter().map(parameter).collect::<Result<Vec<_>>>()?;
    let signature = match (&callable.async_data, &returned_name) {
        (None, None) => format!("void {name}"),
        (None, Some(returned)) => format!("{returned} {name}"),
        (Some(_), None) => format!("Task {name}Async"),
        (Some(_), Some(returned)) => format!("Task<{returned}> {name}Async"),
    };
    if callable.is_async() {
        parameters.push("CancellationToken cancellationToken = default".to_owned());
    }
    text.line(format!("internal {modifier}{signature}({})", parameters.join(", ")));
    text.open();
    match receiver {
        Receiver::None => text.line("Uniffi.EnsureChecked();"),
        Receiver::This => {
            // Held throughout, so that disposal in another thread cannot free it in between.
            text.line("using var held = handle.Hold();");
        }
    }
    body(text, callable, receiver)?;
    text.close();
    text.blank();
    Ok(())
}

fn body(text: &mut Text, callable: &Callable, receiver: Receiver) -> Result<()> {
    let borrowed: Vec<String> =
        callable.arguments.iter().filter(|it| it.is_borrowed_bytes()).map(|it| camel(&it.name)).collect();
    for name in &borrowed {
        text.line(format!("fixed (byte* {}Start = {name})", name.trim_start_matches('@')));
    }
    if !borrowed.is_empty() {
        text.open();
    }
    // What may fail comes before the handle is cloned, since a clone must reach its destination.
    let mut passed = Vec::new();
    for argument in &callable.arguments {
        let name = camel(&argument.name);
        let plain = name.trim_start_matches('@');
        if argument.is_borrowed_bytes() {
            passed.push(format!("new ForeignBytes({plain}Start, {name}.Length)"));
        } else {
            text.line(format!("var {plain}Lowered = {};", types::lower(&argument.ty, &name)?));
            passed.push(format!("{plain}Lowered"));
        }
    }
    if receiver == Receiver::This {
        passed.insert(0, "CloneHandle()".to_owned());
    }
    let error = match &callable.throws_type.ty {
        Some(ty) if matches!(ty.ty, Type::Enum { .. }) => {
            format!("static (ref UniffiReader reader) => {}", types::read(ty))
        }
        _ => "null".to_owned(),
    };
    let function = &callable.ffi_func.0;
    let returned = callable.return_type.ty.as_ref();
    if let Some(data) = &callable.async_data {
        let suffix = native::future_suffix(&data.ffi_rust_future_poll.0)?;
        let class = format!("RustFuture{}", pascal(suffix));
        let lift = match returned {
            None => "static () => true".to_owned(),
            Some(ty) => format!("static crossed => {}", types::lift(ty, "crossed")?),
        };
        let result = returned.map_or_else(|| Ok("bool".to_owned()), |ty| types::name(&ty.ty))?;
        text.line(format!("var future = Native.{function}({});", passed.join(", ")));
        text.line(format!("return new {class}<{result}>(future, {error}, {lift}).Start(cancellationToken);"));
    } else {
        text.line("RustCallStatus status = default;");
        passed.push("ref status".to_owned());
        let call = format!("Native.{function}({})", passed.join(", "));
        match returned {
            None => {
                text.line(format!("{call};"));
                text.line(format!("Uniffi.Check(ref status, {error});"));
            }
            Some(ty) => {
                text.line(format!("var crossed = {call};"));
                text.line(format!("Uniffi.Check(ref status, {error});"));
                text.line(format!("return {};", types::lift(ty, "crossed")?));
            }
        }
    }
    if !borrowed.is_empty() {
        text.close();
    }
    Ok(())
}
