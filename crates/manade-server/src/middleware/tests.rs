use super::route;

#[test]
fn routes_are_few() {
    let check = |path: &str, expected: &str| assert_eq!(route(path), expected, "{path}");
    check("/", "/");
    check("/data/anything", "/data/{collection}");
    check("/data/anything/changes", "/data/{collection}/changes");
    check("/api/v1/pipelines/p/dead-letters/7", "/api/v1/pipelines/{pipeline}/dead-letters");
    check("/../../etc/passwd", "other");
    check("/data/a/b/c", "other");
}
