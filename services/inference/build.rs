//! Compiles the Open Inference Protocol's service definition in Rust, without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/inference.proto");
    let files = protox::compile(["inference.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".inference.ModelInferRequest.raw_input_contents").compile_fds(files)?;
    Ok(())
}
