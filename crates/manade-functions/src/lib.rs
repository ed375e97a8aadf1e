//! Spark SQL functions for DataFusion, with Spark's semantics where `spark.sql.ansi.enabled` is false and the session's
//! time zone UTC.
//!
//! [`register`] adds them to a session, over DataFusion's and datafusion-spark's, and makes the analyzer type operators
//! ([`coerce`]) and casts ([`cast()`]) as Spark does. [`documented`] is the list that docs/sql.md is made from, and
//! [`is_function`] says what SQL may call: no more than that. [`misuse`] tries constant arguments when a query is checked.
//!
//! Scalar functions are data (`function`): the kinds of their arguments, to which the analyzer casts what is given, the
//! type of their result, a kernel from columns to a column, and their documentation. So a kernel sees one type only:
//! text is `Utf8View`, binary `BinaryView`, integers as asked. Kernels stand by subject: `strings`, `regexps`,
//! `charsets`, `printf`, `urls`, `numbers`, `conditional`, `dates`, `intervals`, `collections`, `maps`, `lambdas`, `json`,
//! `hashes`; `cast` holds CAST, `operators` what operators do to types. `aggregates` holds the aggregate functions, whose states are columns that merge in source
//! order.
//!
//! Expected values of the tests come from Apache Spark: tests/data/generate.py.

mod aggregates;
mod cast;
mod charsets;
mod collections;
mod columns;
mod conditional;
mod dates;
mod function;
mod hashes;
mod intervals;
mod json;
mod lambdas;
mod maps;
mod numbers;
mod operators;
mod planner;
mod printf;
mod regexps;
mod registry;
mod rules;
mod strings;
mod types;
mod urls;

pub use cast::{cast, castable};
pub use operators::{binary, coerce, normalized};
pub use registry::{
    FunctionDoc, FunctionKind, PLANNED, documented, is_function, misuse, misuse_of_aggregate, register,
};
pub use types::{is_widening, spark_name, widest};
