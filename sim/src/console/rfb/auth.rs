//! The first words: version, security type, challenge (RFC 6143, 7.1 and 7.2.2).

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Ended, Stage};
use crate::units::mix;

/// How long a password is good for after the connection came about, in seconds.
const PASSWORD_LIFETIME: f64 = 30.0;
/// Security type 2: VNC Authentication.
const VNC: u8 = 2;

/// The minor version that is spoken with a client of this version, as QEMU chooses it.
fn minor(version: [u8; 12]) -> Option<u8> {
    match &version {
        b"RFB 003.003\n" | b"RFB 003.004\n" | b"RFB 003.005\n" => Some(3),
        b"RFB 003.007\n" => Some(7),
        b"RFB 003.008\n" => Some(8),
        _ => None,
    }
}

/// What a client that knows the password answers: each half of the challenge encrypted by DES, with the bits of
/// each of the password's first eight bytes in reverse order as the key.
pub(crate) fn response(password: &str, challenge: [u8; 16]) -> [u8; 16] {
    let mut key = [0; 8];
    for (to, from) in key.iter_mut().zip(password.bytes()) {
        *to = from.reverse_bits();
    }
    let cipher = Des::new(&Array::from(key));
    let mut out = challenge;
    for half in out.chunks_exact_mut(8) {
        let mut block = Array::default();
        block.copy_from_slice(half);
        cipher.encrypt_block(&mut block);
        half.copy_from_slice(&block);
    }
    out
}

/// Lets a client in that knows the password, or says that it failed.
pub(super) async fn admit<S>(stage: &Stage, stream: &mut S, password: &str, begun: f64) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(b"RFB 003.008\n").await?;
    let mut version = [0; 12];
    stream.read_exact(&mut version).await?;
    let minor = minor(version).ok_or(Ended::Version)?;
    if minor == 3 {
        stream.write_u32(u32::from(VNC)).await?;
    } else {
        stream.write_all(&[1, VNC]).await?;
        let chosen = stream.read_u8().await?;
        if chosen != VNC {
            refuse(stream, minor).await?;
            return Err(Ended::Security(chosen));
        }
    }
    let challenge = challenge(stage, begun);
    stream.write_all(&challenge).await?;
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).await?;
    let in_time = stage.now() - begun <= PASSWORD_LIFETIME;
    if !in_time || answer != response(password, challenge) {
        refuse(stream, minor).await?;
        return Err(Ended::Password);
    }
    stream.write_u32(0).await?;
    Ok(())
}

fn challenge(stage: &Stage, begun: f64) -> [u8; 16] {
    let mut out = [0; 16];
    let (first, second) = out.split_at_mut(8);
    first.copy_from_slice(&mix(stage.seed(), begun.to_bits()).to_be_bytes());
    second.copy_from_slice(&mix(stage.seed(), !begun.to_bits()).to_be_bytes());
    out
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), minor: u8) -> Result<(), std::io::Error> {
    const REASON: &str = "Authentication failed";
    stream.write_u32(1).await?;
    if minor >= 8 {
        stream.write_u32(u32::try_from(REASON.len()).unwrap_or(0)).await?;
        stream.write_all(REASON.as_bytes()).await?;
    }
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn des_has_the_reversed_bits_of_the_password_as_its_key() {
        // A published vector of DES has the key 133457799BBCDFF1. Its parity bits, the lowest of each byte, do not count,
        // so that the key's bytes turned around can be made ASCII by leaving out their highest bit.
        let password = [0xC8_u8, 0x2C, 0xEA, 0x9E, 0xD9, 0x3D, 0xFB, 0x8F].map(|byte| byte & 0x7F);
        let password = std::str::from_utf8(&password).unwrap();
        let block = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];
        let mut challenge = [0; 16];
        challenge[..8].copy_from_slice(&block);
        let expected = [0x85, 0xE8, 0x13, 0x54, 0x0F, 0x0A, 0xB4, 0x05];
        assert_eq!(response(password, challenge)[..8], expected);
    }

    #[test]
    fn only_the_first_eight_characters_of_a_password_count() {
        let challenge = [7; 16];
        assert_eq!(
            response("PVEVNC:6x", challenge),
            response("PVEVNC:6yz", challenge)
        );
        assert_ne!(response("PVEVNC:6", challenge), response("PVEVNC:7", challenge));
        assert_ne!(response("short", challenge), response("shorter", challenge));
    }

    #[test]
    fn versions_are_chosen_as_qemu_does() {
        assert_eq!(minor(*b"RFB 003.008\n"), Some(8));
        assert_eq!(minor(*b"RFB 003.005\n"), Some(3));
        for wrong in [b"RFB 004.000\n", b"GET / HTTP/1", b"RFB 003.008 "] {
            assert_eq!(minor(*wrong), None);
        }
    }
}
