//! moneta-notification
