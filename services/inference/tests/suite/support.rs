//! Models for the tests: an affine map on both backends, an echo of every kind of element, and a backend whose pace the
//! test holds in its hand.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
};

use moneta_inference::{
    Access, Backend, BackendFactory, BackendSource, CandleArchitecture, CandleInputs, CandleModule, DataType, Error,
    Inference, ModelBytes, ModelServer, ModelSource, NamedTensor, Result, ServerOptions, Signature, Tensor, TensorSpec,
    candle_core::{self, DType, Device},
    candle_nn::{self, Linear, Module, VarBuilder},
};
use tokio::sync::Semaphore;

/// The fixed time of the tests' wall clock: 2026-01-01T00:00:00Z in milliseconds.
pub const NOW: u64 = 1_767_225_600_000;

/// What allows a client to change the server.
pub const TOKEN: &str = "5f2c";

/// A digest of 64 equal digits, to tell versions apart.
pub fn digest(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// The ONNX Runtime library, from `MONETA_ONNXRUNTIME` or the repository's `.moneta` folder.
pub fn onnxruntime() -> PathBuf {
    if let Some(path) = std::env::var_os("MONETA_ONNXRUNTIME") {
        return path.into();
    }
    let places = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut libraries = places.map(|folder| folder.join(".moneta/onnxruntime/libonnxruntime.so"));
    let found = libraries.find(|library| library.is_file());
    found.expect("ONNX Runtime is missing at .moneta/onnxruntime/libonnxruntime.so: run `make fetch`")
}

pub fn options() -> ServerOptions {
    let access = Access::new(Some(TOKEN), &["models.internal".to_owned()]);
    ServerOptions { architectures: vec![AFFINE], access, ..ServerOptions::new(onnxruntime(), || NOW) }
}

pub fn server() -> Arc<ModelServer> {
    ModelServer::new(options())
}

fn data(name: &str) -> ModelBytes {
    ModelBytes::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name))
}

/// y = x W + b with W = [[1, .5], [-2, .25], [4, -1]] and b = [.5, -1]: see `tests/data/make_models.py`.
pub fn affine_signature() -> Signature {
    Signature {
        inputs: vec![TensorSpec::new("x", DataType::F32, [-1, 3])],
        outputs: vec![TensorSpec::new("y", DataType::F32, [-1, 2])],
    }
}

pub fn affine_onnx() -> ModelSource {
    ModelSource::new(BackendSource::Onnx { model: data("affine.onnx") }, affine_signature(), digest('a'))
}

pub fn echo_onnx() -> ModelSource {
    let specs = |suffix: &str| {
        vec![
            TensorSpec::new(format!("text{suffix}"), DataType::Bytes, [-1]),
            TensorSpec::new(format!("flag{suffix}"), DataType::Bool, [-1]),
            TensorSpec::new(format!("count{suffix}"), DataType::I64, [-1, -1]),
            TensorSpec::new(format!("real{suffix}"), DataType::F64, [-1]),
        ]
    };
    let signature = Signature { inputs: specs(""), outputs: specs("_out") };
    ModelSource::new(BackendSource::Onnx { model: data("echo.onnx") }, signature, digest('e'))
}

/// The same map in candle, with its weights written as safetensors.
pub fn affine_candle(folder: &Path) -> ModelSource {
    let tensor =
        |values: &[f32], shape: &[usize]| candle_core::Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    let weights = [
        ("linear.weight".to_owned(), tensor(&[1.0, -2.0, 4.0, 0.5, 0.25, -1.0], &[2, 3])),
        ("linear.bias".to_owned(), tensor(&[0.5, -1.0], &[2])),
    ];
    let path = folder.join("model.safetensors");
    candle_core::safetensors::save(&weights.into(), &path).unwrap();
    let weights = ModelBytes::Memory(std::fs::read(path).unwrap().into());
    let config = serde_json::json!({"inputs": 3, "outputs": 2});
    let backend = BackendSource::Candle { architecture: "affine".to_owned(), config, weights };
    ModelSource::new(backend, affine_signature(), digest('c'))
}

pub const AFFINE: CandleArchitecture = CandleArchitecture { name: "affine", dtype: DType::F32, build: build_affine };

struct Affine(Linear);

fn build_affine(weights: VarBuilder<'_>, config: &serde_json::Value) -> candle_core::Result<Box<dyn CandleModule>> {
    let size = |name: &str| {
        let size = config[name].as_u64().and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| candle_core::Error::msg(format!("config.{name}: got {}, allowed: a size", config[name])))
    };
    let linear = candle_nn::linear(size("inputs")?, size("outputs")?, weights.pp("linear"))?;
    Ok(Box::new(Affine(linear)))
}

impl CandleModule for Affine {
    fn forward(&self, inputs: &CandleInputs) -> candle_core::Result<Vec<(String, candle_core::Tensor)>> {
        Ok(vec![("y".to_owned(), self.0.forward(inputs.get("x")?)?)])
    }
}

pub fn rows(values: &[[f32; 3]]) -> Vec<NamedTensor> {
    vec![NamedTensor::new("x", Tensor::new([values.len(), 3], values.concat()).unwrap())]
}

/// What the affine map gives, computed here.
pub fn affine(values: &[[f32; 3]]) -> Vec<f32> {
    values.iter().flat_map(|[a, b, c]| [a - 2.0 * b + 4.0 * c + 0.5, 0.5 * a + 0.25 * b - c - 1.0]).collect()
}

pub fn y(inference: &Inference) -> Vec<f32> {
    inference.output("y").unwrap().values::<f32>().unwrap().to_vec()
}

/// A model that multiplies by a factor, once the test lets it.
#[derive(Clone)]
pub struct Scale {
    pub factor: f32,
    pub gate: Arc<Gate>,
    /// Rows of every run that was let through, in order.
    pub runs: Arc<Mutex<Vec<usize>>>,
    /// Held by every instance: its strong count tells how many are alive.
    pub alive: Arc<()>,
}

impl Scale {
    pub fn new(factor: f32) -> Scale {
        Scale { factor, gate: Gate::open(), runs: Arc::default(), alive: Arc::default() }
    }

    /// A model that stops at every run after the warm-up until the test lets it through.
    pub fn gated(factor: f32) -> Scale {
        Scale { gate: Gate::closed_after(1), ..Scale::new(factor) }
    }

    pub fn source(&self) -> ModelSource {
        let signature = Signature {
            inputs: vec![TensorSpec::new("x", DataType::F32, [-1])],
            outputs: vec![TensorSpec::new("y", DataType::F32, [-1])],
        };
        let digit = char::from_digit(self.factor as u32 % 10, 10).unwrap();
        ModelSource::new(BackendSource::Custom(Arc::new(self.clone())), signature, digest(digit))
    }

    /// Rows of the runs after the warm-up.
    pub fn runs(&self) -> Vec<usize> {
        self.runs.lock().unwrap()[1..].to_vec()
    }
}

pub fn x(values: &[f32]) -> Vec<NamedTensor> {
    vec![NamedTensor::new("x", Tensor::new([values.len()], values.to_vec()).unwrap())]
}

impl BackendFactory for Scale {
    fn platform(&self) -> &str {
        "scale_rust"
    }

    fn create(&self) -> Result<Box<dyn Backend>> {
        Ok(Box::new(self.clone()))
    }
}

impl Backend for Scale {
    fn infer(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>> {
        self.gate.pass();
        let values = inputs[0].tensor.values::<f32>()?;
        if values.contains(&13.0) {
            return Err(Error::backend("13 is refused"));
        }
        assert!(!values.contains(&666.0), "666 makes it panic");
        self.runs.lock().unwrap().push(values.len());
        let scaled: Vec<f32> = values.iter().map(|value| value * self.factor).collect();
        Ok(vec![NamedTensor::new("y", Tensor::new([scaled.len()], scaled)?)])
    }
}

/// Lets runs through one by one, and tells the test when one has come to it.
pub struct Gate {
    permits: Mutex<Option<usize>>,
    changed: Condvar,
    arrivals: Semaphore,
}

impl Gate {
    fn open() -> Arc<Gate> {
        Arc::new(Gate { permits: Mutex::new(None), changed: Condvar::new(), arrivals: Semaphore::new(0) })
    }

    fn closed_after(runs: usize) -> Arc<Gate> {
        let gate = Gate::open();
        *gate.permits.lock().unwrap() = Some(runs);
        gate
    }

    fn pass(&self) {
        self.arrivals.add_permits(1);
        let mut permits = self.changed.wait_while(self.permits.lock().unwrap(), |permits| *permits == Some(0)).unwrap();
        *permits = permits.map(|permits| permits - 1);
    }

    /// Waits until `runs` runs have come to the gate that no earlier call has counted.
    pub async fn arrived(&self, runs: u32) {
        self.arrivals.acquire_many(runs).await.unwrap().forget();
    }

    /// Lets everything through from now on.
    pub fn release(&self) {
        *self.permits.lock().unwrap() = None;
        self.changed.notify_all();
    }
}

/// Polls until `condition` holds: for what the server tells only through its state.
pub async fn eventually(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
