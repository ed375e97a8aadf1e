use axum::http::{HeaderMap, header};

use super::Format;

#[test]
fn the_accept_header_chooses() {
    let check = |accept: &str, expected: Option<Format>| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(Format::accepted(&headers).ok(), expected, "{accept}");
    };
    let json = Format::Json { strip_nulls: false };
    check("", Some(json));
    check("*/*", Some(json));
    check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(json));
    check("text/csv, application/json;q=0.9", Some(Format::Csv));
    check("application/json;q=0.2, application/x-ndjson;q=0.3", Some(Format::Ndjson));
    check("APPLICATION/JSON", Some(json));
    check("application/vnd.pgrst.object+json;nulls=stripped", Some(Format::Object { strip_nulls: true }));
    check("application/vnd.apache.parquet", Some(Format::Parquet));
    check("application/json;q=0", None);
    check("application/json;q=0,*/*", Some(Format::Ndjson));
    check("*/*, application/json;q=0, application/x-ndjson;q=0", Some(Format::Csv));
    check("text/csv;q=0, text/*", None);
    check("text/csv;q=0, text/*, application/*;q=0.1", Some(json));
    check("application/json, */*;q=0", Some(json));
    check("image/png", None);
}
