//! Names of columns without an alias: `names.tsv` has what Spark 4.3 answered (`spark.sql(...).columns`).

use crate::harness::{compile_spec, shown, spec};

#[test]
fn columns_are_named_as_spark_names_them() {
    let mut wrong = Vec::new();
    for line in include_str!("names.tsv").lines() {
        let (expression, name) = line.split_once('\t').unwrap();
        let sql = match expression {
            "window(date, '1 hour').start" => {
                "SELECT window.start FROM events GROUP BY window(date, '1 hour')".to_owned()
            }
            grouped if grouped.starts_with("window") => format!("SELECT {grouped} FROM events GROUP BY 1"),
            plain => format!("SELECT {plain} FROM events e"),
        };
        let mut spec = spec(&sql);
        spec.limit = Some(10);
        match compile_spec(&spec) {
            Ok(query) if query.columns[0].name == name => {}
            Ok(query) => wrong.push(format!("{expression}: `{}` instead of `{name}`", query.columns[0].name)),
            Err(findings) => wrong.push(format!("{expression}: {}", shown(&findings))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
