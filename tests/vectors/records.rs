//! Vectors of sealed records.

use strongroom::testing::fuzz::{Blueprint, Layer, Sealed, Specimens};

use super::Vector;

/// Those that are made of a blueprint: it is sealed after the edit, so the seal is right.
type Resealed = (Sealed, &'static str, Layer, fn(&mut Blueprint));

/// Those that are made of a record: it is edited after it was sealed.
type Edited = (Sealed, &'static str, Layer, fn(&mut Vec<u8>));

pub(super) fn made(specimens: &Specimens) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for kind in Sealed::ALL {
        vectors.push((name(kind, "as it was written"), None, specimens.record(kind, 0)));
    }
    for (kind, what, layer, edit) in EDITED {
        let mut record = specimens.record(kind, 0);
        edit(&mut record);
        vectors.push((name(kind, what), Some(layer), record));
    }
    for (kind, what, layer, edit) in RESEALED {
        let mut blueprint = specimens.blueprint(kind, 0);
        edit(&mut blueprint);
        vectors.push((name(kind, what), Some(layer), specimens.seal((kind, 0), &blueprint)));
    }
    for kind in [Sealed::Secret, Sealed::Stages, Sealed::Value] {
        let record = specimens.record(kind, 1);
        vectors.push((name(kind, "that of another secret"), Some(Layer::Seal), record));
        let record = Specimens::new(1, 2).seal((kind, 1), &specimens.blueprint(kind, 0));
        vectors.push((name(kind, "sealed under another key"), Some(Layer::Seal), record));
    }
    let record = specimens.seal((Sealed::Root, 0), &specimens.blueprint(Sealed::Audit, 0));
    let what = "sealed under the root's key";
    vectors.push((name(Sealed::Audit, what), Some(Layer::Seal), record));
    vectors
}

pub(super) fn refused_by(specimens: &Specimens, (what, _, bytes): &Vector) -> Option<Layer> {
    let kind = Sealed::ALL.into_iter().find(|kind| what.starts_with(&name(*kind, "")));
    specimens.check(kind.expect(what), 0, bytes).err()
}

fn name(kind: Sealed, what: &str) -> String {
    format!("{}: {what}", format!("{kind:?}").to_lowercase())
}

const EDITED: [Edited; 17] = [
    (Sealed::Value, "nothing", Layer::Shape, Vec::clear),
    (Sealed::Value, "too short for a tag", Layer::Shape, |record| record.truncate(55)),
    (Sealed::Value, "format 0", Layer::Shape, |record| record[0] = 0),
    (Sealed::Stages, "format 2", Layer::Shape, |record| record[0] = 2),
    (Sealed::Secret, "suite 2", Layer::Shape, |record| record[1] = 2),
    (Sealed::Root, "a flag", Layer::Shape, |record| record[3] = 0x80),
    (Sealed::Secret, "relabelled as stages", Layer::Header, |record| record[2] = 0x11),
    (Sealed::Root, "relabelled as a job", Layer::Header, |record| record[2] = 0x03),
    (Sealed::Value, "relabelled to generation 1", Layer::Header, |record| record[7] = 1),
    (Sealed::Secret, "relabelled to generation 2", Layer::Seal, |record| record[7] = 2),
    (Sealed::Stages, "relabelled to a later revision", Layer::Seal, |record| record[15] += 1),
    (Sealed::Audit, "the nonce's last bit", Layer::Seal, |record| record[39] ^= 1),
    (Sealed::Value, "the ciphertext's first bit", Layer::Seal, |record| record[40] ^= 0x80),
    (Sealed::Root, "the ciphertext's last bit", Layer::Seal, |record| record[295] ^= 1),
    (Sealed::Stages, "the tag's first bit", Layer::Seal, |record| flip(record, 16, 0x80)),
    (Sealed::Secret, "the tag's last bit", Layer::Seal, |record| flip(record, 1, 1)),
    (Sealed::Audit, "a byte more", Layer::Seal, |record| record.push(0)),
];

fn flip(record: &mut [u8], from_end: usize, bits: u8) {
    let at = record.len() - from_end;
    record[at] ^= bits;
}

const RESEALED: [Resealed; 69] = [
    // The header, authentic.
    (Sealed::Secret, "sealed as stages", Layer::Header, |it| it.kind = 0x11),
    (Sealed::Audit, "sealed as a value", Layer::Header, |it| it.kind = 0x20),
    (Sealed::Secret, "generation 0", Layer::Header, |it| it.generation = 0),
    (Sealed::Stages, "a generation that there is not", Layer::Header, |it| it.generation = 3),
    (Sealed::Root, "a generation where none is used", Layer::Header, |it| it.generation = 1),
    // The place, which the seal binds.
    (Sealed::Secret, "another store", Layer::Seal, |it| it.store_id[15] ^= 1),
    (Sealed::Root, "another store", Layer::Seal, |it| it.store_id[0] ^= 1),
    (Sealed::Stages, "another tree", Layer::Seal, |it| it.tree = 0x10),
    (Sealed::Audit, "another tree", Layer::Seal, |it| it.tree = 0x01),
    (Sealed::Value, "another value number", Layer::Seal, |it| it.key[7] += 1),
    (Sealed::Value, "a shorter key", Layer::Seal, |it| super::shorten(&mut it.key)),
    (Sealed::Audit, "a key where none is bound", Layer::Seal, |it| it.key = vec![0; 12]),
    (Sealed::Value, "another version", Layer::Seal, |it| it.context[23] = 1),
    (Sealed::Value, "another secret id", Layer::Seal, |it| it.context[0] ^= 1),
    (Sealed::Value, "no context", Layer::Seal, |it| it.context.clear()),
    (Sealed::Value, "the border of key and context moved", Layer::Seal, |it| {
        let first = it.context.remove(0);
        it.key.push(first);
    }),
    // The frame.
    (Sealed::Value, "no frame", Layer::Frame, |it| it.frame.clear()),
    (Sealed::Value, "a frame of three bytes", Layer::Frame, |it| it.frame.truncate(3)),
    (Sealed::Value, "a length beyond the frame", Layer::Frame, |it| it.frame[3] = 61),
    (Sealed::Secret, "the greatest length", Layer::Frame, |it| it.frame[..4].fill(0xff)),
    (Sealed::Stages, "a byte in the padding", Layer::Frame, |it| *it.frame.last_mut().unwrap() = 1),
    (Sealed::Value, "no padding", Layer::Frame, |it| it.frame.truncate(4 + it.data().len())),
    (Sealed::Value, "a block of padding more", Layer::Frame, |it| it.frame.resize(128, 0)),
    (Sealed::Secret, "a block of padding more", Layer::Frame, |it| {
        it.frame.resize(it.frame.len() + 64, 0);
    }),
    (Sealed::Root, "padded like a head", Layer::Frame, |it| it.frame.resize(320, 0)),
    (Sealed::Value, "padded like a head, not by Padmé", Layer::Frame, |it| {
        it.set_data(Sealed::Secret, &[b'x'; 300]);
    }),
    // What is in the frame.
    (Sealed::Secret, "nothing in the frame", Layer::Body, |it| it.set_data(Sealed::Secret, &[])),
    (Sealed::Secret, "schema 2", Layer::Body, |it| body(it, |data| data[1] = 2)),
    (Sealed::Secret, "schema in the wrong order", Layer::Body, |it| {
        body(it, |data| data.swap(0, 1));
    }),
    (Sealed::Secret, "a byte behind the body", Layer::Body, |it| body(it, |data| data.push(0))),
    (Sealed::Secret, "a byte too few", Layer::Body, |it| body(it, super::shorten)),
    (Sealed::Secret, "a text of 2^63 bytes", Layer::Body, |it| body(it, |data| data[9] = 0x80)),
    (Sealed::Secret, "a list of 2^32 texts", Layer::Body, |it| body(it, |data| data[94] = 1)),
    (Sealed::Secret, "a text that is not UTF-8", Layer::Body, |it| {
        body(it, |data| data[10] = 0xff);
    }),
    (Sealed::Secret, "an option of 2", Layer::Body, |it| body(it, |data| data[82] = 2)),
    (Sealed::Secret, "a truth of 2", Layer::Body, |it| body(it, |data| data[132] = 2)),
    (Sealed::Stages, "schema 2", Layer::Body, |it| body(it, |data| data[1] = 2)),
    (Sealed::Stages, "three data keys announced", Layer::Body, |it| body(it, |data| data[3] = 3)),
    (Sealed::Stages, "a body too long by one", Layer::Body, |it| body(it, |data| data[7] += 1)),
    (Sealed::Stages, "a data key too few", Layer::Body, |it| {
        body(it, |data| data.truncate(data.len() - 32));
    }),
    (Sealed::Stages, "a label of kind 4", Layer::Body, |it| body(it, |data| data[51] = 4)),
    (Sealed::Audit, "an operation that there is not", Layer::Body, |it| {
        body(it, |data| data[10] = 200);
    }),
    (Sealed::Audit, "a byte too few", Layer::Body, |it| body(it, super::shorten)),
    (Sealed::Root, "207 bytes", Layer::Body, |it| body_of_root(it, super::shorten)),
    (Sealed::Root, "209 bytes", Layer::Body, |it| body_of_root(it, |data| data.push(0))),
    (Sealed::Root, "schema 2", Layer::Body, |it| body_of_root(it, |data| data[0] = 2)),
    (Sealed::Root, "a byte behind the schema", Layer::Body, |it| {
        body_of_root(it, |data| data[7] = 1);
    }),
    // What it says.
    (Sealed::Secret, "the name of another place", Layer::Words, |it| {
        body(it, |data| data[17] = b'9');
    }),
    (Sealed::Secret, "a name that is none", Layer::Words, |it| body(it, |data| data[16] = b'/')),
    (Sealed::Secret, "a type that is none", Layer::Words, |it| body(it, |data| data[42] = b'r')),
    (Sealed::Secret, "a description too long", Layer::Words, |it| {
        body(it, |data| {
            data[49] = 0x10;
            data.splice(66..66, vec![b'x'; 0x1000]).for_each(drop);
        });
    }),
    (Sealed::Stages, "a state", Layer::Words, |it| body(it, |data| data[24] = 3)),
    (Sealed::Stages, "next version 0", Layer::Words, |it| body(it, |data| data[25] = 0)),
    (Sealed::Stages, "next version not behind the last", Layer::Words, |it| {
        body(it, |data| data[25] = 2);
    }),
    (Sealed::Secret, "automatic without a period", Layer::Words, |it| {
        body(it, |data| drop(data.splice(87..88, [1, 0, 0, 0, 0, 0, 0, 0, 1])));
    }),
    (Sealed::Stages, "a label on a version that is not there", Layer::Words, |it| {
        body(it, |data| data[75] = 9);
    }),
    (Sealed::Stages, "a label twice", Layer::Words, |it| body(it, |data| data[71] = 0)),
    (Sealed::Stages, "a built-in label as a custom one", Layer::Words, |it| {
        body(it, |data| {
            let text = [&[3, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0][..], b"SYSPENDING"].concat();
            data.splice(71..75, text).for_each(drop);
            data[7] += 18;
        });
    }),
    (Sealed::Stages, "no SYSCURRENT", Layer::Words, |it| body(it, |data| data[51] = 2)),
    // All labels are on one that is found in spite of the disorder.
    (Sealed::Stages, "a version twice", Layer::Words, |it| {
        body(it, |data| (data[75], data[99]) = (2, 2));
    }),
    (Sealed::Stages, "version 0", Layer::Words, |it| body(it, |data| data[99] = 0)),
    (Sealed::Stages, "versions descending", Layer::Words, |it| {
        body(it, |data| {
            data[55] = 1;
            data.swap(99, 134);
        });
    }),
    (Sealed::Stages, "a kind of value 2", Layer::Words, |it| body(it, |data| data[128] = 2)),
    (Sealed::Stages, "a version's state", Layer::Words, |it| body(it, |data| data[129] = 3)),
    (Sealed::Stages, "a token of version 0", Layer::Words, |it| body(it, |data| data[209] = 0)),
    (Sealed::Value, "another length than the table says", Layer::Words, |it| {
        it.set_data(Sealed::Value, b"another value");
    }),
    (Sealed::Value, "a text that is not UTF-8", Layer::Words, |it| it.frame[4] = 0xff),
    (Sealed::Root, "a commit other than its revision", Layer::Words, |it| it.revision += 1),
    // Authentic, and not the last one.
    (Sealed::Secret, "the revision before", Layer::Order, |it| {
        (it.revision, it.nonce) = (0, [9; 24]);
    }),
];

fn body(blueprint: &mut Blueprint, edit: impl Fn(&mut Vec<u8>)) {
    let mut data = blueprint.data().to_vec();
    edit(&mut data);
    blueprint.set_data(Sealed::Secret, &data);
}

fn body_of_root(blueprint: &mut Blueprint, edit: impl Fn(&mut Vec<u8>)) {
    let mut data = blueprint.data().to_vec();
    edit(&mut data);
    blueprint.set_data(Sealed::Root, &data);
}
