//! `/api/v1`, health, metrics, documents.

use manade_pipeline::dead_letter::Stage;
use serde_json::{Value, json};

use super::Server;
use super::client::{get, send};
use super::memory::Platform;
use super::samples::platform;

#[test]
fn pipelines_show_their_counters() {
    let server = Server::start(platform());
    let all = get(server.address, "/api/v1/pipelines").json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let one = get(server.address, "/api/v1/pipelines/flights").json();
    assert_eq!(one, all[0]);
    assert_eq!((&one["read"], &one["processed"], &one["dead"]), (&json!(33), &json!(30), &json!(3)));
    assert_eq!(one["watermark"], "2001-01-01T00:00:00Z");
    assert_eq!(one["results"][0]["late"], 1);
    let none = get(server.address, "/api/v1/pipelines/flihts");
    assert_eq!(none.status, 404);
    assert!(none.json()["hint"].as_str().unwrap().contains("flights"));
}

#[test]
fn dead_letters_are_listed_shown_replayed_and_dropped() {
    let server = Server::start(platform());
    *server.platform.letters.lock().unwrap() = vec![
        Platform::letter(3, Stage::Decode, "field value: \"x\" is not a double"),
        Platform::letter(5, Stage::Time, "the event time is missing"),
        Platform::letter(8, Stage::Decode, "not an object"),
        Platform::letter(9, Stage::Sql, "division"),
    ];
    let base = "/api/v1/pipelines/flights/dead-letters";
    let ids = |query: &str| -> (Vec<Value>, Value) {
        let answer = get(server.address, &format!("{base}{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let ids = body["dead_letters"].as_array().unwrap().iter().map(|letter| letter["id"].clone()).collect();
        (ids, body["next_after"].clone())
    };
    assert_eq!(ids(""), (vec![json!(3), json!(5), json!(8), json!(9)], Value::Null));
    assert_eq!(ids("?limit=2"), (vec![json!(3), json!(5)], json!(5)));
    assert_eq!(ids("?limit=2&after=5"), (vec![json!(8), json!(9)], Value::Null));
    assert_eq!(ids("?stage=decode&reason=field"), (vec![json!(3)], Value::Null));
    let one = get(server.address, &format!("{base}/3")).json();
    assert_eq!((&one["raw"], &one["raw_base64"], &one["stage"]), (&json!("{x}"), &json!("e3h9"), &json!("decode")));
    assert_eq!(get(server.address, &format!("{base}/4")).status, 404);
    assert_eq!(get(server.address, &format!("{base}?stag=decode")).status, 400);
    assert_eq!(get(server.address, &format!("{base}?limit=0")).status, 400);
    assert_eq!(get(server.address, "/api/v1/pipelines/none/dead-letters").status, 404);
    let post = |path: &str, body: &str| {
        send(
            server.address,
            "POST",
            &format!("{base}/{path}"),
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    };
    assert_eq!(post("replay", r#"{"stage":"time"}"#).json(), json!({ "replayed": 1, "failed": 0 }));
    assert_eq!(post("drop", r#"{"ids":[3,4]}"#).json(), json!({ "dropped": 1 }));
    assert_eq!(post("drop", r#"{"stages":"time"}"#).status, 400);
    // What a page of another origin can send unasked.
    for headers in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/x-www-form-urlencoded")]]
    {
        assert_eq!(send(server.address, "POST", &format!("{base}/drop"), headers, b"{}").status, 415);
    }
    for body in ["", "[]", "[[3]]", "null", "\"all\"", "1"] {
        for path in ["replay", "drop"] {
            assert_eq!(post(path, body).status, 400, "{path} {body}");
        }
    }
    assert_eq!(post("replay", r#"{"ids":[]}"#).json(), json!({ "replayed": 0, "failed": 0 }));
    assert_eq!(post("drop", r#"{"ids":[]}"#).json(), json!({ "dropped": 0 }));
    assert_eq!(post("drop", r#"{"ids":null}"#).json(), json!({ "dropped": 2 }));
    assert_eq!(post("drop", r#"{"ids":[7.0, 9007199254740991]}"#).json(), json!({ "dropped": 0 }));
    assert_eq!(post("drop", r#"{"ids":[7.5]}"#).status, 400);
    assert_eq!(post("drop", r#"{"ids":[9007199254740992]}"#).status, 400);
    assert_eq!(get(server.address, &format!("{base}?after=9007199254740992")).status, 400);
}

#[test]
fn a_backup_goes_to_an_absolute_path() {
    let server = Server::start(platform());
    let check = |body: &str, status: u16| {
        let headers = [("content-type", "application/json")];
        assert_eq!(send(server.address, "POST", "/api/v1/backup", &headers, body.as_bytes()).status, status, "{body}");
    };
    check(r#"{"to":"/free"}"#, 200);
    check(r#"{"to":"/taken"}"#, 409);
    check(r#"{"to":"relative"}"#, 400);
    check(r#"{"from":"/free"}"#, 400);
    check("", 400);
    assert_eq!(*server.platform.backups.lock().unwrap(), [std::path::PathBuf::from("/free")]);
}

#[test]
fn a_collection_of_the_platform_is_not_dropped() {
    let server = Server::start(platform());
    let check = |name: &str, body: &str, status: u16| {
        let (path, headers) = (format!("/api/v1/collections/{name}/drop"), [("content-type", "application/json")]);
        assert_eq!(send(server.address, "POST", &path, &headers, body.as_bytes()).status, status, "{name} {body}");
    };
    check("samples", "{}", 409);
    check("none", "{}", 404);
    check("samples", "", 400);
    check("samples", r#"{"all":true}"#, 400);
    check("samples", r#"{"pipeline":"flights"}"#, 409);
    check("samples", r#"{"pipeline":null}"#, 400);
    check("samples", "[]", 400);
}

#[test]
fn health_says_why_it_is_not_ready() {
    let server = Server::start(platform());
    assert_eq!(get(server.address, "/health").json(), json!({ "status": "healthy" }));
    assert_eq!(get(server.address, "/health/live").status, 200);
    assert_eq!(get(server.address, "/health/ready").status, 200);
    server.platform.unready.lock().unwrap().push("disk full".to_owned());
    let answer = get(server.address, "/health/ready");
    assert_eq!((answer.status, answer.json()["reasons"].clone()), (503, json!(["disk full"])));
}

#[test]
fn metrics_are_open_metrics_or_prometheus_text() {
    let server = Server::start(platform());
    get(server.address, "/data/samples");
    let text = get(server.address, "/metrics").text();
    for line in [
        "# TYPE manade_pipeline_read_total counter",
        "manade_pipeline_read_total{pipeline=\"flights\"} 33",
        "manade_result_late_total{pipeline=\"flights\",result=\"all_types\"} 1",
        "manade_result_rows{pipeline=\"flights\",result=\"all_types\"} 27",
        "manade_pipeline_backlog{pipeline=\"readings\"} 7",
        "manade_pipeline_watermark_seconds{pipeline=\"flights\"} 978307200.0",
        "manade_http_requests_total{method=\"GET\",route=\"/data/{collection}\",status=\"200\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("EOF"));
    let open =
        send(server.address, "GET", "/metrics", &[("accept", "application/openmetrics-text;version=1.0.0")], b"");
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(open.text().ends_with("# EOF\n"));
    assert!(open.text().contains("# TYPE manade_pipeline_read counter\n"));
}

#[test]
fn documents_are_served_from_the_binary() {
    let server = Server::start(platform());
    let index = get(server.address, "/").json();
    assert_eq!(index["collections"][0], "/data/samples");
    let browser = send(server.address, "GET", "/", &[("accept", "text/html")], b"");
    assert_eq!((browser.status, browser.header("location")), (307, Some("/docs/")));
    let page = get(server.address, "/docs/");
    assert!(page.text().contains("swagger-ui"));
    // Every file that the page names is served, and none is elsewhere.
    for part in page.text().split(['"', '\'']).filter(|part| part.contains(".js") || part.contains(".css")) {
        let file = get(server.address, &format!("/docs/{}", part.trim_start_matches("./")));
        assert_eq!(file.status, 200, "{part}");
    }
    assert!(get(server.address, "/docs/swagger-initializer.js").text().contains("/openapi.json"));
    assert_eq!(get(server.address, "/docs/none.js").status, 404);
}

#[test]
fn the_openapi_document_follows_the_columns() {
    let server = Server::start(platform());
    let document = get(server.address, "/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let row = &document["components"]["schemas"]["row.all_types"]["properties"];
    assert_eq!(row["bigint"]["type"], json!(["integer", "null"]));
    assert_eq!(row["binary"]["contentEncoding"], "base64");
    assert_eq!(row["timestamp"]["format"], "date-time");
    assert_eq!(row["window"]["properties"]["start"]["format"], "date-time");
    assert_eq!(row["map"]["additionalProperties"]["type"], json!(["integer", "null"]));
    assert_eq!(row["decimal"]["x-spark-type"], "decimal(38,3)");
    let paths = document["paths"].as_object().unwrap();
    for path in ["/data", "/data/samples", "/data/samples/changes", "/ingest/readings", "/api/v1/pipelines", "/metrics"]
    {
        assert!(paths.contains_key(path), "{path}");
    }
    assert_eq!(document["components"]["schemas"]["event.readings"]["properties"]["value"]["format"], "double");
    // Each reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
