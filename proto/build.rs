//! Compiles the contract without protoc: protox parses it, tonic-prost-build
//! writes the Rust.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", root.join("burgee").display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut files = Vec::new();
    collect(&root.join("burgee"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;
    // Keeps comments: grpcurl shows them through reflection.
    std::fs::write(
        out.join("burgee.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    let descriptors = compiler.file_descriptor_set();
    assert!(descriptors.encoded_len() > 0, "the contract is empty");

    let client = std::env::var_os("CARGO_FEATURE_CLIENT").is_some();
    let server = std::env::var_os("CARGO_FEATURE_SERVER").is_some();
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        // Bytes are deterministic only where maps are ordered.
        .btree_map(".")
        .bytes(".")
        // Compared as a pair, epoch first: the fields' order.
        .type_attribute(".burgee.types.v1.Position", "#[derive(PartialOrd, Ord)]")
        .build_client(client)
        .build_server(server)
        .compile_fds_with_config(descriptors, config)?;
    if server {
        compile_encoded_sync_service();
    }
    Ok(())
}

/// SyncService once more, with ruleset messages that are encoded already: one
/// encoding serves however many streams carry it.
fn compile_encoded_sync_service() {
    let ruleset_method = |name: &str, route: &str, comment: &str| {
        tonic_build::manual::Method::builder()
            .name(name)
            .route_name(route)
            .comment(comment)
            .input_type(format!("crate::sync::v1::{route}Request"))
            .output_type("bytes::Bytes")
            .codec_path("crate::pass_through::PassThrough")
            .server_streaming()
            .build()
    };
    let service = tonic_build::manual::Service::builder()
        .name("SyncService")
        .package("burgee.sync.v1")
        .comment("SyncService, with ruleset messages that are encoded already.")
        .method(ruleset_method(
            "watch_ruleset",
            "WatchRuleset",
            "Streams encoded WatchRulesetResponse messages.",
        ))
        .method(ruleset_method(
            "get_ruleset",
            "GetRuleset",
            "Streams encoded GetRulesetResponse messages.",
        ))
        .method(
            tonic_build::manual::Method::builder()
                .name("watch_environments")
                .route_name("WatchEnvironments")
                .comment("Streams which environments a relay key opens.")
                .input_type("crate::sync::v1::WatchEnvironmentsRequest")
                .output_type("crate::sync::v1::WatchEnvironmentsResponse")
                .codec_path("tonic_prost::ProstCodec")
                .server_streaming()
                .build(),
        )
        .build();
    tonic_build::manual::Builder::new()
        .build_client(false)
        .compile(&[service]);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(())
}
