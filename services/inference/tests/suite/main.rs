//! The model server from outside: backends, serving, and the protocol over HTTP and gRPC.

#![allow(clippy::unwrap_used)]

mod access;
mod backends;
mod fuzz;
mod grpc;
mod http;
mod repository;
mod serving;
mod support;
mod versions;
