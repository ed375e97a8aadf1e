use serde_json::Value;

use super::super::rows::checksum;
use super::*;

fn auction_events(count: u64) -> Vec<u8> {
    let mut auctions = Auctions::new();
    let mut out = Vec::new();
    for number in 0..count {
        auctions.write(&mut out, number).expect("memory takes all");
    }
    out
}

#[test]
fn a_seed_gives_the_same_bytes_everywhere() {
    let bytes = auction_events(5000);
    assert_eq!((bytes.len(), checksum(&bytes)), (1_251_324, 15_511_249_264_121_437_464));
}

#[test]
fn events_are_json_in_the_proportions_of_nexmark() {
    let text = String::from_utf8(auction_events(5000)).expect("text");
    let mut kinds = [0; 3];
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let kind = event["event_type"].as_u64().expect("a number") as usize;
        kinds[kind] += 1;
        assert!(event[["person", "auction", "bid"][kind]].is_object(), "{line}");
    }
    assert_eq!(kinds, [100, 300, 4600]);
}

#[test]
fn the_newest_auction_of_an_event() {
    let found: Vec<i64> = [0, 1, 2, 3, 4, 49, 50, 51, 54].map(last_auction).to_vec();
    assert_eq!(found, [-1, 0, 1, 2, 2, 2, 2, 3, 5]);
}
