//! The vector store: Qdrant's gRPC protocol served by this process over the embedded engine `qdrant-edge`.
//!
//! The platform speaks to Qdrant with [`qdrant_client`] and nothing else. At scale that is a Qdrant cluster; embedded,
//! it is [`VectorServer`], so there is one code path, and any Qdrant client can look inside. [`VectorIndex`] is the thin
//! typed helper that the platform's own code uses on either.
//!
//! **Durability.** The engine replays nothing on load: what survives a kill is what was flushed. So every write is
//! flushed before it is answered, and a write that was answered is never lost.
//!
//! **Access.** Every call shows a key: the read key, or the write key that only the process which opened the store has.
//!
//! **Scope.** Dense vectors (named or not), the payload operations, filters, scroll, count, search and nearest-neighbour
//! query. Whatever else Qdrant can do is answered UNIMPLEMENTED with the name of the method or field, never ignored.

mod access;
mod collections;
mod convert;
mod filter;
mod index;
mod points;
mod query;
mod server;
mod store;
mod writes;

pub use index::{VectorDocument, VectorHit, VectorIndex};
pub use qdrant_client::qdrant::{Condition, Filter};
pub use server::{Serving, VectorServer};
