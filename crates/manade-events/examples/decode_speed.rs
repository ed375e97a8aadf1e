//! Decodes a file of Nexmark-like NDJSON again and again and prints events a second of CPU time for several sets of read columns (Linux):
//! `cargo run --release -p manade-events --example decode_speed -- FILE`.

#![expect(clippy::print_stdout, reason = "prints what it measures")]

use arrow_buffer::Buffer;
use manade_events::{Chunk, Decoder, DecoderOptions, Format, ingest};
use manade_model::{EventSchema, Field, SparkType, TimeFormat};

const CHUNK: usize = 4 << 20;
const ROUNDS: usize = 10;

fn field(name: &str, data_type: SparkType) -> Field {
    Field { name: name.to_owned(), data_type }
}

fn record(longs: &[&str], strings: &[&str]) -> SparkType {
    let longs = longs.iter().map(|name| field(name, SparkType::Long));
    SparkType::Struct(longs.chain(strings.iter().map(|name| field(name, SparkType::String))).collect())
}

fn schema() -> EventSchema {
    let person = record(&["id"], &["name", "emailAddress", "creditCard", "city", "state", "extra"]);
    let auction = record(
        &["id", "initialBid", "reserve", "expires", "seller", "category"],
        &["itemName", "description", "extra"],
    );
    let bid = record(&["auction", "bidder", "price"], &["channel", "url", "extra"]);
    EventSchema {
        fields: vec![
            field("event_type", SparkType::Int),
            field("ts", SparkType::Timestamp(TimeFormat::EpochMillis)),
            field("person", person),
            field("auction", auction),
            field("bid", bid),
        ],
    }
}

/// User and system time of this process; the kernel counts it in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let behind_name = stat.rsplit(')').next().expect("there is a last part");
    behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

fn main() {
    let path = std::env::args().nth(1).expect("the path of an NDJSON file is needed");
    let bytes = std::fs::read(path).expect("the file can be read");
    let mut chunks = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let end = rest.len().min(CHUNK);
        let end = memchr::memrchr(b'\n', &rest[..end]).map_or(rest.len(), |at| at + 1);
        chunks.push(Chunk { data: Buffer::from_vec(rest[..end].to_vec()), ..Chunk::default() });
        rest = &rest[end..];
    }
    let queries: [(&str, &[&str]); 6] = [
        ("time only", &[]),
        ("q12: bidder", &["bid.bidder"]),
        ("q1: four numbers and a string", &["bid.auction", "bid.bidder", "bid.price", "bid.channel", "ts"]),
        ("q21: strings", &["bid.auction", "bid.bidder", "bid.price", "bid.channel", "bid.url"]),
        ("bid", &["bid"]),
        ("all", &["event_type", "ts", "person", "auction", "bid"]),
    ];
    for (name, reads) in queries {
        let reads: Vec<Vec<String>> = reads.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        let options = DecoderOptions {
            format: Format::Lines,
            time: Some(vec!["ts".to_owned()]),
            coerce: false,
            max_event: 16 << 20,
            meta: false,
        };
        let decoder = Decoder::new(&schema(), Some(&reads), options).expect("the schema is right");
        let start = cpu_seconds();
        let mut read = 0;
        for _ in 0..ROUNDS {
            let decoded = chunks.iter().map(|chunk| decoder.decode(chunk));
            read += decoded.map(|decoded| decoded.read - decoded.dead.len() as u64).sum::<u64>();
        }
        let seconds = cpu_seconds() - start;
        println!("{name}: {read} events, {:.2} M events/s", read as f64 / seconds / 1e6);
    }
    let start = cpu_seconds();
    let mut count = 0;
    for _ in 0..ROUNDS {
        let bodies = chunks.iter().map(|chunk| ingest::split(&chunk.data, &ingest::BodyKind::Ndjson));
        count += bodies.map(|accepted| u64::from(accepted.expect("the file is NDJSON").count)).sum::<u64>();
    }
    let seconds = cpu_seconds() - start;
    println!("ingest: {count} events, {:.2} GB/s", (ROUNDS * bytes.len()) as f64 / seconds / 1e9);
}
