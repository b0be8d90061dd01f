//! The registry's P-256 key: created once, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey as EcdsaKey, VerifyingKey};
use p256::elliptic_curve::rand_core::OsRng;
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use sha2::{Digest as _, Sha256};

use super::{SigningError, SigningResult};

/// A private key to sign models with. Its debug form shows the public fingerprint only.
#[derive(Clone)]
pub struct SigningKey(EcdsaKey);

/// A public key to verify models with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    pem: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads the key at `path` (PKCS#8 PEM), or creates one there with mode 0600.
    ///
    /// Two processes that start at once end with the same key: the file appears whole under its name by a link that
    /// fails when the name is taken, and the loser reads the winner's.
    ///
    /// # Errors
    /// [`SigningError::Io`] and [`SigningError::Key`], which name the file.
    pub fn load_or_create(path: &Path) -> SigningResult<Self> {
        if !path.exists() {
            Self::create(path)?;
        }
        let pem = fs::read_to_string(path).map_err(|source| SigningError::Io { path: path.to_path_buf(), source })?;
        Self::from_pem(&pem, &path.display().to_string())
    }

    fn create(path: &Path) -> SigningResult<()> {
        let io = |source| SigningError::Io { path: path.to_path_buf(), source };
        let key = EcdsaKey::random(&mut OsRng);
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| SigningError::Key { path: path.display().to_string(), reason: error.to_string() })?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary).map_err(io)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        let linked = fs::hard_link(&temporary, path);
        fs::remove_file(&temporary).map_err(io)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
        Ok(())
    }

    /// Reads a PKCS#8 PEM; `origin` is named in errors.
    ///
    /// # Errors
    /// [`SigningError::Key`].
    pub fn from_pem(pem: &str, origin: &str) -> SigningResult<Self> {
        EcdsaKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|error| SigningError::Key { path: origin.to_owned(), reason: error.to_string() })
    }

    /// The public half.
    ///
    /// # Errors
    /// [`SigningError::Key`] when it cannot be encoded.
    pub fn public_key(&self) -> SigningResult<PublicKey> {
        PublicKey::from_key(*self.0.verifying_key(), "of the registry")
    }

    /// An ECDSA signature with SHA-256, in DER.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl PublicKey {
    /// Reads an SPKI PEM; `origin` is named in errors.
    ///
    /// # Errors
    /// [`SigningError::Key`].
    pub fn from_pem(pem: &str, origin: &str) -> SigningResult<Self> {
        let key = VerifyingKey::from_public_key_pem(pem)
            .map_err(|error| SigningError::Key { path: origin.to_owned(), reason: error.to_string() })?;
        Self::from_key(key, origin)
    }

    fn from_key(key: VerifyingKey, origin: &str) -> SigningResult<Self> {
        let pem = key
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| SigningError::Key { path: origin.to_owned(), reason: error.to_string() })?;
        Ok(Self { key, pem })
    }

    /// The key as SPKI PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// How bundles name the key: the SHA-256 of its PEM text, in hex.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.pem.as_bytes()))
    }

    pub(super) fn verify(&self, message: &[u8], der: &[u8]) -> SigningResult<()> {
        let signature = Signature::from_der(der).map_err(|_| SigningError::Invalid)?;
        self.key.verify(message, &signature).map_err(|_| SigningError::Invalid)
    }
}
