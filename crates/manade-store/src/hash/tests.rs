use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder, StringViewBuilder};
use arrow_array::{
    BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    StringArray, StringViewArray, StructArray, types::Int32Type,
};
use arrow_schema::{Field, Fields};

use super::*;

fn hashes(array: impl Array + 'static) -> Vec<u64> {
    let rows = array.len();
    hash_columns(&[Arc::new(array)], rows)
}

const TEXTS: [Option<&str>; 5] = [Some("a"), None, Some(""), Some("a text that is too long for a view"), Some("a")];

#[test]
fn a_value_hashes_alike_in_every_array() {
    let texts = hashes(StringArray::from(TEXTS.to_vec()));
    assert_eq!(texts, hashes(StringViewArray::from(TEXTS.to_vec())));
    assert_eq!(texts, hashes(TEXTS.into_iter().collect::<DictionaryArray<Int32Type>>()));
    let bytes: Vec<Option<&[u8]>> = TEXTS.iter().map(|text| text.map(str::as_bytes)).collect();
    assert_eq!(hashes(BinaryArray::from(bytes.clone())), hashes(BinaryViewArray::from(bytes)));
    assert_eq!(texts[2..], hashes(StringArray::from(TEXTS.to_vec()).slice(2, 3)), "a slice");
    assert_eq!(texts[0], texts[4]);
    let mut distinct = texts[..4].to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "null differs from empty");
}

#[test]
fn floats_are_equal_as_sql_says() {
    let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
    let floats = hashes(Float64Array::from(vec![0.0, -0.0, f64::NAN, other_nan, -f64::NAN, 1.0]));
    assert_eq!(floats[0], floats[1]);
    assert!(floats[2] == floats[3] && floats[3] == floats[4]);
    assert!(floats[0] != floats[2] && floats[0] != floats[5]);
}

#[test]
fn nested_values_hash_alike_in_every_array() {
    let lists = |views: bool| {
        let rows: [Option<&[&str]>; 5] = [Some(&["a", "b"]), None, Some(&[]), Some(&["ab"]), Some(&["a", "b"])];
        let mut plain = ListBuilder::new(StringBuilder::new());
        let mut view = ListBuilder::new(StringViewBuilder::new());
        for row in rows {
            plain.append_option(row.map(|items| items.iter().map(|item| Some(*item))));
            view.append_option(row.map(|items| items.iter().map(|item| Some(*item))));
        }
        if views { view.finish() } else { plain.finish() }
    };
    let all = hashes(lists(false));
    assert_eq!(all, hashes(lists(true)));
    assert_eq!(all[1..], hashes(lists(true).slice(1, 4)));
    assert_eq!(all[0], all[4]);
    assert!(all[0] != all[3] && all[1] != all[2]);

    let fields = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Boolean, true)]);
    let numbers = Arc::new(Int32Array::from(vec![Some(1), None, Some(1)]));
    let flags = Arc::new(BooleanArray::from(vec![true, true, false]));
    let structs = StructArray::new(fields, vec![numbers, flags], None);
    let all = hashes(structs.clone());
    assert_eq!(all[1..], hashes(structs.slice(1, 2)));
    assert!(all[0] != all[1] && all[0] != all[2]);

    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for value in ["x", "y", "x"] {
        map.keys().append_value("key");
        map.values().append_value(value);
        map.append(true).unwrap();
    }
    let all = hashes(map.finish());
    assert!(all[0] == all[2] && all[0] != all[1]);
}

#[test]
fn columns_have_an_order() {
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let two: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let both = hash_columns(&[Arc::clone(&one), Arc::clone(&two)], 1);
    assert_ne!(both, hash_columns(&[two, one], 1));
    assert_eq!(hash_columns(&[], 2).len(), 2);
}

#[test]
fn hashes_spread_over_all_bits() {
    let numbers = hashes(Int64Array::from_iter_values(0..10_000));
    let decimals = hashes(Decimal128Array::from_iter_values(0..10_000));
    for hashes in [numbers, decimals] {
        for bit in 0..64 {
            let ones = hashes.iter().filter(|hash| *hash >> bit & 1 == 1).count();
            assert!((4_500..5_500).contains(&ones), "bit {bit} is set in {ones} of 10,000");
        }
    }
}
