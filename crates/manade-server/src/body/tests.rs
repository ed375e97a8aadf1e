use std::io::Write;

use manade_events::ingest::Packing;

use super::unpack;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bodies_unpack_within_their_bound() {
    let check = |bytes: Vec<u8>, encoding, expected: Result<usize, u16>| {
        let unpacked = unpack(bytes, encoding, 1_000).map(|b| b.len()).map_err(|p| p.status.as_u16());
        assert_eq!(unpacked, expected, "{encoding:?}");
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    check(gzip(&[7; 1_000]), Some(Packing::Gzip), Ok(1_000));
    check(gzip(&[7; 1_001]), Some(Packing::Gzip), Err(413));
    // Members one behind the other are one body.
    check([gzip(&[7; 400]), gzip(&[7; 400])].concat(), Some(Packing::Gzip), Ok(800));
    check(gzip(&[7; 1_000])[..20].to_vec(), Some(Packing::Gzip), Err(400));
    check(zstd(&[7; 1_000]), Some(Packing::Zstd), Ok(1_000));
    check(zstd(&[7; 1_001]), Some(Packing::Zstd), Err(413));
    check(zstd(&vec![7; 10 << 20]), Some(Packing::Zstd), Err(413));
    check(vec![1, 2, 3], Some(Packing::Zstd), Err(400));
    check(vec![1, 2, 3], None, Ok(3));
}
