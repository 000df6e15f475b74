//! The root record: what the whole store is after one commit.

use crate::format::Malformed;

/// Length of the encoded root, before framing.
pub(crate) const ROOT_LEN: usize = 208;

/// First byte of the encoding.
const SCHEMA: u8 = 1;

/// The state of the store after commit `seq`, in words of the disk.
///
/// `set_hash` is the sum over all heads. It is sealed with the rest and must never be shown: whoever
/// saw successive sums would learn the leaves, and with them how to forge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RootV1 {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) leaves: u64,
    pub(crate) secrets: u64,
    pub(crate) next_vrec: u64,
    pub(crate) audit_first_seq: u64,
    pub(crate) audit_first_chain: [u8; 32],
    pub(crate) set_hash: [u8; 32],
    pub(crate) chain: [u8; 32],
    pub(crate) ring_seq: u64,
    pub(crate) ring_digest: [u8; 32],
    pub(crate) kek_active: u32,
    pub(crate) kek_floor: u32,
    pub(crate) time_ms: i64,
}

impl RootV1 {
    pub(crate) fn encode(&self) -> [u8; ROOT_LEN] {
        let mut out = [0; ROOT_LEN];
        let mut rest = &mut out[..];
        let mut put = |bytes: &[u8]| {
            if let Some((head, tail)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len())
            {
                head.copy_from_slice(bytes);
                rest = tail;
            }
        };
        put(&[SCHEMA, 0, 0, 0, 0, 0, 0, 0]);
        for number in [self.epoch, self.seq, self.leaves, self.secrets, self.next_vrec] {
            put(&number.to_be_bytes());
        }
        put(&self.audit_first_seq.to_be_bytes());
        put(&self.audit_first_chain);
        put(&self.set_hash);
        put(&self.chain);
        put(&self.ring_seq.to_be_bytes());
        put(&self.ring_digest);
        put(&self.kek_active.to_be_bytes());
        put(&self.kek_floor.to_be_bytes());
        put(&self.time_ms.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        if reader.take()? != [SCHEMA, 0, 0, 0, 0, 0, 0, 0] {
            return Err(Malformed);
        }
        let root = Self {
            epoch: u64::from_be_bytes(reader.take()?),
            seq: u64::from_be_bytes(reader.take()?),
            leaves: u64::from_be_bytes(reader.take()?),
            secrets: u64::from_be_bytes(reader.take()?),
            next_vrec: u64::from_be_bytes(reader.take()?),
            audit_first_seq: u64::from_be_bytes(reader.take()?),
            audit_first_chain: reader.take()?,
            set_hash: reader.take()?,
            chain: reader.take()?,
            ring_seq: u64::from_be_bytes(reader.take()?),
            ring_digest: reader.take()?,
            kek_active: u32::from_be_bytes(reader.take()?),
            kek_floor: u32::from_be_bytes(reader.take()?),
            time_ms: i64::from_be_bytes(reader.take()?),
        };
        if reader.0.is_empty() { Ok(root) } else { Err(Malformed) }
    }
}

/// Takes fixed-size fields off the front of a slice.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> RootV1 {
        RootV1 {
            epoch: 1,
            seq: 2,
            leaves: 3,
            secrets: 4,
            next_vrec: 5,
            audit_first_seq: 6,
            audit_first_chain: [7; 32],
            set_hash: [8; 32],
            chain: [9; 32],
            ring_seq: 10,
            ring_digest: [11; 32],
            kek_active: 12,
            kek_floor: 13,
            time_ms: -14,
        }
    }

    #[test]
    fn a_root_reads_back_and_its_fields_stand_where_the_format_says() {
        let bytes = root().encode();
        assert_eq!(RootV1::decode(&bytes), Ok(root()));
        assert_eq!((bytes[0], bytes[15], bytes[23], bytes[55]), (1, 1, 2, 6));
        assert_eq!((bytes[56], bytes[88], bytes[120], bytes[159]), (7, 8, 9, 10));
        assert_eq!((bytes[160], bytes[195], bytes[199]), (11, 12, 13));
    }

    #[test]
    fn other_lengths_and_schemas_are_malformed() {
        let bytes = root().encode();
        assert_eq!(RootV1::decode(&bytes[..207]), Err(Malformed));
        assert_eq!(RootV1::decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
        for at in 0..8 {
            let mut other = bytes;
            other[at] = 9;
            assert_eq!(RootV1::decode(&other), Err(Malformed), "byte {at}");
        }
    }
}
