//! Vectors of a journal's parts.

use strongroom::testing::fuzz::{Layer, Specimens};

use super::Vector;

pub(super) fn made(specimens: &Specimens) -> Vec<Vector> {
    let mut vectors = headers(specimens);
    vectors.extend(frames(specimens));
    vectors
}

pub(super) fn refused_by(specimens: &Specimens, (what, _, bytes): &Vector) -> Option<Layer> {
    if what.starts_with("header: ") {
        specimens.check_segment(bytes).err()
    } else {
        specimens.check_frame(bytes).err()
    }
}

fn headers(specimens: &Specimens) -> Vec<Vector> {
    let good = specimens.segment();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut block = good.clone();
        edit(&mut block);
        block
    };
    // With the mac made again, as only the holder of the key can.
    let resealed = |at: usize, byte: u8| {
        let mut body = good[..96].to_vec();
        body[at] = byte;
        specimens.segment_of(&body)
    };
    let vectors = [
        ("as it was written", None, good.clone()),
        ("nothing", Some(Layer::Shape), Vec::new()),
        ("zeros", Some(Layer::Shape), vec![0; 4096]),
        ("another magic", Some(Layer::Shape), resealed(0, b'X')),
        ("format 2", Some(Layer::Shape), resealed(8, 2)),
        ("a byte behind the format", Some(Layer::Shape), resealed(15, 1)),
        ("cut by a byte", Some(Layer::Shape), edited(&|block| super::shorten(block))),
        ("a byte more", Some(Layer::Shape), edited(&|block| block.push(0))),
        ("a byte behind the mac", Some(Layer::Shape), edited(&|block| block[128] = 1)),
        ("a byte at the end", Some(Layer::Shape), edited(&|block| block[4095] = 1)),
        ("the store id's first bit", Some(Layer::Seal), edited(&|block| block[16] ^= 0x80)),
        ("another number", Some(Layer::Seal), edited(&|block| block[39] = 6)),
        ("another salt", Some(Layer::Seal), edited(&|block| block[40] = 0)),
        ("another base", Some(Layer::Seal), edited(&|block| block[63] = 38)),
        ("another chain", Some(Layer::Seal), edited(&|block| block[64] = 0)),
        ("the mac's last bit", Some(Layer::Seal), edited(&|block| block[127] ^= 1)),
        ("of another store", Some(Layer::Order), resealed(16, 2)),
        ("of another segment", Some(Layer::Order), resealed(39, 6)),
    ];
    vectors.map(|(what, layer, bytes)| (format!("header: {what}"), layer, bytes)).to_vec()
}

fn frames(specimens: &Specimens) -> Vec<Vector> {
    const FIRST: u64 = 40;
    let good = specimens.frame().unwrap();
    let payload = good[12..12 + usize::from(good[3])].to_vec();
    let mac = 12 + payload.len();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut block = good.clone();
        edit(&mut block);
        block
    };
    let of = |payload: &[u8]| specimens.frame_of(FIRST, payload);
    let vectors = [
        ("as it was written", None, good.clone()),
        ("an end mark", None, specimens.frame_of(u64::MAX, &[])),
        ("nothing", Some(Layer::Shape), Vec::new()),
        ("a length beyond the segment", Some(Layer::Shape), edited(&|block| block[2] = 0xff)),
        ("the greatest length", Some(Layer::Shape), edited(&|block| block[..4].fill(0xff))),
        ("cut in its padding", Some(Layer::Shape), edited(&|block| block.truncate(4000))),
        ("cut in its mac", Some(Layer::Shape), edited(&|block| block.truncate(mac + 31))),
        ("a byte behind the mac", Some(Layer::Shape), edited(&|block| block[mac + 32] = 1)),
        ("a byte at the block's end", Some(Layer::Shape), edited(&|block| block[4095] = 1)),
        ("zeros", Some(Layer::Seal), vec![0; 4096]),
        ("another commit", Some(Layer::Seal), edited(&|block| block[11] = 41)),
        ("the payload's first bit", Some(Layer::Seal), edited(&|block| block[12] ^= 0x80)),
        ("the payload's last bit", Some(Layer::Seal), edited(&|block| block[mac - 1] ^= 1)),
        ("the mac's first bit", Some(Layer::Seal), edited(&|block| block[mac] ^= 0x80)),
        ("of a store with other keys", Some(Layer::Seal), Specimens::new(1, 2).frame().unwrap()),
        ("a tree and nothing more", Some(Layer::Body), of(&[0x20])),
        ("a key cut off", Some(Layer::Body), of(&payload[..6])),
        ("a record's length cut off", Some(Layer::Body), of(&payload[..13])),
        ("a record cut off", Some(Layer::Body), of(&payload[..50])),
        ("a record longer than the payload", Some(Layer::Body), {
            let mut long = payload.clone();
            long[10] = 0x7f;
            of(&long)
        }),
        ("a byte behind the last entry", Some(Layer::Body), of(&[&payload[..], &[0x20]].concat())),
        ("the commit before", Some(Layer::Order), specimens.frame_of(FIRST - 1, &payload)),
        ("the commit after", Some(Layer::Order), specimens.frame_of(FIRST + 1, &payload)),
        ("commit 0", Some(Layer::Order), specimens.frame_of(0, &payload)),
    ];
    vectors.map(|(what, layer, bytes)| (format!("frame: {what}"), layer, bytes)).to_vec()
}
