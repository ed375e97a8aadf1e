//! `GET /data/...`: grammar, formats, paging, freshness. Expected rows come from plain closures over the samples.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Int32Type};
use arrow::ipc::reader::StreamReader;
use manade_pipeline::collection::CollectionKind;
use serde_json::{Value, json};

use super::Server;
use super::client::{Answer, get, send};
use super::memory::{Memory, Platform};
use super::samples::{DAY, START, Sample, platform, samples};

fn numbers(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json().as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()).collect()
}

/// `None`: null, which is not true.
type Naive = fn(&Sample) -> Option<bool>;

#[test]
fn filters_agree_with_a_naive_evaluation() {
    let server = Server::start(platform());
    let all = samples();
    let cases: &[(&str, Naive)] = &[
        ("int=eq.3", |r| Some(r.int? == 3)),
        ("int=neq.3", |r| Some(r.int? != 3)),
        ("int=gt.-2", |r| Some(r.int? > -2)),
        ("int=gte.-2", |r| Some(r.int? >= -2)),
        ("int=lt.0", |r| Some(r.int? < 0)),
        ("int=lte.0", |r| Some(r.int? <= 0)),
        ("int=not.eq.3", |r| Some(r.int? != 3)),
        ("int=gt.-2&int=lt.2", |r| Some(r.int? > -2 && r.int? < 2)),
        ("int=in.(1,2,-3)", |r| Some([1, 2, -3].contains(&r.int?))),
        ("int=not.in.(1,2,-3)", |r| Some(![1, 2, -3].contains(&r.int?))),
        ("int=in.()", |_| Some(false)),
        ("int=is.null", |r| Some(r.int.is_none())),
        ("int=not.is.null", |r| Some(r.int.is_some())),
        ("int=is.not_null", |r| Some(r.int.is_some())),
        ("int=isdistinct.3", |r| Some(r.int != Some(3))),
        ("int=not.isdistinct.3", |r| Some(r.int == Some(3))),
        ("int=eq(any).{1,2}", |r| Some([1, 2].contains(&r.int?))),
        ("int=gt(all).{1,3}", |r| Some(r.int? > 3)),
        ("yes=is.true", |r| Some(r.yes == Some(true))),
        ("yes=is.false", |r| Some(r.yes == Some(false))),
        ("yes=is.unknown", |r| Some(r.yes.is_none())),
        ("yes=not.is.true", |r| Some(r.yes != Some(true))),
        ("yes=eq.true", |r| r.yes),
        ("big=eq.27021597764222979", |r| Some(r.big? == 27_021_597_764_222_979)),
        ("big=gt.9007199254740992", |r| Some(r.big? > 9_007_199_254_740_992)),
        ("double=lt.-2.5", |r| Some(r.double? < -2.5)),
        // NaN is greater than everything, as in PostgreSQL and Spark.
        ("double=gt.9", |r| Some(r.double?.is_nan() || r.double? > 9.0)),
        ("double=eq.NaN", |r| Some(r.double?.is_nan())),
        ("price=eq.2.00", |r| Some(r.price? == 200)),
        ("price=gt.1.999", |r| Some(r.price? >= 200)),
        ("price=lte.-0.5", |r| Some(r.price? <= -50)),
        ("price=eq.2e0", |r| Some(r.price? == 200)),
        ("price=gt.-50E-2", |r| Some(r.price? > -50)),
        ("price=lt.1e20", |r| Some(r.price.is_some() && r.price? < i128::MAX)),
        ("price=gt.0.05e%2B1", |r| Some(r.price? > 50)),
        ("text=eq.JFK", |r| Some(r.text? == "JFK")),
        ("text=eq.", |r| Some(r.text?.is_empty())),
        ("text=eq.a%2Cb", |r| Some(r.text? == "a,b")),
        ("text=in.(%22a,b%22,JFK)", |r| Some(["a,b", "JFK"].contains(&r.text?))),
        ("text=in.(%22say%20%5C%22hi%5C%22%22)", |r| Some(r.text? == "say \"hi\"")),
        ("text=in.(%22(x)%22)", |r| Some(r.text? == "(x)")),
        ("text=like.*o*", |r| Some(r.text?.contains('o'))),
        ("text=like.B%25", |r| Some(r.text?.starts_with('B'))),
        ("text=like.AB_", |r| Some(r.text? == "ABc")),
        ("text=ilike.ab*", |r| Some(r.text?.to_lowercase().starts_with("ab"))),
        ("text=not.ilike.*B*", |r| Some(!r.text?.to_lowercase().contains('b'))),
        ("text=like(any).{J*,B*}", |r| Some(r.text?.starts_with(['J', 'B']))),
        ("text=like(all).{*o*,*n}", |r| Some(r.text?.contains('o') && r.text?.ends_with('n'))),
        ("text=match.%5E%5BAJ%5D", |r| Some(r.text?.starts_with(['A', 'J']))),
        ("text=imatch.%5Ebos", |r| Some(r.text?.to_lowercase().starts_with("bos"))),
        ("text=gt.JFK", |r| Some(r.text? > "JFK")),
        ("day=eq.2001-01-02", |r| Some(r.day? == DAY + 1)),
        ("day=gte.2001-01-03", |r| Some(r.day? >= DAY + 2)),
        ("at=eq.2001-01-01T00:10:00.5Z", |r| Some(r.at? == START + 600_500_000)),
        ("at=lt.2001-01-01T00:30:00%2B00:00", |r| Some(r.at? < START + 1_800_000_000)),
        ("at=lt.2001-01-01 01:30:00%2B01:00", |r| Some(r.at? < START + 1_800_000_000)),
        ("at=gte.2001-01-01", |r| Some(r.at? >= START)),
        ("hour->start=lt.2001-01-01T00:30:00Z", |r| Some(r.at? < START + 1_800_000_000)),
        ("hour->>start=eq.2001-01-01T00:00:00Z", |r| Some(r.at? == START)),
        ("hour=is.null", |r| Some(r.at.is_none())),
        ("tags->0=eq.JFK", |r| Some(*r.tags.as_ref()?.first()? == "JFK")),
        ("tags->>-1=eq.Boston", |r| Some(*r.tags.as_ref()?.last()? == "Boston")),
        ("tags->1=is.null", |r| Some(r.tags.as_ref().is_none_or(|tags| tags.len() < 2))),
        ("count(1)=eq.2", |r| Some(r.n % 3 == 2)),
        ("%22count(1)%22=eq.2", |r| Some(r.n % 3 == 2)),
        ("or=(int.eq.3,text.eq.JFK)", |r| match (r.int, r.text) {
            (Some(3), _) | (_, Some("JFK")) => Some(true),
            (Some(_), Some(_)) => Some(false),
            _ => None,
        }),
        ("and=(int.gt.0,or(yes.is.true,text.in.(JFK,%22a,b%22)))", |r| {
            let either = r.yes == Some(true) || ["JFK", "a,b"].contains(&r.text.unwrap_or_default());
            Some(r.int? > 0 && either)
        }),
        ("not.or=(int.is.null,yes.is.null)", |r| Some(r.int.is_some() && r.yes.is_some())),
        ("or=(not.and(int.gte.0,int.lte.2),text.eq.%22a,b%22)", |r| {
            Some(r.text == Some("a,b") || !(0..=2).contains(&r.int?))
        }),
        ("or=(int.not.gt.0,int.eq(any).{3,4},text.like(any).{J*})", |r| {
            Some(r.int.is_some_and(|i| i <= 0 || i == 3 || i == 4) || r.text.is_some_and(|t| t.starts_with('J')))
        }),
    ];
    for (query, naive) in cases {
        let mut expected: Vec<i64> =
            all.iter().filter(|row| naive(row) == Some(true)).map(|row| i64::from(row.n)).collect();
        expected.sort_unstable();
        for collection in ["samples", "log"] {
            let path = format!("/data/{collection}?select=n&order=n&{}", query.replace(' ', "%20"));
            assert_eq!(numbers(&get(server.address, &path)), expected, "{query}");
        }
    }
}

#[test]
fn orders_agree_with_a_naive_sort() {
    fn check<K: PartialOrd>(
        server: &Server,
        order: &str,
        key: fn(&Sample) -> Option<K>,
        descending: bool,
        nulls_first: bool,
    ) {
        let mut rows = samples();
        rows.sort_by(|a, b| {
            use std::cmp::Ordering::{Equal, Greater, Less};
            let by_key = match (key(a), key(b)) {
                (None, None) => Equal,
                (None, _) => {
                    if nulls_first {
                        Less
                    } else {
                        Greater
                    }
                }
                (_, None) => {
                    if nulls_first {
                        Greater
                    } else {
                        Less
                    }
                }
                (Some(a), Some(b)) => {
                    let order = a.partial_cmp(&b).unwrap();
                    if descending { order.reverse() } else { order }
                }
            };
            by_key.then(a.n.cmp(&b.n))
        });
        let expected: Vec<i64> = rows.iter().map(|row| i64::from(row.n)).collect();
        let answer = get(server.address, &format!("/data/samples?select=n&order={order},n.asc"));
        assert_eq!(numbers(&answer), expected, "{order}");
    }

    let server = Server::start(platform());
    check(&server, "int", |r| r.int, false, false);
    check(&server, "int.desc", |r| r.int, true, true);
    check(&server, "int.asc.nullsfirst", |r| r.int, false, true);
    check(&server, "int.desc.nullslast", |r| r.int, true, false);
    check(&server, "int.nullsfirst", |r| r.int, false, true);
    check(&server, "text.desc", |r| r.text, true, true);
    check(&server, "price", |r| r.price, false, false);
    check(&server, "at.desc.nullslast", |r| r.at, true, false);
    check(&server, "hour.desc", |r| r.at, true, true);
    check(&server, "hour->start.desc", |r| r.at, true, true);
    check(&server, "tags->0", |r| r.tags.as_ref().and_then(|tags| tags.first().copied()), false, false);
}

#[test]
fn selects_columns_paths_and_casts() {
    let server = Server::start(platform());
    let check = |query: &str, expected: Value| {
        let answer = get(server.address, &format!("/data/all_types?bigint=not.is.null&{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!([expected]), "{query}");
    };
    check("select=int", json!({"int": -1}));
    check("select=number:int,int", json!({"number": -1, "int": -1}));
    check("select=bigint::text", json!({"bigint": "9223372036854775807"}));
    check("select=whole:decimal::int", json!({"whole": -1}));
    check("select=string::int", json!({"string": null}));
    check("select=window->start", json!({"start": "2001-01-01T00:00:00Z"}));
    check("select=window->>end", json!({"end": "2001-01-01T00:00:00.000001Z"}));
    check("select=w:window->>end", json!({"w": "2001-01-01T00:00:00.000001Z"}));
    check(
        "select=window::text",
        json!({"window": r#"{"start":"2001-01-01T00:00:00Z","end":"2001-01-01T00:00:00.000001Z"}"#}),
    );
    check("select=map->k,map", json!({"k": 1, "map": {"k": 1}}));
    check("select=int,int", json!({"int": -1}));
    check("select=x:bigint,x:int", json!({"x": -1}));
    check(
        "select=*",
        json!({
            "boolean": true, "tinyint": -128, "smallint": 32_767, "int": -1, "bigint": i64::MAX, "float": 0.1, "double": 1e300,
            "decimal": -1.25, "string": "a\"\n\u{1}é", "binary": "AP8=", "date": "1969-12-31",
            "timestamp": "1969-12-31T23:59:59.999999Z", "timestamp_ntz": "2001-01-01T00:00:00", "map": {"k": 1},
            "window": {"start": "2001-01-01T00:00:00Z", "end": "2001-01-01T00:00:00.000001Z"}, "plain": "utf8",
        }),
    );
    let nulls = get(server.address, "/data/all_types?bigint=is.null").json();
    assert!(nulls[0].as_object().unwrap().values().all(Value::is_null), "{nulls}");
    assert_eq!(nulls[0].as_object().unwrap().len(), 16);
    let floats = get(server.address, "/data/samples?select=double&n=in.(3,6)&order=n").json();
    assert_eq!(floats, json!([{"double": null}, {"double": null}]));
}

/// As Spark's CAST without ANSI mode; what it cannot cast is refused before anything is read.
#[test]
fn casts_are_sparks_or_refused() {
    let mut platform = platform();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let deep = ListArray::new(
        Arc::new(Field::new("item", lists.data_type().clone(), true)),
        OffsetBuffer::from_lengths([1]),
        Arc::new(lists),
        None,
    );
    platform.collections.push(Memory::new("deep", CollectionKind::Keyed, vec![("deep", Arc::new(deep))]));
    let server = Server::start(platform);
    let refused = |what: &str| {
        let answer = get(server.address, &format!("/data/all_types?select=x:{what}"));
        let body = answer.json();
        assert_eq!((answer.status, &body["code"]), (400, &json!("42846")), "{what}: {body}");
        assert!(body["hint"].as_str().unwrap().contains("text"), "{what}: {body}");
    };
    // Of each column, what its value is cast to; `-`: refused.
    let types =
        ["boolean", "smallint", "int4", "bigint", "real", "float8", "numeric", "date", "timestamp", "timestamptz"];
    let null = "null null null null null null null null null null";
    let cases = [
        (
            "boolean",
            "true 1 1 1 1.0 1.0 1.000000000000000000 - \"1970-01-01T00:00:00.000001\" \"1970-01-01T00:00:00.000001Z\"",
        ),
        (
            "tinyint",
            "true -128 -128 -128 -128.0 -128.0 -128.000000000000000000 - \"1969-12-31T23:57:52\" \"1969-12-31T23:57:52Z\"",
        ),
        ("int", "true -1 -1 -1 -1.0 -1.0 -1.000000000000000000 - \"1969-12-31T23:59:59\" \"1969-12-31T23:59:59Z\""),
        ("decimal", "true -1 -1 -1 -1.25 -1.25 -1.250 - \"1969-12-31T23:59:58.75\" \"1969-12-31T23:59:58.75Z\""),
        ("string", null),
        ("plain", null),
        ("binary", "- - - - - - - - - -"),
        ("date", "null null null null null null null \"1969-12-31\" \"1969-12-31T00:00:00\" \"1969-12-31T00:00:00Z\""),
        (
            "timestamp",
            "true -1 -1 -1 -0.000001 -1e-6 -0.000001000000000000 \"1969-12-31\" \"1969-12-31T23:59:59.999999\" \
             \"1969-12-31T23:59:59.999999Z\"",
        ),
        (
            "timestamp_ntz",
            "true null 978307200 978307200 978307200.0 978307200.0 978307200.000000000000000000 \"2001-01-01\" \
             \"2001-01-01T00:00:00\" \"2001-01-01T00:00:00Z\"",
        ),
        ("map", "- - - - - - - - - -"),
        ("window", "- - - - - - - - - -"),
        ("map->k", "true 1 1 1 1.0 1.0 1.000000000000000000 - \"1970-01-01T00:00:01\" \"1970-01-01T00:00:01Z\""),
        (
            "window->>start",
            "null null null null null null null \"2001-01-01\" \"2001-01-01T00:00:00\" \"2001-01-01T00:00:00Z\"",
        ),
    ];
    for (column, expected) in cases {
        for (to, expected) in types.iter().zip(expected.split_whitespace()) {
            let what = format!("{column}::{to}");
            if expected == "-" {
                refused(&what);
                continue;
            }
            for format in ["json", "csv", "arrow", "parquet"] {
                let path = format!("/data/all_types?bigint=not.is.null&select=x:{what}&format={format}");
                let answer = get(server.address, &path);
                assert_eq!(answer.status, 200, "{path}");
                if format == "json" {
                    assert_eq!(answer.text(), format!("[{{\"x\":{expected}}}]"), "{what}");
                }
            }
        }
        if !["map", "window"].contains(&column) {
            refused(&format!("{column}::json"));
        }
    }
    for (what, expected) in [
        ("deep->0::json", "[1,null]"),
        ("deep->>0::jsonb", "[1,null]"),
        ("deep::json", "[[1,null]]"),
        ("deep->>0::text", "\"[1,null]\""),
        ("deep->0->>0::bigint", "1"),
    ] {
        let answer = get(server.address, &format!("/data/deep?select=x:{what}"));
        assert_eq!(answer.text(), format!("[{{\"x\":{expected}}}]"), "{what}");
    }
    // No column is left out above for failing.
    let columns = get(server.address, "/data/all_types?limit=1").json()[0].as_object().unwrap().clone();
    for column in columns.keys() {
        for to in types.iter().chain(&["text", "json", "varchar"]) {
            let status = get(server.address, &format!("/data/all_types?select={column}::{to}")).status;
            assert!([200, 400].contains(&status), "{column}::{to}: {status}");
        }
    }
}

#[test]
fn a_cursor_is_of_one_collection() {
    let server = Server::start(platform());
    for order in ["", "&order=int"] {
        let page = get(server.address, &format!("/data/samples?select=n&limit=2{order}"));
        let link = page.header("link").unwrap();
        let cursor = link.split("cursor=").nth(1).unwrap().split(['&', '>']).next().unwrap();
        for (collection, status) in [("samples", 200), ("log", 400), ("empty", 400)] {
            let path = format!("/data/{collection}?select=n&limit=2{order}&cursor={cursor}");
            assert_eq!(get(server.address, &path).status, status, "{path}");
        }
    }
}

#[test]
fn refuses_with_postgrests_members_and_a_hint() {
    let server = Server::start(platform());
    let check = |path: &str, status: u16, code: &str, hint: &str| {
        let answer = get(server.address, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        let body = answer.json();
        assert_eq!(body["code"], code, "{path}: {body}");
        assert_eq!(body["status"], status, "{path}");
        assert!(body["hint"].as_str().unwrap_or_default().contains(hint), "{path}: {body}");
        for member in ["type", "title", "detail", "message"] {
            assert!(body[member].is_string(), "{path}: {body}");
        }
    };
    check("/data/sample", 404, "PGRST205", "samples");
    check("/data/samples?select=txet", 400, "42703", "text");
    check("/data/samples?Text=eq.a", 400, "42703", "text");
    check("/data/samples?zzzzzz=eq.a", 400, "42703", "its columns are: n, yes");
    check("/data/samples?int=eqq.1", 400, "PGRST100", "eq");
    check("/data/samples?int=1", 400, "PGRST100", "operator.value");
    check("/data/samples?text=fts.x", 400, "PGRST100", "supported");
    check("/data/samples?int=eq.one", 400, "22P02", "");
    check("/data/samples?int=eq.3000000000", 400, "22003", "");
    check("/data/samples?at=gt.yesterday", 400, "22P02", "");
    check("/data/samples?int=like.1*", 400, "42883", "text");
    check("/data/samples?int=is.true", 400, "42883", "null");
    check("/data/samples?text=is.nil", 400, "PGRST100", "eq");
    check("/data/samples?text=match.(", 400, "2201B", "");
    check("/data/samples?tags=eq.a", 400, "42883", "->");
    check("/data/samples?hour->strat=eq.a", 400, "42703", "start");
    check("/data/samples?int->a=eq.1", 400, "42883", "structs");
    check("/data/samples?int=in.1,2", 400, "PGRST100", "in.(a,b)");
    check("/data/samples?or=(int.eq.1", 400, "PGRST100", "or=(");
    check("/data/samples?or=int.eq.1", 400, "PGRST100", "or=(");
    check("/data/samples?order=int.dsc", 400, "PGRST100", "desc");
    check("/data/samples?order=tags", 400, "42883", "tags->0");
    check("/data/all_types?order=map", 400, "42883", "map->key");
    check("/data/samples?order=int.nullslast.desc", 400, "PGRST100", "desc.nullslast");
    check("/data/samples?order=int.desc.asc", 400, "PGRST100", "desc.nullslast");
    check("/data/samples?price=gt.1e300", 400, "22P02", "");
    check("/data/samples?limit=-1", 400, "PGRST100", "");
    check("/data/samples?offset=x", 400, "PGRST100", "");
    check("/data/samples?select=n,airports(name)", 400, "PGRST200", "SQL");
    check("/data/samples?select=...airports(name)", 400, "PGRST200", "SQL");
    check("/data/samples?select=int.sum()", 400, "PGRST123", "SQL");
    check("/data/samples?select=count()", 400, "PGRST123", "SQL");
    check("/data/samples?airports.name=eq.a", 400, "PGRST100", "embed");
    check("/data/samples?select=n::nonsense", 400, "42704", "text");
    check("/data/samples?select=hour::int", 400, "42846", "text");
    check("/data/samples?format=xml", 400, "PGRST100", "parquet");
    check("/data/samples?cursor=nonsense", 400, "PGRST100", "Link");
    check("/data/rpc/f", 404, "PGRST202", "no functions");
    check("/data/samples/other", 404, "MANADE404", "changes");
    check("/nowhere", 404, "MANADE404", "/docs");
    let answer = send(server.address, "GET", "/data/samples", &[("accept", "text/html")], b"");
    assert_eq!((answer.status, &answer.json()["code"]), (406, &json!("PGRST107")));
    let answer = send(server.address, "GET", "/data/samples", &[("accept-profile", "other")], b"");
    assert_eq!((answer.status, &answer.json()["code"]), (406, &json!("PGRST106")));
    let answer = send(server.address, "GET", "/data/samples", &[("prefer", "handling=strict, wings=2")], b"");
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("PGRST122")));
    for method in ["POST", "PATCH", "PUT", "DELETE"] {
        let answer = send(server.address, method, "/data/samples", &[], b"");
        assert_eq!((answer.status, &answer.json()["code"]), (405, &json!("PGRST117")));
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
}

#[test]
fn ranges_and_counts_are_postgrests() {
    let server = Server::start(platform());
    let check = |path: &str, headers: &[(&str, &str)], status: u16, rows: usize, content_range: &str| {
        let answer = send(server.address, "GET", path, headers, b"");
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        assert_eq!(answer.header("content-range"), Some(content_range), "{path} {headers:?}");
        if status < 300 {
            assert_eq!(answer.json().as_array().unwrap().len(), rows, "{path} {headers:?}");
        }
        let head = send(server.address, "HEAD", path, headers, b"");
        assert_eq!((head.status, head.header("content-range")), (status, Some(content_range)));
    };
    let count = ("prefer", "count=exact");
    check("/data/samples", &[], 200, 60, "0-59/*");
    check("/data/samples", &[count], 200, 60, "0-59/60");
    check("/data/samples?limit=10", &[], 200, 10, "0-9/*");
    check("/data/samples?limit=10", &[count], 206, 10, "0-9/60");
    check("/data/samples?limit=10&offset=55", &[count], 206, 5, "55-59/60");
    check("/data/samples?limit=0", &[], 200, 0, "*/*");
    check("/data/samples?limit=0", &[count], 206, 0, "*/60");
    check("/data/samples?offset=60", &[count], 206, 0, "*/60");
    check("/data/samples?offset=61", &[count], 416, 0, "*/60");
    check("/data/samples?offset=61", &[], 200, 0, "*/*");
    check("/data/samples", &[("range", "0-4")], 200, 5, "0-4/*");
    check("/data/samples", &[("range", "50-"), count], 206, 10, "50-59/60");
    check("/data/samples?limit=10&offset=5", &[("range", "0-7")], 200, 3, "5-7/*");
    check("/data/samples", &[("range", "bytes=0-4")], 200, 60, "0-59/*");
    check("/data/samples?int=eq.3", &[count], 200, 4, "0-3/4");
    check("/data/empty", &[], 200, 0, "*/*");
    check("/data/empty", &[count], 200, 0, "*/0");
    check("/data/many", &[], 200, 1_000, "0-999/*");
    check("/data/many", &[count], 206, 1_000, "0-999/2500");
    check("/data/many?limit=2400", &[], 200, 2_400, "0-2399/*");
    for range in ["5-2", "70-60"] {
        let answer = send(server.address, "GET", "/data/samples", &[("range", range)], b"");
        assert_eq!((answer.status, &answer.json()["code"]), (416, &json!("PGRST103")));
    }
    let answer = send(server.address, "GET", "/data/samples?limit=2", &[count], b"");
    assert_eq!(answer.header("preference-applied"), Some("count=exact"));
}

#[test]
fn one_object_instead_of_an_array() {
    let server = Server::start(platform());
    let accept = [("accept", "application/vnd.pgrst.object+json")];
    let answer = send(server.address, "GET", "/data/samples?n=eq.4&select=n", &accept, b"");
    assert_eq!(answer.json(), json!({"n": 4}));
    for (query, rows) in [("n=eq.99", 0), ("n=lt.3", 3)] {
        let answer = send(server.address, "GET", &format!("/data/samples?{query}"), &accept, b"");
        assert_eq!(answer.status, 406);
        assert_eq!(answer.json()["code"], "PGRST116");
        assert_eq!(answer.json()["details"], format!("The result contains {rows} rows"));
    }
    let stripped = [("accept", "application/vnd.pgrst.array+json;nulls=stripped")];
    let answer = send(server.address, "GET", "/data/all_types?int=is.null", &stripped, b"");
    assert_eq!(answer.json(), json!([{}]));
}

#[test]
fn other_formats_have_all_rows() {
    let server = Server::start(platform());
    let by_accept = |path: &str, accept: &str| send(server.address, "GET", path, &[("accept", accept)], b"");
    let ndjson = by_accept("/data/many", "application/x-ndjson");
    assert_eq!(ndjson.text().lines().count(), 2_500);
    assert_eq!(ndjson.text().lines().next(), Some(r#"{"n":0}"#));
    let csv = by_accept("/data/all_types?order=bigint", "text/csv");
    let expected = "boolean,tinyint,smallint,int,bigint,float,double,decimal,string,binary,date,timestamp,timestamp_ntz,map,window,plain\n\
        true,-128,32767,-1,9223372036854775807,0.1,1e300,-1.250,\"a\"\"\n\u{1}é\",AP8=,1969-12-31,\
        1969-12-31T23:59:59.999999Z,2001-01-01T00:00:00,\"{\"\"k\"\":1}\",\
        \"{\"\"start\"\":\"\"2001-01-01T00:00:00Z\"\",\"\"end\"\":\"\"2001-01-01T00:00:00.000001Z\"\"}\",utf8\n,,,,,,,,,,,,,,,\n";
    assert_eq!(csv.text(), expected);
    let csv = get(server.address, "/data/samples?format=csv&text=eq.&select=text&limit=1");
    assert_eq!(csv.text(), "text\n\"\"\n");
    let arrow = get(server.address, "/data/many?format=arrow");
    assert_eq!(arrow.header("content-type"), Some("application/vnd.apache.arrow.stream"));
    let rows: usize = StreamReader::try_new(arrow.body.as_slice(), None).unwrap().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(rows, 2_500);
    let arrow = get(server.address, "/data/all_types?format=arrow");
    let batch = StreamReader::try_new(arrow.body.as_slice(), None).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_columns(), 16);
    let parquet = get(server.address, "/data/all_types?format=parquet");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes::Bytes::from(parquet.body), 10);
    let read = reader.unwrap().next().unwrap().unwrap();
    assert_eq!(read.columns(), batch.columns());
    let weighted = by_accept("/data/many?limit=1", "text/csv;q=0.5, application/x-ndjson;q=0.9, */*;q=0.1");
    assert_eq!(weighted.text(), "{\"n\":0}\n");
}

/// Follows the links to the end; `between` runs after each page.
fn pages(server: &Server, first: &str, mut between: impl FnMut()) -> Vec<Vec<i64>> {
    let (mut path, mut pages) = (first.to_owned(), Vec::new());
    loop {
        let answer = get(server.address, &path);
        pages.push(numbers(&answer));
        assert!(pages.len() < 100, "no end");
        let Some(link) = answer.header("link") else { return pages };
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        next.clone_into(&mut path);
        between();
    }
}

/// 0 and -0 are one value, which an order leaves to the key and filters find both.
#[test]
fn zeros_are_equal() {
    let numbers: Vec<f64> = (0..30).map(|n| [0.0, -0.0, 1.5, -1.5, f64::NAN][n % 5]).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int32Array::from_iter_values(0..30))),
        ("x", Arc::new(Float64Array::from(numbers.clone()))),
    ];
    let collection = Memory::new("zeros", CollectionKind::Keyed, columns);
    let server = Server::start(Platform { collections: vec![collection], ..Platform::default() });
    for order in ["x", "x.desc", "x.nullsfirst"] {
        let mut seen: Vec<i64> = pages(&server, &format!("/data/zeros?order={order}&limit=2"), || {}).concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..30).collect::<Vec<i64>>(), "{order}");
    }
    let zeros: Vec<i64> = (0..30).filter(|n| numbers[*n as usize] == 0.0).collect();
    for filter in ["x=eq.0", "x=eq.-0", "x=in.(-0)", "x=in.(0)", "or=(x.eq.-0)", "x=gt.-1&x=lt.1", "x=not.isdistinct.0"]
    {
        let mut found = numbers_of(&server, &format!("/data/zeros?{filter}"));
        found.sort_unstable();
        assert_eq!(found, zeros, "{filter}");
    }
    assert!(get(server.address, "/data/zeros?x=eq.0").text().contains("-0.0"), "rows show what they hold");
}

fn numbers_of(server: &Server, path: &str) -> Vec<i64> {
    numbers(&get(server.address, path))
}

#[test]
fn pages_have_every_row_once() {
    let server = Server::start(platform());
    for collection in ["samples", "log"] {
        for order in [
            "",
            "&order=int",
            "&order=int.desc",
            "&order=double.desc.nullslast,yes",
            "&order=text.nullsfirst,at.desc",
            "&order=hour",
            "&order=price.desc,tags->>0",
        ] {
            let query = format!("/data/{collection}?n=gt.2&limit=7{order}");
            let whole = numbers(&get(server.address, &query.replace("limit=7", "limit=1000")));
            let paged: Vec<i64> = pages(&server, &query, || {}).concat();
            assert_eq!(paged, whole, "{query}");
            assert_eq!(whole.len(), 57);
        }
    }
    assert!(get(server.address, "/data/samples?limit=60").header("link").is_none());
    assert!(get(server.address, "/data/top?limit=2").header("link").is_none());
    assert_eq!(numbers(&get(server.address, "/data/top")), [0, 1, 2, 3, 4]);
}

#[test]
fn pages_keep_rows_that_stay_while_others_come_and_go() {
    use manade_pipeline::collection::ChangeKind;
    let server = Server::start(platform());
    let samples_collection = Arc::clone(&server.platform.collections[0]);
    let gone: Vec<u64> = (0..60).step_by(4).collect();
    let mut removals = gone.iter();
    let mut added = 1_000;
    let paged = pages(&server, "/data/samples?limit=7&order=int.desc", || {
        for key in removals.by_ref().take(3) {
            let row = super::samples::columns(&samples()[..1]).into_iter().map(|(_, array)| array).collect();
            samples_collection.commit(ChangeKind::Delete, row, &[*key]);
        }
        added += 1;
        let row = super::samples::columns(&samples()[..1]).into_iter().map(|(_, array)| array).collect();
        samples_collection.commit(ChangeKind::Upsert, row, &[added]);
    })
    .concat();
    let mut shuffled = samples();
    shuffled.sort_by_key(|row| (row.n * 37) % 61);
    // Row 0 is what is added, over and over.
    let stayed = shuffled.iter().enumerate().filter(|(key, row)| !gone.contains(&(*key as u64)) && row.n != 0);
    for (_, row) in stayed {
        assert_eq!(paged.iter().filter(|n| **n == i64::from(row.n)).count(), 1, "{row:?}");
    }
}

#[test]
fn answers_say_how_fresh_they_are() {
    use manade_pipeline::collection::ChangeKind;
    let server = Server::start(platform());
    let answer = get(server.address, "/data/samples?limit=1");
    assert_eq!(answer.header("x-manade-commit"), Some("1"));
    assert_eq!(answer.header("x-manade-watermark"), Some("2001-01-01T00:00:00Z"));
    assert_eq!(answer.header("x-manade-newest"), Some("2001-01-01T00:10:00.5Z"));
    assert!(answer.header("x-manade-age").unwrap().parse::<f64>().unwrap() > 0.0);
    let etag = answer.header("etag").unwrap().to_owned();
    let again = |etag: &str, path: &str| send(server.address, "GET", path, &[("if-none-match", etag)], b"");
    let same = again(&etag, "/data/samples?limit=1");
    assert_eq!((same.status, same.header("etag")), (304, Some(etag.as_str())));
    assert_eq!(again("\"x\", *", "/data/samples?limit=1").status, 304);
    assert_eq!(again(&format!("\"x\", {etag}"), "/data/samples?limit=1").status, 304);
    assert_eq!(again(&etag, "/data/samples?limit=2").status, 200);
    assert_eq!(again(&etag, "/data/samples?limit=1&format=csv").status, 200);
    let row = super::samples::columns(&samples()[..1]).into_iter().map(|(_, array)| array).collect();
    server.platform.collections[0].commit(ChangeKind::Upsert, row, &[0]);
    let changed = again(&etag, "/data/samples?limit=1");
    assert_eq!((changed.status, changed.header("x-manade-commit")), (200, Some("2")));
    let list = get(server.address, "/data").json();
    assert_eq!(list[0]["name"], "samples");
    assert_eq!(list[0]["columns"][5], json!({"name": "price", "type": "decimal(10,2)"}));
    assert_eq!(list[0]["columns"][9], json!({"name": "tags", "type": "array<string>"}));
    assert_eq!(list[3]["rows"], 2);
}

#[test]
fn an_export_is_streamed_from_one_commit() {
    use std::sync::Arc;
    let mut platform = platform();
    let text = arrow::array::StringViewArray::from_iter_values((0..20_000).map(|n| format!("{n:0>500}")));
    let kind = CollectionKind::Append;
    platform.collections.push(Memory::new("long", kind, vec![("text", Arc::new(text))]));
    let server = Server::start(platform);
    let ndjson = get(server.address, "/data/long?format=ndjson");
    assert_eq!(ndjson.header("transfer-encoding"), Some("chunked"));
    assert_eq!(ndjson.text().lines().count(), 20_000);
    let json = get(server.address, "/data/long?limit=20000");
    assert_eq!(json.json().as_array().unwrap().len(), 20_000);
    for format in ["csv", "parquet", "arrow"] {
        assert_eq!(get(server.address, &format!("/data/long?format={format}")).status, 200);
    }
}
