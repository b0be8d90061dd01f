//! The adviser's configuration.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// Section `[advisor]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The person accountable for algorithmic advice (article 54(1) of Delegated Regulation (EU) 2017/565).
    pub accountable_person: String,
    /// Folder with ONNX Runtime and the encoder's files, filled by `make up`.
    pub assets: PathBuf,
    /// An ONNX Runtime library of one's own; empty: the one in `assets`.
    pub onnxruntime: PathBuf,
    /// SHA-256 of that library, 64 hexadecimal digits; empty: that of the one which `make up` fetches.
    pub onnxruntime_sha256: String,
    /// Folder with the platform's own models, registered at the first start.
    pub models: PathBuf,
    /// Folder with the texts that the chat cites.
    pub knowledge: PathBuf,
    /// γ of the optimisation.
    pub risk_aversion: f64,
    /// Share of the risk ceiling that the optimiser may use, so that a small move does not breach it at once.
    pub ceiling_use: f64,
    /// Smallest weight of cash.
    pub min_cash: f64,
    /// Largest turnover of one proposal, decimal fraction of value.
    pub max_turnover: f64,
    /// Return a year on cash.
    pub cash_return: f64,
    /// Sharpe ratio that the equilibrium returns assume.
    pub market_sharpe: f64,
    /// Weight of the forecast's own mean against the equilibrium, 0 to 1. Zero unless somebody has shown that the mean is
    /// worth something: noise in it is paid for in turnover.
    pub view_weight: f64,
    /// Trading days that a position is meant to be held: the cost of trading is spread over them when it is weighed
    /// against a return a year.
    pub holding_days: f64,
    /// Cost of trading one way in basis points.
    pub cost_bp: f64,
    /// Smallest trade as a fraction of the portfolio's value.
    pub min_trade: f64,
    /// Drift below which nothing is done while the risk is within bounds.
    pub band: f64,
    /// Trading days between regular reviews.
    pub review_days: u32,
    /// Days after which an open recommendation lapses.
    pub expiry_days: u64,
    /// Move of a reference price beyond which an approval lapses, decimal fraction.
    pub price_tolerance: f64,
    /// Trading days of history that covariance is estimated from.
    pub risk_window: usize,
    /// Days that pass before a trigger of the same kind calls for another proposal.
    pub cooldown_days: u32,
    /// Whether the vector store listens on an address of its own; port 0 asks the system.
    pub vectors: SocketAddr,
    /// URL of a Qdrant cluster; when empty the process serves the protocol itself.
    pub vectors_url: String,
    /// Key for that cluster, which must allow writing.
    pub vectors_api_key: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accountable_person: "Head of Investment Advice".to_owned(),
            assets: PathBuf::from(".moneta"),
            onnxruntime: PathBuf::new(),
            onnxruntime_sha256: String::new(),
            models: PathBuf::from("models"),
            knowledge: PathBuf::from("advisor/knowledge"),
            risk_aversion: 4.0,
            ceiling_use: 0.95,
            min_cash: 0.02,
            max_turnover: 1.0,
            cash_return: 0.01,
            market_sharpe: 0.4,
            view_weight: 0.0,
            holding_days: 63.0,
            cost_bp: 4.0,
            min_trade: 0.005,
            band: 0.02,
            review_days: 21,
            expiry_days: 7,
            price_tolerance: 0.05,
            risk_window: 504,
            cooldown_days: 5,
            vectors: SocketAddr::from(([127, 0, 0, 1], 0)),
            vectors_url: String::new(),
            vectors_api_key: String::new(),
        }
    }
}

/// Section `[inference]`: where the model server listens for the Open Inference Protocol.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InferenceConfig {
    /// HTTP.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Names and addresses besides loopback by which clients may know the model server, without ports; a request with any
    /// other `Host` is refused.
    pub hosts: Vec<String>,
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8000)),
            grpc: SocketAddr::from(([127, 0, 0, 1], 8001)),
            hosts: Vec::new(),
        }
    }
}
