//! moneta-tests
