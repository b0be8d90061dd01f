//! Which versions are loaded, in what state, and which one answers a request.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Error, Result, model::LoadedModel, signature::invalid};

/// The alias that answers requests which name no version.
pub const CHAMPION: &str = "champion";

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// It is being built and warmed up.
    Loading,
    /// It takes traffic.
    Ready,
    /// It serves what waits and takes nothing new.
    Unloading,
    /// It is not loaded; the reason says why.
    Unavailable,
}

impl ModelState {
    /// The protocol's word for it.
    pub fn name(self) -> &'static str {
        match self {
            ModelState::Loading => "LOADING",
            ModelState::Ready => "READY",
            ModelState::Unloading => "UNLOADING",
            ModelState::Unavailable => "UNAVAILABLE",
        }
    }
}

/// A version the server knows, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStatus {
    /// Name of the model.
    pub model: String,
    /// The version.
    pub version: String,
    /// SHA-256 of its bytes in hex; empty when it is not loaded.
    pub digest: String,
    /// The backend's platform name; empty when it is not loaded.
    pub platform: String,
    /// Where it stands.
    pub state: ModelState,
    /// Why it is unavailable; empty otherwise.
    pub reason: String,
}

/// Every model by name.
#[derive(Default)]
pub(crate) struct Catalog {
    models: BTreeMap<String, Entry>,
    loads: u64,
}

#[derive(Default)]
struct Entry {
    versions: BTreeMap<String, Version>,
    aliases: BTreeMap<String, String>,
}

struct Version {
    state: ModelState,
    reason: String,
    /// Present while the version takes traffic.
    loaded: Option<Arc<LoadedModel>>,
    /// Counts up with each load: the newest answers where no alias decides.
    order: u64,
}

impl Catalog {
    /// The version that answers a request.
    pub(crate) fn resolve(&self, model: &str, version: Option<&str>) -> Result<Arc<LoadedModel>> {
        let not_found = || Error::ModelNotFound { model: model.to_owned() };
        let entry = self.models.get(model).ok_or_else(not_found)?;
        match version.filter(|version| !version.is_empty()) {
            Some(asked) => entry.named(asked).ok_or_else(|| self.version_not_found(model, asked)),
            None => entry.named(CHAMPION).or_else(|| entry.newest()).ok_or_else(not_found),
        }
    }

    /// The version itself, when it takes traffic.
    pub(crate) fn loaded(&self, model: &str, version: &str) -> Option<Arc<LoadedModel>> {
        self.models.get(model)?.versions.get(version)?.loaded.clone()
    }

    /// Every version that takes traffic, of one model or of all.
    pub(crate) fn ready(&self, model: Option<&str>) -> Vec<Arc<LoadedModel>> {
        let models = self.models.iter().filter(|(name, _)| model.is_none_or(|asked| asked == name.as_str()));
        models.flat_map(|(_, entry)| entry.versions.values().filter_map(|version| version.loaded.clone())).collect()
    }

    pub(crate) fn status(&self) -> Vec<ModelStatus> {
        let mut all = Vec::new();
        for (model, entry) in &self.models {
            for (name, version) in &entry.versions {
                let loaded = version.loaded.as_ref();
                all.push(ModelStatus {
                    model: model.clone(),
                    version: name.clone(),
                    digest: loaded.map(|loaded| loaded.digest.clone()).unwrap_or_default(),
                    platform: loaded.map(|loaded| loaded.platform.clone()).unwrap_or_default(),
                    state: version.state,
                    reason: version.reason.clone(),
                });
            }
        }
        all
    }

    /// Notes that a version is being loaded. One that takes traffic goes on doing so meanwhile.
    pub(crate) fn loading(&mut self, model: &str, version: &str) {
        let entry = self.models.entry(model.to_owned()).or_default();
        let known = entry.versions.entry(version.to_owned()).or_insert_with(|| Version {
            state: ModelState::Loading,
            reason: String::new(),
            loaded: None,
            order: 0,
        });
        if known.loaded.is_none() {
            known.state = ModelState::Loading;
            known.reason.clear();
        }
    }

    /// Lets a version take traffic; gives back the instances it replaces.
    pub(crate) fn publish(&mut self, loaded: Arc<LoadedModel>) -> Option<Arc<LoadedModel>> {
        self.loads += 1;
        let entry = self.models.entry(loaded.name.clone()).or_default();
        let version = loaded.version.clone();
        let published =
            Version { state: ModelState::Ready, reason: String::new(), loaded: Some(loaded), order: self.loads };
        entry.versions.insert(version, published)?.loaded
    }

    /// Notes why a load failed. A version that takes traffic goes on with the instances it has.
    pub(crate) fn load_failed(&mut self, model: &str, version: &str, reason: String) {
        let known = self.models.get_mut(model).and_then(|entry| entry.versions.get_mut(version));
        if let Some(known) = known.filter(|known| known.loaded.is_none()) {
            (known.state, known.reason) = (ModelState::Unavailable, reason);
        }
    }

    /// Takes a version out of traffic; what it is still working on goes on.
    pub(crate) fn withdraw(&mut self, model: &str, version: &str) -> Result<Arc<LoadedModel>> {
        let entry = self.models.get_mut(model).ok_or_else(|| Error::ModelNotFound { model: model.to_owned() })?;
        if let Some((alias, _)) = entry.aliases.iter().find(|(_, target)| *target == version) {
            let (model, version) = (model.to_owned(), version.to_owned());
            return Err(Error::AliasInUse { model, version, alias: alias.clone() });
        }
        let withdrawn = entry.versions.get_mut(version).and_then(Version::withdraw);
        withdrawn.ok_or_else(|| self.version_not_found(model, version))
    }

    /// Takes every version of a model out of traffic and forgets its aliases.
    pub(crate) fn withdraw_all(&mut self, model: &str) -> Result<Vec<Arc<LoadedModel>>> {
        let not_found = || Error::ModelNotFound { model: model.to_owned() };
        let entry = self.models.get_mut(model).ok_or_else(not_found)?;
        entry.aliases.clear();
        let withdrawn: Vec<_> = entry.versions.values_mut().filter_map(Version::withdraw).collect();
        if withdrawn.is_empty() { Err(not_found()) } else { Ok(withdrawn) }
    }

    /// Notes that a withdrawn version is gone, unless it was loaded anew meanwhile.
    pub(crate) fn unloaded(&mut self, model: &str, version: &str) {
        let known = self.models.get_mut(model).and_then(|entry| entry.versions.get_mut(version));
        if let Some(known) = known.filter(|known| known.state == ModelState::Unloading) {
            (known.state, known.reason) = (ModelState::Unavailable, "unloaded".to_owned());
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.models.keys().cloned().collect()
    }

    pub(crate) fn aliases(&self, model: &str) -> BTreeMap<String, String> {
        self.models.get(model).map(|entry| entry.aliases.clone()).unwrap_or_default()
    }

    pub(crate) fn set_alias(&mut self, model: &str, alias: &str, version: &str) -> Result<()> {
        let not_found = || Error::ModelNotFound { model: model.to_owned() };
        let entry = self.models.get_mut(model).ok_or_else(not_found)?;
        if entry.versions.contains_key(alias) {
            return Err(invalid("alias", &format!("'{alias}'"), "a name that is not a version of the model"));
        }
        if entry.versions.get(version).is_none_or(|known| known.loaded.is_none()) {
            return Err(self.version_not_found(model, version));
        }
        entry.aliases.insert(alias.to_owned(), version.to_owned());
        Ok(())
    }

    pub(crate) fn remove_alias(&mut self, model: &str, alias: &str) -> Result<()> {
        let removed = self.models.get_mut(model).and_then(|entry| entry.aliases.remove(alias));
        removed.map(drop).ok_or_else(|| self.version_not_found(model, alias))
    }

    /// Refuses to load a version under a name that is an alias: the name would mean two things.
    pub(crate) fn check_version_name(&self, model: &str, version: &str) -> Result<()> {
        if self.models.get(model).is_some_and(|entry| entry.aliases.contains_key(version)) {
            return Err(invalid("version", &format!("'{version}'"), "a name that is not an alias of the model"));
        }
        Ok(())
    }

    fn version_not_found(&self, model: &str, version: &str) -> Error {
        match self.models.get(model) {
            None => Error::ModelNotFound { model: model.to_owned() },
            Some(entry) => {
                let loaded: Vec<_> = entry.versions.iter().filter(|(_, known)| known.loaded.is_some()).collect();
                let loaded = loaded.into_iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                Error::VersionNotFound { model: model.to_owned(), version: version.to_owned(), loaded }
            }
        }
    }
}

impl Entry {
    fn named(&self, version_or_alias: &str) -> Option<Arc<LoadedModel>> {
        let version = self.aliases.get(version_or_alias).map_or(version_or_alias, String::as_str);
        self.versions.get(version)?.loaded.clone()
    }

    fn newest(&self) -> Option<Arc<LoadedModel>> {
        let ready = self.versions.values().filter(|version| version.loaded.is_some());
        ready.max_by_key(|version| version.order)?.loaded.clone()
    }
}

impl Version {
    fn withdraw(&mut self) -> Option<Arc<LoadedModel>> {
        let loaded = self.loaded.take()?;
        self.state = ModelState::Unloading;
        Some(loaded)
    }
}
