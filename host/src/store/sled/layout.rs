//! How records lie in the tree.
//!
//! | key | value |
//! |---|---|
//! | table tag, key | version (8), `0`, the value |
//! | table tag, key | version (8), `1`, ordinal (4), length (4): the value lies in pieces |
//! | `0`, `c`, version (8), ordinal (4), piece (4) | a piece of a large value |
//! | `0`, `format` | the number of this layout |
//! | `0`, `version` | the number of the last batch |
//!
//! Large values lie in pieces because of what sled does with large pages: one over a quarter of its segment
//! size (128 KiB) goes into a file of its own, which sled never syncs, so that a power cut could lose what was
//! acknowledged. A leaf of sled holds some 17 entries, an index node some 257 keys; [`PIECE`] and
//! [`limits::KEY_BYTES`] keep both well under that size. It also keeps a small write from rewriting its large
//! neighbours.

use bytes::{Bytes, BytesMut};

use crate::store::{Key, Record, StoreError, Table, limits};

/// The store's own key that holds the format number. Tag zero is no table's.
pub(super) const FORMAT_KEY: &[u8] = b"\0format";
/// The store's own key that holds the number of the last batch.
pub(super) const VERSION_KEY: &[u8] = b"\0version";
/// The number of this layout.
pub(super) const FORMAT: u64 = 1;

/// The bytes of a piece, and of a value that is not cut into pieces, at most.
pub(super) const PIECE: usize = 4096;
/// What the pages of sled hold at most in the worst case, with room to spare, in bytes.
const PAGE: usize = 128 << 10;
const _: () = assert!(24 * (PIECE + limits::KEY_BYTES + 32) < PAGE);
const _: () = assert!(280 * (limits::KEY_BYTES + 32) < PAGE);

const WHOLE: u8 = 0;
const PIECES: u8 = 1;

/// Where the pieces of a large value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    version: u64,
    /// Which value of its batch it is.
    ordinal: u32,
    length: u32,
}

/// What lies under the key of a record.
#[derive(Debug)]
pub(super) enum Entry {
    Whole(Record),
    Large(Pieces),
}

impl Entry {
    pub(super) fn read(stored: &[u8]) -> Result<Self, StoreError> {
        let (version, rest) = stored.split_first_chunk::<8>().ok_or_else(damaged)?;
        let version = u64::from_be_bytes(*version);
        match rest.split_first() {
            Some((&WHOLE, value)) => Ok(Self::Whole(Record {
                value: Bytes::copy_from_slice(value),
                version,
            })),
            Some((&PIECES, rest)) => {
                let (ordinal, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
                let length = rest.try_into().map_err(|_| damaged())?;
                let (ordinal, length) = (u32::from_be_bytes(*ordinal), u32::from_be_bytes(length));
                Ok(Self::Large(Pieces {
                    version,
                    ordinal,
                    length,
                }))
            }
            _ => Err(damaged()),
        }
    }

    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Whole(record) => record.version,
            Self::Large(pieces) => pieces.version,
        }
    }

    /// The whole record; the pieces are read from `tree`. The caller keeps writers out meanwhile.
    pub(super) fn assemble(self, tree: &::sled::Tree) -> Result<Record, StoreError> {
        let pieces = match self {
            Self::Whole(record) => return Ok(record),
            Self::Large(pieces) => pieces,
        };
        let length = usize::try_from(pieces.length).map_err(|_| damaged())?;
        if length > limits::VALUE_BYTES {
            return Err(damaged());
        }
        let mut value = BytesMut::with_capacity(length);
        for key in pieces.keys() {
            value.extend_from_slice(&tree.get(key).map_err(super::unavailable)?.ok_or_else(damaged)?);
        }
        if value.len() != length {
            return Err(damaged());
        }
        Ok(Record {
            value: value.freeze(),
            version: pieces.version,
        })
    }
}

impl Pieces {
    pub(super) fn keys(self) -> impl Iterator<Item = Vec<u8>> {
        let count = u64::from(self.length).div_ceil(PIECE as u64);
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(move |piece| {
            let mut key = vec![0, b'c'];
            key.extend_from_slice(&self.version.to_be_bytes());
            key.extend_from_slice(&self.ordinal.to_be_bytes());
            key.extend_from_slice(&piece.to_be_bytes());
            key
        })
    }
}

/// Adds the writing of a value to `batch`; `ordinal` differs for each value of it.
pub(super) fn write(
    batch: &mut ::sled::Batch,
    key: &[u8],
    value: &[u8],
    version: u64,
    ordinal: u32,
) -> Result<(), StoreError> {
    let mut stored = Vec::with_capacity(9 + value.len().min(PIECE));
    stored.extend_from_slice(&version.to_be_bytes());
    if value.len() <= PIECE {
        stored.push(WHOLE);
        stored.extend_from_slice(value);
    } else {
        let too_large = |_| StoreError::TooLarge {
            what: "value",
            size: value.len(),
            limit: limits::VALUE_BYTES,
        };
        let pieces = Pieces {
            version,
            ordinal,
            length: u32::try_from(value.len()).map_err(too_large)?,
        };
        for (key, piece) in pieces.keys().zip(value.chunks(PIECE)) {
            batch.insert(key, piece);
        }
        stored.push(PIECES);
        stored.extend_from_slice(&ordinal.to_be_bytes());
        stored.extend_from_slice(&pieces.length.to_be_bytes());
    }
    batch.insert(key, stored);
    Ok(())
}

/// Where a record of a table lies.
pub(super) fn tree_key(table: Table, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.as_bytes().len() + 1);
    bytes.push(table.tag());
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

fn damaged() -> StoreError {
    StoreError::Damaged {
        kind: "record",
        reason: "its frame is not one this version writes".into(),
    }
}
