//! Types: what they are called in C#, and how values of them cross.

use anyhow::{Result, bail};
use uniffi_bindgen::pipeline::general::{FfiType, Namespace, Type, TypeDefinition, TypeNode};

use crate::text::Text;

/// The C# name of a type.
pub(crate) fn name(ty: &Type) -> Result<String> {
    Ok(match ty {
        Type::UInt8 => "byte".into(),
        Type::Int8 => "sbyte".into(),
        Type::UInt16 => "ushort".into(),
        Type::Int16 => "short".into(),
        Type::UInt32 => "uint".into(),
        Type::Int32 => "int".into(),
        Type::UInt64 => "ulong".into(),
        Type::Int64 => "long".into(),
        Type::Float32 => "float".into(),
        Type::Float64 => "double".into(),
        Type::Boolean => "bool".into(),
        Type::String => "string".into(),
        Type::Bytes => "byte[]".into(),
        Type::Box { inner_type } => name(inner_type)?,
        Type::Optional { inner_type } => format!("{}?", name(inner_type)?),
        Type::Sequence { inner_type } => format!("List<{}>", name(inner_type)?),
        Type::Map { key_type, value_type } => {
            format!("Dictionary<{}, {}>", name(key_type)?, name(value_type)?)
        }
        Type::Set { inner_type } => format!("HashSet<{}>", name(inner_type)?),
        Type::Interface { name, .. } | Type::Record { name, .. } | Type::Enum { name, .. } => name.clone(),
        Type::Timestamp | Type::Duration => bail!("timestamps and durations are not supported; use numbers"),
        Type::CallbackInterface { name, .. } => {
            bail!("{name}: callbacks are not supported; offer something to wait for instead")
        }
        Type::Custom { name, .. } => bail!("{name}: custom types are not supported"),
    })
}

/// The C# type by which a value crosses in the C ABI.
pub(crate) fn ffi_name(ty: &FfiType) -> Result<String> {
    Ok(match ty {
        FfiType::UInt8 => "byte".into(),
        FfiType::Int8 => "sbyte".into(),
        FfiType::UInt16 => "ushort".into(),
        FfiType::Int16 => "short".into(),
        FfiType::UInt32 => "uint".into(),
        FfiType::Int32 => "int".into(),
        FfiType::UInt64 => "ulong".into(),
        FfiType::Int64 => "long".into(),
        FfiType::Float32 => "float".into(),
        FfiType::Float64 => "double".into(),
        FfiType::RustBuffer(_) => "RustBuffer".into(),
        FfiType::ForeignBytes => "ForeignBytes".into(),
        FfiType::Handle(_) => "ulong".into(),
        FfiType::MutReference(inner) if matches!(**inner, FfiType::RustCallStatus) => {
            "ref RustCallStatus".into()
        }
        FfiType::Function(_) => "delegate* unmanaged[Cdecl]<ulong, sbyte, void>".into(),
        FfiType::VoidPointer => "void*".into(),
        other => bail!("{other:?} is not supported in the C ABI"),
    })
}

/// A C# expression that turns a value into what crosses.
pub(crate) fn lower(ty: &TypeNode, value: &str) -> Result<String> {
    Ok(match &ty.ty {
        Type::Boolean => format!("(sbyte)({value} ? 1 : 0)"),
        Type::String => format!("Uniffi.LowerString({value})"),
        Type::Interface { .. } => format!("{value}.CloneHandle()"),
        _ => match &ty.ffi_type {
            FfiType::RustBuffer(_) => format!("Uniffi.Lower({value}, Converters.Write{})", ty.canonical_name),
            _ => value.to_owned(),
        },
    })
}

/// A C# expression that turns what has crossed into a value.
pub(crate) fn lift(ty: &TypeNode, value: &str) -> Result<String> {
    Ok(match &ty.ty {
        Type::Boolean => format!("{value} != 0"),
        Type::String => format!("Uniffi.LiftString({value})"),
        Type::Interface { name, .. } => format!("new {name}({value})"),
        _ => match &ty.ffi_type {
            FfiType::RustBuffer(_) => format!("Uniffi.Lift({value}, Converters.Read{})", ty.canonical_name),
            _ => value.to_owned(),
        },
    })
}

/// A statement that writes a value into a buffer, big-endian.
pub(crate) fn write(ty: &TypeNode, value: &str) -> String {
    format!("Converters.Write{}(writer, {value});", ty.canonical_name)
}

/// An expression that reads one out of it.
pub(crate) fn read(ty: &TypeNode) -> String {
    format!("Converters.Read{}(ref reader)", ty.canonical_name)
}

/// How values of every type that the library uses stand in a buffer.
pub(crate) fn write_converters(text: &mut Text, namespace: &Namespace) -> Result<()> {
    text.line("/// <summary>How values stand in the buffers that cross.</summary>");
    text.line("internal static class Converters");
    text.open();
    for definition in &namespace.type_definitions {
        match definition {
            TypeDefinition::Simple(ty) => simple(text, ty)?,
            TypeDefinition::Box(boxed) => {
                let inner = name(&boxed.inner.ty)?;
                converter(
                    text,
                    &boxed.self_type.canonical_name,
                    &inner,
                    |text| {
                        text.line(write(&boxed.inner, "value"));
                    },
                    |text| text.line(format!("return {};", read(&boxed.inner))),
                );
            }
            TypeDefinition::Optional(optional) => {
                let of = name(&optional.self_type.ty)?;
                let inner = &optional.inner;
                converter(
                    text,
                    &optional.self_type.canonical_name,
                    &of,
                    |text| {
                        text.line("if (value is not { } some)");
                        text.open();
                        text.line("writer.WriteByte(0);");
                        text.line("return;");
                        text.close();
                        text.line("writer.WriteByte(1);");
                        text.line(write(inner, "some"));
                    },
                    |text| text.line(format!("return reader.ReadByte() == 0 ? null : {};", read(inner))),
                );
            }
            TypeDefinition::Sequence(sequence) => {
                let of = name(&sequence.self_type.ty)?;
                collection(text, &sequence.self_type.canonical_name, &of, &sequence.inner);
            }
            TypeDefinition::Set(set) => {
                collection(text, &set.self_type.canonical_name, &name(&set.self_type.ty)?, &set.inner);
            }
            TypeDefinition::Map(map) => {
                let of = name(&map.self_type.ty)?;
                converter(
                    text,
                    &map.self_type.canonical_name,
                    &of,
                    |text| {
                        text.line("writer.WriteInt32(value.Count);");
                        text.line("foreach (var entry in value)");
                        text.open();
                        text.line(write(&map.key, "entry.Key"));
                        text.line(write(&map.value, "entry.Value"));
                        text.close();
                    },
                    |text| {
                        text.line("var count = reader.ReadInt32();");
                        text.line(format!("var entries = new {of}(count);"));
                        text.line("for (var index = 0; index < count; index++)");
                        text.open();
                        text.line(format!("var key = {};", read(&map.key)));
                        text.line(format!("entries.Add(key, {});", read(&map.value)));
                        text.close();
                        text.line("return entries;");
                    },
                );
            }
            // Written beside their types; objects cross alone.
            TypeDefinition::Record(record) => delegate(text, &record.self_type, &record.name),
            TypeDefinition::Enum(it) if !it.self_type.is_used_as_error => {
                delegate(text, &it.self_type, &it.name)
            }
            TypeDefinition::Enum(it) => {
                let (name, node) = (&it.name, &it.self_type.canonical_name);
                text.line(format!(
                    "internal static {name}Exception Read{node}(ref UniffiReader reader) => {name}Exception.Read(ref reader);"
                ));
                text.blank();
            }
            TypeDefinition::Interface(interface) => {
                let (name, node) = (&interface.name, &interface.self_type.canonical_name);
                converter(
                    text,
                    node,
                    name,
                    |text| text.line("writer.WriteUInt64(value.CloneHandle());"),
                    |text| {
                        text.line(format!("return new {name}(reader.ReadUInt64());"));
                    },
                );
            }
            TypeDefinition::CallbackInterface(it) => bail!("{}: callbacks are not supported", it.name),
            TypeDefinition::Custom(it) => bail!("{}: custom types are not supported", it.name),
            TypeDefinition::External(it) => bail!("{}: types of other crates are not supported", it.name),
        }
    }
    text.close();
    Ok(())
}

fn converter(
    text: &mut Text,
    node: &str,
    of: &str,
    write: impl FnOnce(&mut Text),
    read: impl FnOnce(&mut Text),
) {
    text.line(format!("internal static void Write{node}(UniffiWriter writer, {of} value)"));
    text.open();
    write(text);
    text.close();
    text.blank();
    text.line(format!("internal static {of} Read{node}(ref UniffiReader reader)"));
    text.open();
    read(text);
    text.close();
    text.blank();
}

fn collection(text: &mut Text, node: &str, of: &str, inner: &TypeNode) {
    converter(
        text,
        node,
        of,
        |text| {
            text.line("writer.WriteInt32(value.Count);");
            text.line("foreach (var element in value)");
            text.open();
            text.line(write(inner, "element"));
            text.close();
        },
        |text| {
            text.line("var count = reader.ReadInt32();");
            text.line(format!("var elements = new {of}(count);"));
            text.line("for (var index = 0; index < count; index++)");
            text.open();
            text.line(format!("elements.Add({});", read(inner)));
            text.close();
            text.line("return elements;");
        },
    );
}

/// The converter of a type that reads and writes itself.
fn delegate(text: &mut Text, node: &TypeNode, name: &str) {
    let node = &node.canonical_name;
    text.line(format!(
        "internal static void Write{node}(UniffiWriter writer, {name} value) => {name}Converter.Write(writer, value);"
    ));
    text.blank();
    text.line(format!(
        "internal static {name} Read{node}(ref UniffiReader reader) => {name}Converter.Read(ref reader);"
    ));
    text.blank();
}

fn simple(text: &mut Text, ty: &TypeNode) -> Result<()> {
    let method = match &ty.ty {
        Type::UInt8 => "Byte",
        Type::Int8 => "SByte",
        Type::UInt16 => "UInt16",
        Type::Int16 => "Int16",
        Type::UInt32 => "UInt32",
        Type::Int32 => "Int32",
        Type::UInt64 => "UInt64",
        Type::Int64 => "Int64",
        Type::Float32 => "Single",
        Type::Float64 => "Double",
        Type::Boolean => "Boolean",
        Type::String => "String",
        Type::Bytes => "Bytes",
        other => bail!("{other:?} is not supported"),
    };
    let (node, of) = (&ty.canonical_name, name(&ty.ty)?);
    text.line(format!(
        "internal static void Write{node}(UniffiWriter writer, {of} value) => writer.Write{method}(value);"
    ));
    text.blank();
    text.line(format!("internal static {of} Read{node}(ref UniffiReader reader) => reader.Read{method}();"));
    text.blank();
    Ok(())
}
