//! A function that follows a path into nested values, and makes text of what it finds where the query asks for it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder, UInt32Array, UInt32Builder};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::query::plan::{Access, Operand};
use crate::values;

/// The operand's value, given its column.
pub fn call(operand: &Operand, column: Expr) -> Expr {
    let function = Follow {
        path: operand.path.clone(),
        text: operand.text,
        data_type: operand.compared_type().clone(),
        signature: Signature::new(TypeSignature::Any(1), Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![column])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Follow {
    path: Vec<Access>,
    text: bool,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Follow {
    fn name(&self) -> &'static str {
        "follow"
    }

    /// Two paths into one column must not look like one expression.
    fn schema_name(&self, args: &[Expr]) -> Result<String, DataFusionError> {
        Ok(format!("follow({args:?}, {:?}, {})", self.path, self.text))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [column] = args.args.as_slice() else { return exec_err!("follow takes one argument") };
        let mut array = column.to_array(args.number_rows)?;
        for access in &self.path {
            array = follow(&array, access)?;
        }
        Ok(ColumnarValue::Array(if self.text { text(&array) } else { array }))
    }
}

fn follow(array: &ArrayRef, access: &Access) -> Result<ArrayRef, DataFusionError> {
    match access {
        Access::Field(at) => {
            let structs = array.as_struct_opt().ok_or_else(mismatch)?;
            let (_, columns, nulls) = structs.clone().into_parts();
            let column = columns.get(*at).ok_or_else(mismatch)?;
            match nulls {
                None => Ok(Arc::clone(column)),
                Some(nulls) => {
                    let rows: UInt32Array =
                        (0..structs.len()).map(|row| nulls.is_valid(row).then_some(row as u32)).collect();
                    Ok(take(column, &rows, None)?)
                }
            }
        }
        Access::Index(at) => {
            let lists = array.as_list_opt::<i32>().ok_or_else(mismatch)?;
            let mut rows = UInt32Builder::with_capacity(lists.len());
            for row in 0..lists.len() {
                let (start, len) = (i64::from(lists.value_offsets()[row]), i64::from(lists.value_length(row)));
                let at = if *at < 0 { len + at } else { *at };
                let found = !lists.is_null(row) && (0..len).contains(&at);
                rows.append_option(found.then_some((start + at) as u32));
            }
            Ok(take(lists.values(), &rows.finish(), None)?)
        }
        Access::Key(key) => {
            let maps = array.as_map_opt().ok_or_else(mismatch)?;
            let (mut rows, mut name) = (UInt32Builder::with_capacity(maps.len()), Vec::new());
            for row in 0..maps.len() {
                let (start, end) = (maps.value_offsets()[row], maps.value_offsets()[row + 1]);
                let found = (start..end).filter(|_| !maps.is_null(row)).find(|entry| {
                    name.clear();
                    values::write_text(maps.keys(), *entry as usize, &mut name);
                    name == key.as_bytes()
                });
                rows.append_option(found.map(|entry| entry as u32));
            }
            Ok(take(maps.values(), &rows.finish(), None)?)
        }
    }
}

fn text(array: &ArrayRef) -> ArrayRef {
    let mut out = StringViewBuilder::with_capacity(array.len());
    let mut value = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
        } else {
            value.clear();
            values::write_text(array, row, &mut value);
            out.append_value(String::from_utf8_lossy(&value));
        }
    }
    Arc::new(out.finish())
}

fn mismatch() -> DataFusionError {
    DataFusionError::Internal("a value is not of its column's type".to_owned())
}
