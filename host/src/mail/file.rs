//! Mails written into a directory, for the demo and for trying things out.

use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Letter, MailTransport, SendError};

/// Writes each message to a file `<time>-<message id>.eml`, readable by its owner alone. The same message
/// written twice is one file.
#[derive(Clone, Debug)]
pub struct FileTransport {
    directory: PathBuf,
}

impl FileTransport {
    /// Writes into `directory`, which is made when it is not there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The file a message is written to.
    pub fn path(&self, letter: &Letter) -> PathBuf {
        // The id is made of hexadecimal digits, and that part alone goes into the name.
        let id: String = letter
            .message_id
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .collect();
        self.directory
            .join(format!("{}-{id}.eml", letter.queued.strftime("%Y%m%dT%H%M%SZ")))
    }
}

#[async_trait]
impl MailTransport for FileTransport {
    async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let (directory, path, bytes) = (self.directory.clone(), self.path(letter), letter.bytes.clone());
        let written = tokio::task::spawn_blocking(move || write(&directory, &path, &bytes)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SendError::Temporary(format!(
                "the mail cannot be written: {error}"
            ))),
            Err(_) => Err(SendError::Temporary("the writing thread was lost".to_owned())),
        }
    }
}

fn write(directory: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    // Whoever looks at the directory sees whole mails only.
    let beside = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::EmailAddress;
    use std::os::unix::fs::PermissionsExt;

    fn letter() -> Letter {
        let address = EmailAddress::parse("a@b.de").unwrap();
        Letter {
            message_id: "00ff@b.de".to_owned(),
            queued: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
            from: address.clone(),
            to: address,
            bytes: b"Subject: x\r\n\r\ny".to_vec(),
        }
    }

    #[tokio::test]
    async fn a_message_is_one_closed_file_however_often_it_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(directory.path().join("mails"));
        for _ in 0..2 {
            transport.send(&letter()).await.unwrap();
        }
        let path = directory.path().join("mails/20270115T080000Z-00ff.eml");
        assert_eq!(std::fs::read(&path).unwrap(), letter().bytes);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            std::fs::read_dir(directory.path().join("mails")).unwrap().count(),
            1
        );
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_a_temporary_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let transport = FileTransport::new(file.path().join("mails"));
        assert!(matches!(
            transport.send(&letter()).await,
            Err(SendError::Temporary(_))
        ));
    }
}
