//! moneta-trading
