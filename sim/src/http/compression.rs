//! Packing of answers, as pveproxy does when it is asked to: bodies over a kibibyte, gzip before deflate.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderValue, Response, header};

/// Bodies up to this many bytes go as they are.
const WORTH_IT: usize = 1024;

/// Packs a response's body, if that is worth it and the client takes it packed.
pub(super) fn compress(response: Response<Bytes>, accepted: &str) -> Response<Bytes> {
    let accepted = accepted.to_ascii_lowercase();
    let name = ["gzip", "deflate"]
        .into_iter()
        .find(|name| accepted.contains(name));
    let Some(name) = name.filter(|_| response.body().len() > WORTH_IT) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let packed = match name {
        "gzip" => by_gzip(&body),
        _ => by_deflate(&body),
    };
    let Ok(packed) = packed else {
        return Response::from_parts(parts, body);
    };
    let headers = [
        (header::CONTENT_ENCODING, name),
        (header::VARY, "Accept-Encoding"),
    ];
    parts
        .headers
        .extend(headers.map(|(key, value)| (key, HeaderValue::from_static(value))));
    Response::from_parts(parts, Bytes::from(packed))
}

fn by_gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// `deflate` of HTTP is the zlib format.
fn by_deflate(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn packed(length: usize, accepted: &str) -> Response<Bytes> {
        compress(Response::new(Bytes::from(vec![b'a'; length])), accepted)
    }

    #[test]
    fn long_bodies_are_packed_when_that_is_asked_for() {
        let gzip = packed(5000, "deflate, gzip;q=1.0, br");
        assert_eq!(gzip.headers()[header::CONTENT_ENCODING], "gzip");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&gzip.body()[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "a".repeat(5000));
        let deflate = packed(5000, "deflate");
        assert_eq!(deflate.headers()[header::CONTENT_ENCODING], "deflate");
        text.clear();
        flate2::read::ZlibDecoder::new(&deflate.body()[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text.len(), 5000);
    }

    #[test]
    fn short_bodies_and_other_clients_get_them_as_they_are() {
        for response in [packed(1024, "gzip"), packed(5000, "identity"), packed(5000, "")] {
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        }
    }
}
