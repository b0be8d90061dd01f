//! The one signature that a token can carry: EdDSA over Ed25519 (RFC 8037).
//!
//! `jsonwebtoken` leaves cryptography to a provider. The one it ships knows every algorithm of RFC 7518, RSA among them, whose
//! crate leaks its private key through timing (RUSTSEC-2023-0071). This one knows ours alone: no token can choose another
//! algorithm, and the others are not in the program.
use ed25519_dalek::{Signature, SigningKey, VerifyingKey, pkcs8::DecodePrivateKey as _};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwkUtils, JwtSigner, JwtVerifier},
    errors::{ErrorKind, Result},
    signature::{Error, Signer, Verifier},
};

/// Makes this the cryptography of every token of the process; to be called before the first is made or read.
pub(super) fn install() {
    // A second call finds the first one's.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, jwk_utils: JwkUtils::new_unimplemented() };

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    only_ours(*algorithm, key.family())?;
    let key = SigningKey::from_pkcs8_der(key.inner()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(Box::new(Ours(key)))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    only_ours(*algorithm, key.family())?;
    let bytes = key.as_bytes().try_into().map_err(|_| ErrorKind::InvalidEddsaKey)?;
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(Box::new(Ours(key)))
}

fn only_ours(algorithm: Algorithm, family: AlgorithmFamily) -> Result<()> {
    match (algorithm, family) {
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// A key that signs or verifies.
struct Ours<K>(K);

impl Signer<Vec<u8>> for Ours<SigningKey> {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        self.0.try_sign(message).map(|signature: Signature| signature.to_vec())
    }
}

impl JwtSigner for Ours<SigningKey> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

impl Verifier<Vec<u8>> for Ours<VerifyingKey> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0.verify_strict(message, &Signature::from_slice(signature)?)
    }
}

impl JwtVerifier for Ours<VerifyingKey> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    use jsonwebtoken::crypto::{sign, verify};

    /// The key and the signed text of RFC 8037, appendix A.4.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const TEXT: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn keys() -> (EncodingKey, DecodingKey) {
        install();
        let seed: [u8; 32] = hex::decode(SEED).unwrap().try_into().unwrap();
        let key = SigningKey::from_bytes(&seed);
        let der = key.to_pkcs8_der().unwrap();
        (EncodingKey::from_ed_der(der.as_bytes()), DecodingKey::from_ed_der(key.verifying_key().as_bytes()))
    }

    #[test]
    fn the_example_of_the_standard_is_signed_and_verified() {
        let (signing, verifying) = keys();
        assert_eq!(sign(TEXT.as_bytes(), &signing, Algorithm::EdDSA).unwrap(), SIGNATURE);
        assert!(verify(SIGNATURE, TEXT.as_bytes(), &verifying, Algorithm::EdDSA).unwrap());
        assert!(!verify(SIGNATURE, b"another text", &verifying, Algorithm::EdDSA).unwrap());
        assert!(!verify("AAAA", TEXT.as_bytes(), &verifying, Algorithm::EdDSA).unwrap());
    }

    #[test]
    fn no_other_algorithm_and_no_other_key_is_known() {
        use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
        let (signing, verifying) = keys();
        for other in [HS256, HS384, HS512, ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512] {
            assert!(sign(TEXT.as_bytes(), &signing, other).is_err(), "{other:?} signs");
            assert!(verify(SIGNATURE, TEXT.as_bytes(), &verifying, other).is_err(), "{other:?} verifies");
        }
        // The public key as the secret of an HMAC: the classic confusion.
        let confused = DecodingKey::from_secret(verifying.as_bytes());
        assert!(verify(SIGNATURE, TEXT.as_bytes(), &confused, HS256).is_err());
        assert!(verify(SIGNATURE, TEXT.as_bytes(), &confused, EdDSA).is_err());
    }
}
