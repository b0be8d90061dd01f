//! moneta
