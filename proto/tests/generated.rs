//! The committed stubs are what the proto files generate.
//!
//! `PERPER_REGENERATE=1 cargo test -p perper-proto --test generated` writes them anew after a change of a proto file.

use std::{fs, path::Path};

use prost::Message as _;

const FILES: &[&str] = &[
    "perper/v1/sessions.proto",
    "perper/v1/executions.proto",
    "perper/v1/instances.proto",
    "perper/v1/streams.proto",
    "perper/v1/states.proto",
    "perper/v1/inspection.proto",
    "perper/v1/administration.proto",
    "externalscaler/externalscaler.proto",
];

const GENERATED: &[&str] = &["perper.v1.rs", "externalscaler.rs", "descriptors.bin"];

fn generate(into: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(FILES, [root]).expect("the proto files compile");
    // Comments are needed for the stubs' documentation, not for reflection at run time.
    let mut bare = descriptors.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    fs::write(into.join("descriptors.bin"), bare.encode_to_vec()).expect("write descriptors");

    let mut config = prost_build::Config::new();
    // Payloads are slices of the receive buffer, and maps have one order, so that equal content encodes equally.
    config.bytes(["."]).btree_map(["."]);
    tonic_prost_build::configure()
        .out_dir(into)
        // Connecting is the core's business; without it these stubs need no transport.
        .build_transport(false)
        .bytes(".")
        .compile_fds_with_config(descriptors, config)
        .expect("the stubs generate");
}

#[test]
fn committed_stubs_are_current() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    if std::env::var_os("PERPER_REGENERATE").is_some() {
        fs::create_dir_all(&committed).expect("create the folder");
        return generate(&committed);
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    generate(fresh.path());
    for name in GENERATED {
        let expected = fs::read(fresh.path().join(name)).expect("generated");
        let found = fs::read(committed.join(name)).unwrap_or_default();
        assert!(
            expected == found,
            "{name} is not what the proto files generate: run \
             `PERPER_REGENERATE=1 cargo test -p perper-proto --test generated` and commit the result"
        );
    }
}
