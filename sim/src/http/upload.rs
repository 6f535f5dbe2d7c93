//! Uploads: bodies of `multipart/form-data` with one file of any size, which is counted and hashed instead of kept.
//!
//! PVE takes three fields before the file and nothing behind it; the file's field is called `filename`.

use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use multer::{Field, Multipart};

use super::params::{self, Given};
use crate::failure::Failure;
use crate::schema::Raw;
use crate::world::upload::{Received, Receiver};

/// The fields that may come before the file.
const FIELDS: [&str; 3] = ["content", "checksum-algorithm", "checksum"];
/// How long the text of a field may be, in bytes; PVE's buffer for heads is not larger.
const MAX_FIELD: usize = 2048;

/// What came with an upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    fields: Given,
    /// The file.
    pub(crate) file: Received,
}

impl Upload {
    /// The fields, overlaid by the query string.
    pub(crate) fn given(&self, query: Option<&str>) -> Given {
        let mut given = self.fields.clone();
        given.extend(params::form(query.unwrap_or_default()));
        given.remove("_dc");
        given
    }
}

fn failed() -> Failure {
    Failure::bare(500, "upload failed")
}

/// Reads the body of an upload.
///
/// # Errors
/// A body of another type, a file under another field's name, and whatever is no whole upload.
pub(crate) async fn read(content_type: Option<&str>, body: Incoming) -> Result<Upload, Failure> {
    let kind = content_type.unwrap_or_default();
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| Failure::bare(501, format!("upload 'Content-Type '{kind}' not implemented")))?;
    let mut parts = Multipart::new(BodyDataStream::new(body), boundary);
    let mut fields = Given::new();
    while let Some(part) = parts.next_field().await.map_err(|_| failed())? {
        let name = part.name().unwrap_or_default().to_owned();
        if let Some(file) = part.file_name().map(str::to_owned) {
            if name != "filename" {
                let text = format!("wrong field name '{name}' for file upload, expected 'filename'");
                return Err(Failure::bare(500, text));
            }
            fields.insert("filename".to_owned(), Raw::Text(file.trim().to_owned()));
            let file = receive(part, &fields).await?;
            // What is behind the file is read, so that the answer is not lost, and ignored.
            while let Ok(Some(_)) = parts.next_field().await {}
            return Ok(Upload { fields, file });
        }
        if !FIELDS.contains(&name.as_str()) {
            return Err(failed());
        }
        let text = text_of(part).await?;
        fields.insert(name, Raw::Text(text.trim().to_owned()));
    }
    Err(failed())
}

async fn receive(mut part: Field<'_>, fields: &Given) -> Result<Received, Failure> {
    let algorithm = match fields.get("checksum-algorithm") {
        Some(Raw::Text(name)) => name.as_str(),
        _ => "",
    };
    let mut receiver = Receiver::new(algorithm);
    while let Some(bytes) = part.chunk().await.map_err(|_| failed())? {
        receiver.add(&bytes);
    }
    Ok(receiver.end())
}

async fn text_of(mut part: Field<'_>) -> Result<String, Failure> {
    let mut text = Vec::new();
    while let Some(bytes) = part.chunk().await.map_err(|_| failed())? {
        text.extend_from_slice(&bytes);
        if text.len() > MAX_FIELD {
            return Err(failed());
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
