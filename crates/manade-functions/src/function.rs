//! Scalar functions as data: name, argument kinds, result type, kernel and documentation in one value.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::types::{self, TIMESTAMP, widest};

/// Computes a column from columns of equal length, which have the types that [`Function::args`] asks for.
/// The second argument is the result's type.
pub(crate) type Kernel = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// A scalar function.
#[derive(Clone)]
pub(crate) struct Function {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub args: Args,
    pub returns: Returns,
    pub kernel: Kernel,
    pub signature: &'static str,
    pub line: &'static str,
    pub difference: Option<&'static str>,
    /// Of a pattern, format or path that can never work the kernel tells whatever the other arguments hold, so that
    /// constants can be tried when a query is checked.
    pub tried: bool,
}

/// What one argument may be; other types are cast to it, as Spark casts them implicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg {
    Text,
    /// Binary stays binary, all else becomes text.
    TextOrBytes,
    Bool,
    Int,
    Long,
    Double,
    /// Any number; text becomes double.
    Number,
    Date,
    Time,
    /// Taken as it is.
    Any,
}

#[derive(Clone, Copy)]
pub(crate) enum Args {
    /// These, of which the last `optional` may be missing.
    Fixed { args: &'static [Arg], optional: usize },
    /// `first`, then `least` or more of `rest`.
    Many { first: &'static [Arg], rest: Arg, least: usize },
    /// Decided from all of them.
    By(fn(&[DataType]) -> Result<Vec<DataType>>),
}

#[derive(Clone, Copy)]
pub(crate) enum Returns {
    Is(fn() -> DataType),
    /// The type of an argument.
    Like(usize),
    By(fn(&[DataType]) -> Result<DataType>),
    /// From types and constant arguments.
    Constants(fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>),
}

impl Function {
    pub(crate) const fn new(name: &'static str, args: &'static [Arg], returns: Returns, kernel: Kernel) -> Self {
        let args = Args::Fixed { args, optional: 0 };
        Self { name, aliases: &[], args, returns, kernel, signature: "", line: "", difference: None, tried: false }
    }

    pub(crate) const fn many(
        name: &'static str,
        first: &'static [Arg],
        rest: Arg,
        returns: Returns,
        kernel: Kernel,
    ) -> Self {
        let args = Args::Many { first, rest, least: 0 };
        Self { name, aliases: &[], args, returns, kernel, signature: "", line: "", difference: None, tried: false }
    }

    pub(crate) const fn by(
        name: &'static str,
        args: fn(&[DataType]) -> Result<Vec<DataType>>,
        returns: Returns,
        kernel: Kernel,
    ) -> Self {
        let args = Args::By(args);
        Self { name, aliases: &[], args, returns, kernel, signature: "", line: "", difference: None, tried: false }
    }

    /// The last `optional` arguments may be missing.
    pub(crate) const fn optional(mut self, optional: usize) -> Self {
        if let Args::Fixed { args, .. } = self.args {
            self.args = Args::Fixed { args, optional };
        }
        self
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn doc(mut self, signature: &'static str, line: &'static str) -> Self {
        self.signature = signature;
        self.line = line;
        self
    }

    /// How the function differs from Spark's.
    pub(crate) const fn differs(mut self, difference: &'static str) -> Self {
        self.difference = Some(difference);
        self
    }

    pub(crate) const fn tried(mut self) -> Self {
        self.tried = true;
        self
    }

    /// What is wrong with constant arguments, whatever the others hold.
    pub(crate) fn misuse(&self, given: &[DataType], constants: &[Option<&ScalarValue>]) -> Option<String> {
        let types = self.coerce(given).ok()?;
        let returns = match self.returned(&types, constants) {
            Ok(returns) => returns,
            Err(error) => return matches!(self.returns, Returns::Constants(_)).then(|| reason(&error)),
        };
        if !self.tried || constants.iter().all(Option::is_none) {
            return None;
        }
        let columns = types.iter().zip(constants).map(|(t, constant)| match constant {
            Some(value) => crate::cast::cast_column(&value.to_array()?, t),
            None => Ok(new_null_array(t, 1)),
        });
        let columns = columns.collect::<Result<Vec<_>>>().ok()?;
        (self.kernel)(&columns, &returns).err().map(|error| reason(&error))
    }

    fn returned(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
        match self.returns {
            Returns::Is(data_type) => Ok(data_type()),
            Returns::Like(index) => Ok(types[index].clone()),
            Returns::By(by) => by(types),
            Returns::Constants(by) => by(types, constants),
        }
    }

    pub(crate) fn udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(Udf::new(self))
    }

    fn coerce(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let wrong = |wanted: &str| plan_err!("{}() takes {wanted} arguments, not {}", self.name, given.len());
        match self.args {
            Args::By(coerce) => coerce(given),
            Args::Fixed { args, optional } => {
                if given.len() > args.len() || given.len() + optional < args.len() {
                    let least = args.len() - optional;
                    return wrong(&if optional == 0 {
                        least.to_string()
                    } else {
                        format!("{least} to {}", args.len())
                    });
                }
                args.iter().zip(given).map(|(arg, t)| arg.coerce(t, self.name)).collect()
            }
            Args::Many { first, rest, least } => {
                if given.len() < first.len() + least {
                    return wrong(&format!("at least {}", first.len() + least));
                }
                let kinds = first.iter().copied().chain(std::iter::repeat(rest));
                kinds.zip(given).map(|(arg, t)| arg.coerce(t, self.name)).collect()
            }
        }
    }
}

/// What an error says, without the kind of error.
pub(crate) fn reason(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::Execution(text) | DataFusionError::Plan(text) => text.clone(),
        other => other.strip_backtrace(),
    }
}

/// All arguments become their common type.
pub(crate) fn same(given: &[DataType]) -> Result<Vec<DataType>> {
    let common = common(given)?;
    Ok(vec![common; given.len()])
}

/// The type that all of `given` widen to.
pub(crate) fn common(given: &[DataType]) -> Result<DataType> {
    let mut all = DataType::Null;
    for t in given {
        match widest(&all, t) {
            Some(wider) => all = wider,
            None => return plan_err!("{all} and {t} have no common type"),
        }
    }
    Ok(all)
}

impl Arg {
    pub(crate) fn coerce(self, given: &DataType, function: &str) -> Result<DataType> {
        let nested = given.is_nested();
        let wrong = |wanted: &str| plan_err!("{function}() needs {wanted}, not {}", types::spark_name(given));
        Ok(match self {
            Self::Any => given.clone(),
            _ if types::is_interval(given) => return plan_err!("{function}() does not take an interval"),
            Self::Text if nested => return wrong("a string"),
            Self::TextOrBytes if nested => return wrong("a string or binary"),
            Self::TextOrBytes if types::is_binary(given) => DataType::BinaryView,
            Self::Text | Self::TextOrBytes => DataType::Utf8View,
            Self::Bool if nested => return wrong("a boolean"),
            Self::Bool => DataType::Boolean,
            Self::Int | Self::Long | Self::Double | Self::Number if nested => return wrong("a number"),
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Number if given.is_numeric() => given.clone(),
            Self::Number if *given == DataType::Null || types::is_text(given) => DataType::Float64,
            Self::Number => return wrong("a number"),
            Self::Date if nested => return wrong("a date"),
            Self::Date => DataType::Date32,
            Self::Time if nested => return wrong("a timestamp"),
            Self::Time if matches!(given, DataType::Timestamp(_, None)) => types::timestamp_ntz(),
            Self::Time => TIMESTAMP.clone(),
        })
    }
}

/// A [`Function`] as DataFusion sees it.
struct Udf {
    function: Function,
    aliases: Vec<String>,
    signature: Signature,
}

impl Udf {
    fn new(function: Function) -> Self {
        Self {
            aliases: function.aliases.iter().map(|&a| a.to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
            function,
        }
    }
}

impl fmt::Debug for Udf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Udf({})", self.function.name)
    }
}

impl PartialEq for Udf {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Udf {}

impl Hash for Udf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.returned(&self.function.coerce(given)?, &vec![None; given.len()])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given: Vec<_> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let data_type = self.function.returned(&self.function.coerce(&given)?, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(self.function.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        call(&args, |columns, returns| (self.function.kernel)(columns, returns))
    }
}

/// Runs `kernel` over the arguments as columns: once, over a single row, if all of them are constants.
pub(crate) fn call(
    args: &ScalarFunctionArgs,
    kernel: impl Fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { args.number_rows };
    let columns = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let result = kernel(&columns, args.return_field.data_type())?;
    if constant {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
    }
    debug_assert_eq!(result.len(), rows);
    Ok(ColumnarValue::Array(result))
}
