//! Writes the C# side of a library that uniffi exports.
//!
//! uniffi_bindgen reads the metadata out of the built library and works out every external function; what is left for a
//! language is to write them down. [`generate`] gives two files: the classes that mirror the exports, and the little
//! runtime under them (`runtime.cs`), which knows buffers, handles and futures but nothing of the library.
//!
//! Supported: functions, objects with constructors and methods, asynchronous or not, records, enums with and without
//! data, errors, numbers, booleans, text, bytes (borrowed too), options, sequences, maps, sets. Refused by name, rather
//! than written wrongly: callbacks and traits that the language would implement, custom types, timestamps, durations.

mod callables;
mod definitions;
mod names;
mod native;
mod text;
mod types;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use uniffi_bindgen::{BindgenLoader, BindgenPaths, GlobalConfig, pipeline::general};

use text::Text;

/// A file to write.
#[derive(Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: String,
}

const HEADER: &str = "// Written by bindings/uniffi/csharp from the metadata of the native library; do not edit.\n\
                      // `./dev dotnet generate` writes it again.\n\n";

/// The C# side of a library, in a C# namespace.
pub fn generate(library: &Utf8Path, namespace: &str) -> Result<Vec<GeneratedFile>> {
    let loader = BindgenLoader::new(BindgenPaths::default(), GlobalConfig::default());
    let metadata = loader.load_metadata(library).with_context(|| format!("reading {library}"))?;
    let initial = loader.load_pipeline_initial_root(library, metadata)?;
    let root = general::pipeline("csharp").execute(initial)?;
    ensure!(
        root.namespaces.len() == 1,
        "{library} exports {} crates; exactly one can be written into one C# namespace",
        root.namespaces.len()
    );
    let (_, exported) = root.namespaces.first().context("the library exports nothing")?;
    let name = names::pascal(&exported.name);
    let runtime = include_str!("runtime.cs")
        .replace("{NAMESPACE}", namespace)
        .replace("{LIBRARY}", root.cdylib.as_deref().unwrap_or(&exported.crate_name))
        .replace("{CRATE}", &exported.crate_name);
    let mut text = Text::default();
    text.line("#nullable enable");
    for using in [
        "System",
        "System.Collections.Generic",
        "System.Runtime.InteropServices",
        "System.Threading",
        "System.Threading.Tasks",
    ] {
        text.line(format!("using {using};"));
    }
    text.blank();
    text.line(format!("namespace {namespace}"));
    text.open();
    native::write(&mut text, exported)?;
    callables::write_functions(&mut text, &name, exported)?;
    for definition in &exported.type_definitions {
        definitions::write(&mut text, definition)?;
    }
    types::write_converters(&mut text, exported)?;
    text.close();
    Ok(vec![
        GeneratedFile { name: "UniffiRuntime.cs".to_owned(), content: format!("{HEADER}{runtime}") },
        GeneratedFile { name: format!("{name}.cs"), content: format!("{HEADER}{}", text.finish()) },
    ])
}
