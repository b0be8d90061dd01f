//! The compression of bodies. `deflate` is the zlib format (RFC 9110, 8.4.1.2), as Triton's clients send it.

use std::io::{Read, Write};

use axum::body::Bytes;
use flate2::{
    Compression,
    read::{GzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, header};

use crate::{Error, Result, signature::invalid};

/// A way to compress a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// The coding's name in headers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    /// The coding a client accepts for the response, when it asks for one.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Coding> {
        let listed = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let listed: Vec<&str> = listed.flat_map(|value| value.split(',')).filter_map(wanted).collect();
        [Coding::Gzip, Coding::Deflate].into_iter().find(|coding| listed.contains(&coding.name()))
    }

    /// Compresses a response's body.
    pub(super) fn compress(self, body: &[u8]) -> Result<Vec<u8>> {
        let level = Compression::fast();
        Ok(match self {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(body)?;
                encoder.finish()?
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(body)?;
                encoder.finish()?
            }
        })
    }
}

/// The name of a coding in `Accept-Encoding`, unless its weight is 0.
fn wanted(coding: &str) -> Option<&str> {
    let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
    (weight.parse::<f32>() != Ok(0.0)).then_some(name.trim())
}

/// A request's body without its compression, of at most `limit` bytes: a small body must not unfold into a large one.
pub(super) fn decompress(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes> {
    let coding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("not text").trim());
    let reader: Box<dyn Read + '_> = match coding {
        None | Some("" | "identity") => return Ok(body),
        Some("gzip") => Box::new(GzDecoder::new(body.as_ref())),
        Some("deflate") => Box::new(ZlibDecoder::new(body.as_ref())),
        Some(other) => return Err(invalid("Content-Encoding", other, "identity, gzip, deflate (zlib)")),
    };
    let mut plain = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut plain);
    let name = coding.unwrap_or_default();
    read.map_err(|error| invalid("body", &format!("data that is not {name} ({error})"), &format!("{name} data")))?;
    if plain.len() > limit {
        return Err(Error::TooLarge { what: "the body after decompression", limit });
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn both_codings_come_back_as_they_were() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = coding.compress(b"some tensor").unwrap();
            let plain = decompress(&headers(header::CONTENT_ENCODING, coding.name()), packed.into(), 100).unwrap();
            assert_eq!(plain.as_ref(), b"some tensor");
        }
    }

    #[test]
    fn a_body_that_unfolds_beyond_the_limit_is_refused() {
        let packed = Coding::Gzip.compress(&vec![0; 10_000]).unwrap();
        let error = decompress(&headers(header::CONTENT_ENCODING, "gzip"), packed.into(), 1_000).unwrap_err();
        assert_eq!(error.to_string(), "the body after decompression has more than 1000 bytes, which is the limit");
    }

    #[test]
    fn unknown_and_broken_codings_are_refused() {
        let body = Bytes::from_static(b"x");
        assert!(decompress(&headers(header::CONTENT_ENCODING, "br"), body.clone(), 10).is_err());
        assert!(decompress(&headers(header::CONTENT_ENCODING, "gzip"), body, 10).is_err());
    }

    #[test]
    fn a_response_is_compressed_only_as_the_client_accepts() {
        let accepted = |value: &str| Coding::accepted(&headers(header::ACCEPT_ENCODING, value));
        assert_eq!(accepted("deflate, gzip;q=0.5"), Some(Coding::Gzip));
        assert_eq!(accepted("gzip;q=0, deflate"), Some(Coding::Deflate));
        assert_eq!(accepted("br"), None);
    }
}
