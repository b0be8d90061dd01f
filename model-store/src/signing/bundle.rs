//! The Sigstore bundle and the DSSE envelope in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::{PublicKey, SigningError, SigningKey, SigningResult};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: KeyHint,
    /// Transparency-log entries: none with a plain key.
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    sig: String,
    #[serde(default)]
    keyid: String,
}

/// What is signed: DSSE's pre-authentication encoding of the payload with its type.
fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// Signs a statement and wraps it.
pub(super) fn seal(payload: &[u8], key: &SigningKey) -> SigningResult<Vec<u8>> {
    let signature = key.sign(&pre_authentication_encoding(payload));
    let bundle = Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: Material {
            public_key: KeyHint { hint: Some(key.public_key()?.fingerprint()) },
            tlog_entries: Vec::new(),
        },
        dsse_envelope: Envelope {
            payload: BASE64.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature { sig: BASE64.encode(signature), keyid: String::new() }],
        },
    };
    serde_json::to_vec(&bundle).map_err(|source| SigningError::Json { part: "bundle", source })
}

/// Checks a bundle against the key and returns the statement that it holds.
pub(super) fn open(bundle: &[u8], key: &PublicKey) -> SigningResult<Vec<u8>> {
    let bundle: Bundle =
        serde_json::from_slice(bundle).map_err(|source| SigningError::Json { part: "bundle", source })?;
    require("mediaType", &bundle.media_type, MEDIA_TYPE)?;
    let envelope = bundle.dsse_envelope;
    require("dsseEnvelope.payloadType", &envelope.payload_type, PAYLOAD_TYPE)?;
    let expected = key.fingerprint();
    match bundle.verification_material.public_key.hint {
        Some(found) if found != expected => return Err(SigningError::OtherKey { found, expected }),
        _ => {}
    }
    let [signature] = envelope.signatures.as_slice() else {
        return Err(SigningError::Format {
            field: "dsseEnvelope.signatures",
            value: format!("a list of {}", envelope.signatures.len()),
            allowed: "a list of one".to_owned(),
        });
    };
    let payload = decode("dsseEnvelope.payload", &envelope.payload)?;
    key.verify(&pre_authentication_encoding(&payload), &decode("dsseEnvelope.signatures.sig", &signature.sig)?)?;
    Ok(payload)
}

pub(super) fn require(field: &'static str, value: &str, allowed: &str) -> SigningResult<()> {
    if value == allowed {
        return Ok(());
    }
    Err(SigningError::Format { field, value: format!("`{value}`"), allowed: format!("`{allowed}`") })
}

fn decode(field: &'static str, text: &str) -> SigningResult<Vec<u8>> {
    BASE64.decode(text).map_err(|error| SigningError::Format {
        field,
        value: error.to_string(),
        allowed: "standard base64".to_owned(),
    })
}
