//! The external functions, and the futures over them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use uniffi_bindgen::pipeline::general::{FfiDefinition, FfiFunction, FfiFunctionKind, Namespace};

use crate::{text::Text, types};

/// The part of a name behind the last `rust_future_poll_`: what a future gives.
pub(crate) fn future_suffix(poll: &str) -> Result<&str> {
    poll.rsplit_once("rust_future_poll_").map(|(_, suffix)| suffix).context("a future without a poll")
}

pub(crate) fn write(text: &mut Text, namespace: &Namespace) -> Result<()> {
    let functions: Vec<&FfiFunction> = namespace
        .ffi_definitions
        .iter()
        .filter_map(|definition| match definition {
            FfiDefinition::RustFunction(function) => Some(function),
            _ => None,
        })
        .collect();
    // Only the kinds of futures that something returns; uniffi declares all.
    let used: BTreeSet<&str> = functions
        .iter()
        .filter_map(|function| function.async_data.as_ref())
        .map(|data| future_suffix(&data.ffi_rust_future_poll.0))
        .collect::<Result<_>>()?;
    text.line("/// <summary>The functions of the native library, as they are.</summary>");
    text.line("internal static unsafe class Native");
    text.open();
    text.line(
        "/// <summary>Checks once that the library is the one that this file was written for.</summary>",
    );
    text.line("internal static void Check()");
    text.open();
    text.line(format!(
        "Uniffi.CheckContract({}, {}());",
        namespace.correct_contract_version, namespace.ffi_uniffi_contract_version.0
    ));
    for checksum in &namespace.checksums {
        let name = &checksum.fn_name.0;
        text.line(format!("Uniffi.CheckSum(\"{name}\", {}, {name}());", checksum.checksum));
    }
    text.close();
    text.blank();
    for function in functions {
        use FfiFunctionKind as K;
        let future = matches!(
            function.kind,
            K::RustFuturePoll | K::RustFutureComplete | K::RustFutureCancel | K::RustFutureFree
        );
        let wanted = match function.kind {
            K::RustVtableInit | K::RustBufferAlloc | K::RustBufferReserve => false,
            _ if future => used.iter().any(|suffix| ends_with(&function.name.0, suffix)),
            _ => true,
        };
        if wanted {
            declare(text, function)?;
        }
    }
    text.close();
    text.blank();
    for suffix in used {
        future(text, &namespace.crate_name, suffix)?;
    }
    Ok(())
}

/// Whether the function is of the futures that give that: `…_u8` is not of `…_i8`, nor `…_void` of `…_d`.
fn ends_with(name: &str, suffix: &str) -> bool {
    ["poll", "complete", "cancel", "free"]
        .iter()
        .any(|verb| name.ends_with(&format!("rust_future_{verb}_{suffix}")))
}

fn declare(text: &mut Text, function: &FfiFunction) -> Result<()> {
    let mut parameters = function
        .arguments
        .iter()
        .map(|argument| {
            Ok(format!("{} {}", types::ffi_name(&argument.ty)?, crate::names::camel(&argument.name)))
        })
        .collect::<Result<Vec<_>>>()?;
    if function.has_rust_call_status_arg {
        parameters.push("ref RustCallStatus status".to_owned());
    }
    let returned = function.return_type.ty.as_ref().map(types::ffi_name).transpose()?;
    text.line(
        "[DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]",
    );
    text.line(format!(
        "internal static extern {} {}({});",
        returned.as_deref().unwrap_or("void"),
        function.name.0,
        parameters.join(", ")
    ));
    text.blank();
    Ok(())
}

/// The C# type that a future gives in the C ABI.
fn future_type(suffix: &str) -> &str {
    match suffix {
        "u8" => "byte",
        "i8" => "sbyte",
        "u16" => "ushort",
        "i16" => "short",
        "u32" => "uint",
        "i32" => "int",
        "u64" => "ulong",
        "i64" => "long",
        "f32" => "float",
        "f64" => "double",
        "rust_buffer" => "RustBuffer",
        _ => "void",
    }
}

fn future(text: &mut Text, crate_name: &str, suffix: &str) -> Result<()> {
    let class = format!("RustFuture{}", crate::names::pascal(suffix));
    let function = |verb: &str| format!("Native.ffi_{crate_name}_rust_future_{verb}_{suffix}");
    let crossing = future_type(suffix);
    text.line(format!("/// <summary>A future of the native library that gives {crossing}.</summary>"));
    text.line(format!("internal sealed unsafe class {class}<T> : RustFuture<T>"));
    text.open();
    // A future without a value still makes one for the task: it is thrown away.
    let lift = if crossing == "void" { "Func<T>".to_owned() } else { format!("Func<{crossing}, T>") };
    text.line(format!("private readonly {lift} lift;"));
    text.blank();
    text.line(format!("internal {class}(ulong future, UniffiLiftError? error, {lift} lift)"));
    text.line("    : base(future, error) => this.lift = lift;");
    text.blank();
    text.line(format!(
        "protected override void Poll(ulong data) => {}(Future, Callback, data);",
        function("poll")
    ));
    text.blank();
    text.line(format!("protected override void CancelFuture() => {}(Future);", function("cancel")));
    text.blank();
    text.line(format!("protected override void FreeFuture() => {}(Future);", function("free")));
    text.blank();
    text.line("protected override T Complete()");
    text.open();
    text.line("RustCallStatus status = default;");
    if crossing == "void" {
        text.line(format!("{}(Future, ref status);", function("complete")));
        text.line("Uniffi.Check(ref status, Error);");
        text.line("return lift();");
    } else {
        text.line(format!("var crossed = {}(Future, ref status);", function("complete")));
        text.line("Uniffi.Check(ref status, Error);");
        text.line("return lift(crossed);");
    }
    text.close();
    text.close();
    text.blank();
    Ok(())
}
