use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use bson::{Bson, DateTime, Decimal128, Document, doc};
use manade_model::{MongoDb, MongoDbSink, Name};
use manade_pipeline::collection::{CollectionInfo, CollectionKind, KEY_COLUMN, OutputColumn};
use manade_pipeline::outbox::{Portion, PortionKind};

use super::document::value;
use super::write::Writer;

#[test]
fn types() {
    let check = |array: ArrayRef, expect: Bson| {
        let found = Bson::try_from(value(array.as_ref(), 0).unwrap()).unwrap();
        assert_eq!(found, expect, "{:?}", array.data_type());
    };
    check(Arc::new(BooleanArray::from(vec![true])), Bson::Boolean(true));
    check(Arc::new(Int32Array::from(vec![-7])), Bson::Int32(-7));
    check(Arc::new(Int64Array::from(vec![i64::MAX])), Bson::Int64(i64::MAX));
    check(Arc::new(Int64Array::from(vec![None])), Bson::Null);
    check(Arc::new(Float64Array::from(vec![0.1])), Bson::Double(0.1));
    check(Arc::new(StringArray::from(vec!["é\0"])), Bson::String("é\0".to_owned()));
    let decimal = |precision, value| {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, 2).unwrap()) as ArrayRef
    };
    check(decimal(10, 150), Bson::Decimal128("1.50".parse::<Decimal128>().unwrap()));
    check(decimal(38, 10_i128.pow(36)), Bson::String(format!("1{}.00", "0".repeat(34))));
    check(Arc::new(Date32Array::from(vec![-1])), Bson::DateTime(DateTime::from_millis(-86_400_000)));
    check(Arc::new(TimestampMicrosecondArray::from(vec![-1])), Bson::DateTime(DateTime::from_millis(-1)));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
    check(Arc::new(list), Bson::Array(vec![Bson::Int32(1), Bson::Null]));
    // A timestamp's microseconds have a field of their own.
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500]));
    let time = Arc::new(Field::new("t", times.data_type().clone(), true));
    check(
        Arc::new(StructArray::from(vec![(time, times)])),
        Bson::Document(doc! { "t": DateTime::from_millis(1), "t_micros": 500 }),
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("a.b");
    map.values().append_value("x");
    map.append(true).unwrap();
    check(Arc::new(map.finish()), Bson::Document(doc! { "a.b": "x" }));
}

/// A writer of rows with the columns `a`, a bigint, and `b`, a timestamp.
fn writer(kind: CollectionKind, key: &[&str]) -> Writer {
    let column = |name: &str, data_type| OutputColumn { name: name.to_owned(), data_type };
    let timestamp = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
    let info = CollectionInfo {
        name: "r".to_owned(),
        pipeline: "p".to_owned(),
        description: None,
        columns: vec![column("a", DataType::Int64), column("b", timestamp)],
        kind,
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        index: Vec::new(),
    };
    let url = manade_model::url::Url::parse("mongodb://127.0.0.1", &["mongodb"]).unwrap();
    let target = MongoDbSink {
        connection: Name::new("store").unwrap(),
        store: MongoDb { url, password: None, tls: None },
        database: "d".to_owned(),
        collection: "c".to_owned(),
    };
    Writer::new(target, &Arc::new(info), 0x0102_0304_0506_0708)
}

fn statement(writer: &Writer, kind: PortionKind, key: &[u8]) -> Document {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(Int64Array::from(vec![1]))),
        ("b", Arc::new(TimestampMicrosecondArray::from(vec![2_003]))),
        (KEY_COLUMN, Arc::new(BinaryArray::from(vec![key]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let portion = Portion { kind, rows, revision: 7 };
    Document::try_from(writer.statement(&portion, 0).unwrap_or_else(|refused| panic!("{refused}"))).unwrap()
}

#[test]
fn a_group_is_the_document_of_its_key() {
    let b = DateTime::from_millis(2);
    let cases = [
        (&["a"][..], Bson::Int64(1)),
        (&["a", "b"], Bson::Document(doc! { "a": 1_i64, "b": b, "b_micros": 3 })),
        // Two groups within a millisecond are two documents.
        (&["b"], Bson::Document(doc! { "b": b, "b_micros": 3 })),
        (&[], Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: b"key".to_vec() })),
    ];
    for (key, id) in cases {
        let writer = writer(CollectionKind::Keyed, key);
        let guard = doc! { "_id": id.clone(), "_rev": { "$lte": 7_i64 } };
        let row = doc! { "_id": id, "a": 1_i64, "b": b, "b_micros": 3, "_rev": 7_i64 };
        let expect = doc! { "q": guard.clone(), "u": row, "upsert": true };
        assert_eq!(statement(&writer, PortionKind::Upsert, b"key"), expect);
        assert_eq!(statement(&writer, PortionKind::Delete, b"key"), doc! { "q": guard, "limit": 1 });
    }
    let one = statement(&writer(CollectionKind::Keyed, &[]), PortionKind::Upsert, b"");
    assert_eq!(one.get_document("u").unwrap().get("_id"), Some(&Bson::Int32(0)));
}

#[test]
fn an_added_row_is_known_by_its_number() {
    let writer = writer(CollectionKind::Append, &[]);
    let row = statement(&writer, PortionKind::Append, &258_u64.to_be_bytes());
    assert_eq!(row.get_object_id("_id").unwrap().to_hex(), "010203040500000000000102");
    assert!(!row.contains_key("_rev"));
}
