//! Where models come from when a client of the protocol asks the server to load one by name.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{ModelSource, Result};

/// A version that a repository can deliver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryVersion {
    /// Name of the model.
    pub model: String,
    /// The version.
    pub version: String,
}

/// The versions of a model that should be served, oldest first, and the aliases that name them.
pub struct RepositoryModel {
    /// Versions with their sources.
    pub versions: Vec<(String, ModelSource)>,
    /// Alias to version.
    pub aliases: BTreeMap<String, String>,
}

/// Delivers models by name. The server itself keeps none: whoever holds the registry implements this.
#[async_trait]
pub trait ModelRepository: Send + Sync {
    /// Every version the repository could deliver, loaded or not.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when it cannot be read.
    async fn index(&self) -> Result<Vec<RepositoryVersion>>;

    /// The versions of a model to serve now.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`](crate::Error::ModelNotFound) for a name it does not have.
    async fn fetch(&self, model: &str) -> Result<RepositoryModel>;
}
