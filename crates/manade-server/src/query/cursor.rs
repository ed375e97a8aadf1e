//! Where a page ended: the order's values of its last row, and the row's key.
//!
//! Opaque to clients: base64url of a JSON array with a fingerprint of collection and order, the values as text, and the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use datafusion::scalar::ScalarValue;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::plan::Order;
use crate::problem::Problem;
use crate::values;

#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// One for each scalar of the order; null where the row's is.
    pub values: Vec<ScalarValue>,
    pub key: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    order: u64,
    values: Vec<Option<String>>,
    key: String,
}

/// `values`: the last row's, as text.
pub fn encode(collection: &str, order: &[Order], values: Vec<Option<String>>, key: &[u8]) -> String {
    let written = Written { order: fingerprint(collection, order), values, key: URL_SAFE_NO_PAD.encode(key) };
    let text = serde_json::to_vec(&written).expect("text and numbers are JSON");
    URL_SAFE_NO_PAD.encode(text)
}

pub fn decode(text: &str, collection: &str, order: &[Order]) -> Result<Cursor, Problem> {
    let invalid = || {
        Problem::syntax("the cursor does not belong to this query")
            .with_hint("follow the Link header of the page before as it is, or start again without a cursor")
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let written: Written = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    if written.order != fingerprint(collection, order) || written.values.len() != order.len() {
        return Err(invalid());
    }
    let mut values = Vec::with_capacity(order.len());
    for (value, order) in written.values.iter().zip(order) {
        let data_type = order.operand.compared_type();
        values.push(match value {
            Some(text) => values::parse(text, data_type).map_err(|_| invalid())?,
            None => ScalarValue::try_from(data_type).map_err(|_| invalid())?,
        });
    }
    Ok(Cursor { values, key: URL_SAFE_NO_PAD.decode(&written.key).map_err(|_| invalid())? })
}

/// Equal for equal orders of the same columns of a collection.
fn fingerprint(collection: &str, order: &[Order]) -> u64 {
    xxh3_64(format!("{collection:?} {order:?}").as_bytes())
}
