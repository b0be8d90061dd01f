//! What every operation of the service works with.
use crate::store::Store;
use moneta_kit::service::ServiceContext;

pub(crate) use crate::inbox::target;

/// The service behind its gRPC face. The operations stand in the folder of the aggregate they work on.
pub struct App {
    pub(crate) context: ServiceContext,
    pub(crate) store: Store,
}

impl App {
    /// The service over what its process offers.
    pub const fn new(context: ServiceContext, store: Store) -> Self {
        Self { context, store }
    }
}
