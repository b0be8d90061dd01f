//! Signatures: our own round trip, what must break it, and a bundle made by the reference implementation.

use std::fs;
use std::path::{Path, PathBuf};

use moneta_model_store::signing::{
    Difference, PublicKey, SIGNATURE_FILE, SigningError, SigningKey, sign_directory, verify_directory,
};
use tempfile::TempDir;

struct Signed {
    folder: TempDir,
    key: SigningKey,
}

impl Signed {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let model = folder.path().join("model");
        fs::create_dir_all(model.join("weights")).unwrap();
        fs::write(model.join("model.toml"), "name = \"demo\"").unwrap();
        fs::write(model.join("weights/w.bin"), b"weights").unwrap();
        // A name that sorts differently by bytes than by path components.
        fs::write(model.join("weights-old"), b"older").unwrap();
        let key = SigningKey::load_or_create(&folder.path().join("key.pem")).unwrap();
        sign_directory(&model, &model.join(SIGNATURE_FILE), &key).unwrap();
        Self { folder, key }
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("model")
    }

    fn verify(&self) -> Result<(), SigningError> {
        let key = self.key.public_key().unwrap();
        verify_directory(&self.model(), &self.model().join(SIGNATURE_FILE), &key).map(|_| ())
    }

    fn differences(&self) -> Vec<Difference> {
        match self.verify() {
            Err(SigningError::Differs { differences }) => differences,
            other => panic!("expected differences, got {other:?}"),
        }
    }
}

#[test]
fn a_signed_folder_verifies() {
    Signed::new().verify().unwrap();
}

#[test]
fn an_unsigned_extra_file_fails_verification() {
    let signed = Signed::new();
    fs::write(signed.model().join("weights/extra.py"), "import os").unwrap();
    assert_eq!(signed.differences(), [Difference::Unsigned("weights/extra.py".into())]);
}

#[test]
fn a_changed_and_a_missing_file_are_both_named() {
    let signed = Signed::new();
    fs::write(signed.model().join("weights/w.bin"), b"weightz").unwrap();
    fs::remove_file(signed.model().join("weights-old")).unwrap();
    let differences = signed.differences();
    assert!(matches!(&differences[0], Difference::Changed { path, .. } if path == "weights/w.bin"), "{differences:?}");
    assert_eq!(differences[1], Difference::Missing("weights-old".into()));
}

#[test]
fn a_symbolic_link_in_a_model_is_refused() {
    let signed = Signed::new();
    std::os::unix::fs::symlink("/etc/passwd", signed.model().join("link")).unwrap();
    assert!(matches!(signed.verify(), Err(SigningError::NotPlain { .. })));
}

#[test]
fn another_key_and_a_tampered_statement_fail() {
    let signed = Signed::new();
    let other = SigningKey::load_or_create(&signed.folder.path().join("other.pem")).unwrap().public_key().unwrap();
    let signature = signed.model().join(SIGNATURE_FILE);
    assert!(matches!(verify_directory(&signed.model(), &signature, &other), Err(SigningError::OtherKey { .. })));

    let mut bundle: serde_json::Value = serde_json::from_slice(&fs::read(&signature).unwrap()).unwrap();
    // Without the hint only the cryptography is left to notice.
    bundle["verificationMaterial"]["publicKey"] = serde_json::json!({});
    fs::write(&signature, bundle.to_string()).unwrap();
    signed.verify().unwrap();
    assert!(matches!(verify_directory(&signed.model(), &signature, &other), Err(SigningError::Invalid)));

    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let flipped = format!("{}{}", if payload.starts_with('e') { "f" } else { "e" }, &payload[1..]);
    bundle["dsseEnvelope"]["payload"] = flipped.into();
    fs::write(&signature, bundle.to_string()).unwrap();
    assert!(matches!(signed.verify(), Err(SigningError::Invalid)));
}

#[test]
fn a_bundle_of_another_form_names_the_field() {
    let signed = Signed::new();
    let signature = signed.model().join(SIGNATURE_FILE);
    let mut bundle: serde_json::Value = serde_json::from_slice(&fs::read(&signature).unwrap()).unwrap();
    bundle["mediaType"] = "text/plain".into();
    fs::write(&signature, bundle.to_string()).unwrap();
    let error = signed.verify().unwrap_err().to_string();
    assert!(error.contains("mediaType") && error.contains("text/plain") && error.contains("bundle.v0.3"), "{error}");
}

#[test]
fn the_key_is_created_once_and_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key.pem");
    let first = SigningKey::load_or_create(&path).unwrap().public_key().unwrap();
    let second = SigningKey::load_or_create(&path).unwrap().public_key().unwrap();
    assert_eq!(first, second);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
}

/// `reference-signature` was made with the Python package `model-signing` 1.1.1 (`model_signing sign key`).
#[test]
fn a_signature_of_the_reference_implementation_verifies() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference-signature");
    let pem = fs::read_to_string(fixture.join("public-key.pem")).unwrap();
    let key = PublicKey::from_pem(&pem, "fixture").unwrap();
    let manifest = verify_directory(&fixture.join("model"), &fixture.join("model.sig"), &key).unwrap();
    let names: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["card.md", "model.toml", "weights/w.bin"]);
}
