//! Keys from keys: HKDF-SHA-256 (RFC 5869).

use hkdf::HkdfExtract;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::crypto::key::Key;

/// What a derived key is for. A key has one use, and the label separates the uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Label {
    /// From the integrity key: MAC key of backups of the whole store.
    Backup,
    /// From the integrity key: wraps the keys of secrets' backups.
    BlobWrap,
    /// From the integrity key: MAC key of the audit chain.
    Chain,
    /// From the integrity key: MAC key of the redo journal.
    Journal,
    /// From the store root key: seals the key ring.
    KeyringSeal,
    /// From the integrity key: seals audit records.
    LogSeal,
    /// From a key-encryption key: seals what is known of a secret.
    MetaSeal,
    /// From the name key: blinds names.
    NamePrf,
    /// From the integrity key: seals the root, jobs and pins.
    RootSeal,
    /// From the integrity key: leaves of the set hash.
    SetPrf,
    /// From the name key: blinds idempotency tokens.
    TokenPrf,
}

impl Label {
    fn text(self) -> &'static [u8] {
        match self {
            Self::Backup => b"backup",
            Self::BlobWrap => b"blob-wrap",
            Self::Chain => b"chain",
            Self::Journal => b"journal",
            Self::KeyringSeal => b"keyring-seal",
            Self::LogSeal => b"log-seal",
            Self::MetaSeal => b"meta-seal",
            Self::NamePrf => b"name-prf",
            Self::RootSeal => b"root-seal",
            Self::SetPrf => b"set-prf",
            Self::TokenPrf => b"token-prf",
        }
    }
}

/// The key for `label` under `ikm`.
///
/// `HKDF-SHA-256(salt = store_id, ikm, info = "SSv1/" ‖ label, 32 bytes)`. The store id as salt
/// keeps two stores apart even where somebody gave both the same key.
pub(crate) fn sub(ikm: &Key, store_id: &[u8; 16], label: Label) -> Key {
    Key::init_with(|out| hkdf(store_id, ikm, &[b"SSv1/", label.text()], out))
}

/// What a key of the key manager and a key of a record's own come to together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Join {
    /// Seals a value.
    Value,
    /// Wraps a data key that is handed out.
    DataKey,
}

/// The key that takes both `named`, of the key manager, and `own`: without either it is unknown.
///
/// `HKDF-SHA-256(salt = own, ikm = named, info = "SSv1/" ‖ purpose ‖ store_id, 32 bytes)`. The salt keys
/// the extraction, as in TLS 1.3, so that the result is as random as the one of the two that an attacker
/// does not have.
pub(crate) fn join(named: &Key, own: &[u8; 32], store_id: &[u8; 16], purpose: Join) -> Key {
    let purpose: &[u8] = match purpose {
        Join::Value => b"named-value",
        Join::DataKey => b"named-data-key",
    };
    Key::init_with(|out| hkdf(own, named, &[b"SSv1/", purpose, store_id], out))
}

/// HKDF-SHA-256 with 32 bytes of input and up to 255 x 32 of output; `info` is concatenated.
pub(crate) fn hkdf<const N: usize>(salt: &[u8], ikm: &Key, info: &[&[u8]], out: &mut [u8; N]) {
    const { assert!(N <= 255 * 32, "more than HKDF gives") };
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    extract.input_ikm(ikm.expose());
    let (mut prk, expand) = extract.finalize();
    // As good as the key itself, and the crate leaves it to us.
    prk.zeroize();
    #[expect(clippy::expect_used, reason = "the length is checked when this is compiled")]
    expand.expand_multi_info(info, out).expect("N is within the limit of HKDF");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ::hkdf::Hkdf;

    use super::*;
    use crate::crypto::testkit::{STORE_ID, hex, key};

    /// Either of the two keys, the store and the purpose: another one gives another key.
    #[test]
    fn a_joined_key_takes_all_that_goes_into_it() {
        let (named, own) = (key(0x55), [0x66; 32]);
        let all = [
            join(&named, &own, &STORE_ID, Join::Value),
            join(&named, &own, &STORE_ID, Join::DataKey),
            join(&named, &own, &[0; 16], Join::Value),
            join(&named, &[0; 32], &STORE_ID, Join::Value),
            join(&key(0x56), &own, &STORE_ID, Join::Value),
        ];
        let different: BTreeSet<&[u8; 32]> = all.iter().map(Key::expose).collect();
        assert_eq!(different.len(), all.len());
        // As RFC 5869 has it, by another way through the crate.
        let (mut want, mut info) = ([0; 32], b"SSv1/named-value".to_vec());
        info.extend_from_slice(&STORE_ID);
        Hkdf::<Sha256>::new(Some(&own), named.expose()).expand(&info, &mut want).unwrap();
        assert_eq!(all[0].expose(), &want);
    }

    #[test]
    fn labels_derive_the_keys_of_the_test_vectors() {
        let (root, int, name, kek) = (key(0x11), key(0x22), key(0x33), key(0x44));
        let cases = [
            (
                &root,
                Label::KeyringSeal,
                "eb6632ecc757a31e2dd71fc1ad43a6609a2448c9202b4e372102d755492863d4",
            ),
            (
                &int,
                Label::RootSeal,
                "c10d9176a6d4ff298d30035d7a7a09e676d57922218a9c168e17f4abc4753deb",
            ),
            (
                &int,
                Label::LogSeal,
                "e1f5d2a1ac4541c75f5b2f38a5f1fa7247b4272ba252061b6cd664a5d11fbfbb",
            ),
            (
                &int,
                Label::SetPrf,
                "11a76b944edbb44fa87545bda62c580b6a1d0806376952fefea1d25263b3bbb4",
            ),
            (
                &int,
                Label::Chain,
                "289644c21f2aed80d816fe2c8ad265d024d01712d39894ea598470d112d8cff8",
            ),
            (
                &name,
                Label::NamePrf,
                "a26d894833a3b276fad916016cec6c577d0b76058a50f111539c9119e0a68681",
            ),
            (
                &kek,
                Label::MetaSeal,
                "fa9b7dee905e4a832ce3e1b62b1f9057c59a0aec685ce689cb674e5d8de0733b",
            ),
        ];
        for (ikm, label, want) in cases {
            assert_eq!(sub(ikm, &STORE_ID, label).expose()[..], hex(want), "{label:?}");
        }
    }

    #[test]
    fn every_label_and_every_store_gives_another_key() {
        let labels = [
            Label::Backup,
            Label::BlobWrap,
            Label::Chain,
            Label::Journal,
            Label::KeyringSeal,
            Label::LogSeal,
            Label::MetaSeal,
            Label::NamePrf,
            Label::RootSeal,
            Label::SetPrf,
            Label::TokenPrf,
        ];
        let ikm = key(1);
        let keys: BTreeSet<[u8; 32]> = labels
            .iter()
            .flat_map(|label| [STORE_ID, [9; 16]].map(|id| *sub(&ikm, &id, *label).expose()))
            .collect();
        assert_eq!(keys.len(), 2 * labels.len());
    }

    /// RFC 5869 A.1 has 22 bytes of input. A `Key` has 32, so the case runs on the crate itself,
    /// and a second derivation shows that ours is the same function.
    #[test]
    fn rfc_5869_case_1() {
        let (prk, expand) =
            Hkdf::<Sha256>::extract(Some(&hex("000102030405060708090a0b0c")), &[0x0b; 22]);
        assert_eq!(
            prk[..],
            hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
        );
        let mut okm = [0; 42];
        expand.expand(&hex("f0f1f2f3f4f5f6f7f8f9"), &mut okm).unwrap();
        let want = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf
                    34007208d5b887185865";
        assert_eq!(okm[..], hex(want));

        let (mut ours, mut theirs) = ([0; 42], [0; 42]);
        hkdf(b"salt", &key(7), &[b"in", b"", b"fo"], &mut ours);
        Hkdf::<Sha256>::new(Some(b"salt"), &[7; 32]).expand(b"info", &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }
}
