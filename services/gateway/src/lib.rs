//! moneta-gateway
