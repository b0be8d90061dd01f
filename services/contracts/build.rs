//! Compiles the contracts with protox, so that no protoc is needed on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    // The shared values first; the others then name them by their place in this crate.
    tonic_prost_build::configure().compile_fds(protox::compile(["proto/common.proto"], ["proto"])?)?;
    let services = ["node", "market_data", "user", "portfolio", "trading", "compliance", "notification", "advisor"];
    for service in services {
        let descriptors = protox::compile([format!("proto/{service}.proto")], ["proto"])?;
        tonic_prost_build::configure().extern_path(".moneta.common.v1", "crate::common").compile_fds(descriptors)?;
    }
    Ok(())
}
