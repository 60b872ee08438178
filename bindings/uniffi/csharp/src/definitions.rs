//! Objects, records, enums and errors.

use anyhow::{Result, bail};
use uniffi_bindgen::pipeline::general::{
    CallableKind, Enum, Field, Interface, ObjectImpl, Record, TypeDefinition, Variant,
};

use crate::{
    callables::{Receiver, callable},
    names::{camel, pascal},
    text::Text,
    types,
};

pub(crate) fn write(text: &mut Text, definition: &TypeDefinition) -> Result<()> {
    match definition {
        TypeDefinition::Interface(interface) => object(text, interface),
        TypeDefinition::Record(it) => record(text, it),
        TypeDefinition::Enum(it) if it.self_type.is_used_as_error => error(text, it),
        TypeDefinition::Enum(it) if it.is_flat => flat_enum(text, it),
        TypeDefinition::Enum(it) => data_enum(text, it),
        _ => Ok(()),
    }
}

fn object(text: &mut Text, interface: &Interface) -> Result<()> {
    let name = &interface.name;
    if interface.imp != ObjectImpl::Struct {
        bail!("{name}: traits are not supported");
    }
    text.summary(interface.docstring.as_deref());
    text.line(format!("internal sealed unsafe class {name} : IDisposable"));
    text.open();
    text.line("private readonly NativeHandle handle;");
    text.blank();
    text.line(format!("internal {name}(ulong handle) => this.handle = new NativeHandle(handle,"));
    text.line(format!(
        "    static (ulong value, ref RustCallStatus status) => Native.{}(value, ref status));",
        interface.ffi_func_free.0
    ));
    text.blank();
    text.line("/// <summary>Another handle to the same object, for the native library to consume.</summary>");
    text.line("internal ulong CloneHandle()");
    text.open();
    text.line("using var held = handle.Hold();");
    text.line("RustCallStatus status = default;");
    text.line(format!("var clone = Native.{}(handle.Value, ref status);", interface.ffi_func_clone.0));
    text.line("Uniffi.Check(ref status, null);");
    text.line("return clone;");
    text.close();
    text.blank();
    for constructor in &interface.constructors {
        let primary = matches!(constructor.callable.kind, CallableKind::Constructor { primary: true, .. });
        let method = if primary { "Create".to_owned() } else { pascal(&constructor.callable.name) };
        text.summary(constructor.docstring.as_deref());
        callable(text, &constructor.callable, "static ", &method, Receiver::None)?;
    }
    for method in &interface.methods {
        text.summary(method.docstring.as_deref());
        callable(text, &method.callable, "", &pascal(&method.callable.name), Receiver::This)?;
    }
    text.line("/// <summary>Frees the object; without it, the garbage collector does.</summary>");
    text.line("public void Dispose() => handle.Dispose();");
    text.close();
    text.blank();
    Ok(())
}

/// `string Name, ulong Size`
fn positional(fields: &[Field]) -> Result<String> {
    let fields = fields
        .iter()
        .enumerate()
        .map(|(index, field)| Ok(format!("{} {}", types::name(&field.ty.ty)?, field_name(index, field))));
    Ok(fields.collect::<Result<Vec<_>>>()?.join(", "))
}

/// Fields of tuples have no names.
fn field_name(index: usize, field: &Field) -> String {
    if field.name.is_empty() { format!("Item{}", index + 1) } else { pascal(&field.name) }
}

fn record(text: &mut Text, record: &Record) -> Result<()> {
    let name = &record.name;
    text.summary(record.docstring.as_deref());
    text.line(format!("internal sealed record {name}({});", positional(&record.fields)?));
    text.blank();
    text.line(format!("internal static class {name}Converter"));
    text.open();
    text.line(format!("internal static void Write(UniffiWriter writer, {name} value)"));
    text.open();
    for (index, field) in record.fields.iter().enumerate() {
        text.line(types::write(&field.ty, &format!("value.{}", field_name(index, field))));
    }
    text.close();
    text.blank();
    text.line(format!("internal static {name} Read(ref UniffiReader reader)"));
    text.open();
    read_fields(text, &record.fields, &format!("return new {name}"));
    text.close();
    text.close();
    text.blank();
    Ok(())
}

/// Reads fields in order and constructs something of them. C# evaluates arguments from left to right.
fn read_fields(text: &mut Text, fields: &[Field], construct: &str) {
    let reads: Vec<String> = fields.iter().map(|field| types::read(&field.ty)).collect();
    text.line(format!("{construct}({});", reads.join(", ")));
}

fn flat_enum(text: &mut Text, it: &Enum) -> Result<()> {
    let name = &it.name;
    text.summary(it.docstring.as_deref());
    text.line(format!("internal enum {name}"));
    text.open();
    // By position: that is what crosses.
    for (index, variant) in it.variants.iter().enumerate() {
        text.summary(variant.docstring.as_deref());
        text.line(format!("{} = {},", pascal(&variant.name), index + 1));
    }
    text.close();
    text.blank();
    text.line(format!("internal static class {name}Converter"));
    text.open();
    text.line(format!(
        "internal static void Write(UniffiWriter writer, {name} value) => writer.WriteInt32((int)value);"
    ));
    text.blank();
    text.line(format!("internal static {name} Read(ref UniffiReader reader)"));
    text.open();
    text.line("var variant = reader.ReadInt32();");
    text.line(format!(
        "return variant is >= 1 and <= {} ? ({name})variant : throw Uniffi.NoSuchVariant(\"{name}\", variant);",
        it.variants.len()
    ));
    text.close();
    text.close();
    text.blank();
    Ok(())
}

fn data_enum(text: &mut Text, it: &Enum) -> Result<()> {
    let name = &it.name;
    text.summary(it.docstring.as_deref());
    text.line(format!("internal abstract record {name}"));
    text.open();
    text.line(format!("private {name}()"));
    text.open();
    text.close();
    text.blank();
    for variant in &it.variants {
        text.summary(variant.docstring.as_deref());
        text.line(format!(
            "internal sealed record {}({}) : {name};",
            pascal(&variant.name),
            positional(&variant.fields)?
        ));
        text.blank();
    }
    text.close();
    text.blank();
    text.line(format!("internal static class {name}Converter"));
    text.open();
    text.line(format!("internal static void Write(UniffiWriter writer, {name} value)"));
    text.open();
    text.line("switch (value)");
    text.open();
    for (index, variant) in it.variants.iter().enumerate() {
        text.line(format!("case {name}.{} it:", pascal(&variant.name)));
        text.line(format!("    writer.WriteInt32({});", index + 1));
        for (index, field) in variant.fields.iter().enumerate() {
            text.line(format!(
                "    {}",
                types::write(&field.ty, &format!("it.{}", field_name(index, field)))
            ));
        }
        text.line("    break;");
    }
    text.close();
    text.close();
    text.blank();
    text.line(format!("internal static {name} Read(ref UniffiReader reader)"));
    text.open();
    read_variants(text, &it.variants, name, |variant| format!("return new {name}.{}", pascal(&variant.name)));
    text.close();
    text.close();
    text.blank();
    Ok(())
}

fn read_variants(text: &mut Text, variants: &[Variant], name: &str, construct: impl Fn(&Variant) -> String) {
    text.line("var variant = reader.ReadInt32();");
    text.line("switch (variant)");
    text.open();
    for (index, variant) in variants.iter().enumerate() {
        text.line(format!("case {}:", index + 1));
        text.line("{");
        let reads: Vec<String> = variant.fields.iter().map(|field| types::read(&field.ty)).collect();
        text.line(format!("    {}({});", construct(variant), reads.join(", ")));
        text.line("}");
    }
    text.line("default:");
    text.line(format!("    throw Uniffi.NoSuchVariant(\"{name}\", variant);"));
    text.close();
}

/// An enum that is an error becomes exceptions: a base, and a class nested in it for each variant.
fn error(text: &mut Text, it: &Enum) -> Result<()> {
    let name = format!("{}Exception", it.name);
    let flat = it.is_flat || it.variants.iter().all(|variant| variant.fields.is_empty());
    text.summary(it.docstring.as_deref());
    text.line(format!("internal abstract class {name} : Exception"));
    text.open();
    text.line(format!("private {name}(string message) : base(message)"));
    text.open();
    text.close();
    text.blank();
    for variant in &it.variants {
        let class = pascal(&variant.name);
        text.summary(variant.docstring.as_deref());
        text.line(format!("internal sealed class {class} : {name}"));
        text.open();
        if flat {
            text.line(format!("internal {class}(string message) : base(message)"));
            text.open();
            text.close();
        } else {
            let mut parameters = Vec::new();
            for (index, field) in variant.fields.iter().enumerate() {
                let parameter = camel(&field_name(index, field));
                parameters.push(format!("{} {parameter}", types::name(&field.ty.ty)?));
            }
            text.line(format!("internal {class}({}) : base(\"{class}\")", parameters.join(", ")));
            text.open();
            for (index, field) in variant.fields.iter().enumerate() {
                let property = field_name(index, field);
                text.line(format!("{property} = {};", camel(&property)));
            }
            text.close();
            text.blank();
            for (index, field) in variant.fields.iter().enumerate() {
                text.summary(field.docstring.as_deref());
                let property = field_name(index, field);
                text.line(format!("internal {} {property} {{ get; }}", types::name(&field.ty.ty)?));
                text.blank();
            }
        }
        text.close();
        text.blank();
    }
    text.line(format!("internal static {name} Read(ref UniffiReader reader)"));
    text.open();
    if flat {
        // The text stands behind the variant.
        text.line("var variant = reader.ReadInt32();");
        text.line("var message = reader.ReadString();");
        text.line("return variant switch");
        text.open();
        for (index, variant) in it.variants.iter().enumerate() {
            text.line(format!("{} => new {}(message),", index + 1, pascal(&variant.name)));
        }
        text.line(format!("_ => throw Uniffi.NoSuchVariant(\"{name}\", variant),"));
        text.close_with(";");
    } else {
        read_variants(text, &it.variants, &name, |variant| format!("return new {}", pascal(&variant.name)));
    }
    text.close();
    text.close();
    text.blank();
    Ok(())
}
