//! What is registered, and the documentation of it.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::execution::SessionStateBuilder;
use datafusion::functions;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion_spark::SessionStateBuilderSpark;
use datafusion_spark::function as spark;

use crate::aggregates::{self, RENAMED};
use crate::function::{Function, reason};
use crate::lambdas::LAMBDAS;
use crate::planner::{Planner, Types};
use crate::{
    charsets, collections, conditional, dates, hashes, intervals, json, maps, numbers, operators, printf, regexps,
    rules, strings, urls,
};

/// A function as docs/sql.md shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDoc {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: FunctionKind,
    pub signature: &'static str,
    pub line: &'static str,
    /// What Spark does otherwise.
    pub difference: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionKind {
    Scalar,
    Aggregate,
    /// Makes rows of a value; planned by the SQL crate.
    Generator,
    /// Groups by time; planned by the SQL crate.
    Window,
}

/// Adds DataFusion's functions, datafusion-spark's over them and ours over those, Spark's planning of brackets and
/// keywords, and the analyzer rules for operators and casts; takes away a physical rule that breaks lambdas. Call it before
/// adding rules of your own.
pub fn register(state: SessionStateBuilder) -> SessionStateBuilder {
    let mut state = state.with_default_features().with_spark_features().with_type_planner(Arc::new(Types));
    let analyzer = state.analyzer().take().unwrap_or_default();
    *state.analyzer() = Some(rules::around(analyzer));
    state.expr_planners().get_or_insert_default().insert(0, Arc::new(Planner));
    // It moves columns without moving the variables of lambdas, which are numbered behind them (DataFusion 55.2).
    let mut physical = state.physical_optimizers().take().unwrap_or_default();
    physical.rules.retain(|rule| rule.name() != "ProjectionPushdown");
    *state.physical_optimizers() = Some(physical);
    let scalars = state.scalar_functions().get_or_insert_default();
    scalars.extend(own().map(|f| Arc::new(f.clone().udf())));
    scalars.extend(BORROWED.iter().map(Borrowed::udf));
    state.higher_order_functions().get_or_insert_default().extend(LAMBDAS.iter().map(|l| Arc::new(l.udf())));
    let aggregates = state.aggregate_functions().get_or_insert_default();
    aggregates.extend(RENAMED.iter().map(|r| {
        let function: AggregateUDF = (r.function)().as_ref().clone();
        Arc::new(function.with_aliases(r.aliases.iter().copied()))
    }));
    aggregates.extend(aggregates::all().map(|a| Arc::new(a.udaf())));
    state
}

/// Every function, by name.
pub fn documented() -> &'static [FunctionDoc] {
    static DOCUMENTED: LazyLock<Vec<FunctionDoc>> = LazyLock::new(|| {
        let scalars = own().filter(|f| !f.line.is_empty()).map(|f| FunctionDoc {
            name: f.name,
            aliases: f.aliases,
            kind: FunctionKind::Scalar,
            signature: f.signature,
            line: f.line,
            difference: f.difference,
        });
        let borrowed = BORROWED.iter().map(|b| FunctionDoc {
            name: b.name,
            aliases: b.aliases,
            kind: FunctionKind::Scalar,
            signature: b.signature,
            line: b.line,
            difference: None,
        });
        let renamed = RENAMED.iter().map(|r| FunctionDoc {
            name: r.name,
            aliases: r.aliases,
            kind: FunctionKind::Aggregate,
            signature: r.signature,
            line: r.line,
            difference: r.difference,
        });
        let aggregates = aggregates::all().map(|a| FunctionDoc {
            name: a.name,
            aliases: a.aliases,
            kind: FunctionKind::Aggregate,
            signature: a.signature,
            line: a.line,
            difference: a.difference,
        });
        let lambdas = LAMBDAS.iter().map(|l| FunctionDoc {
            name: l.name,
            aliases: l.aliases,
            kind: FunctionKind::Scalar,
            signature: l.signature,
            line: l.line,
            difference: None,
        });
        let mut all: Vec<_> = scalars
            .chain(borrowed)
            .chain(lambdas)
            .chain(renamed)
            .chain(aggregates)
            .chain(PLANNED.iter().cloned())
            .collect();
        all.sort_by_key(|doc| (doc.kind, doc.name));
        all
    });
    &DOCUMENTED
}

/// Whether SQL may call a function of this name; others that a session knows are its own.
pub fn is_function(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&str>> =
        LazyLock::new(|| documented().iter().flat_map(|doc| doc.aliases.iter().chain([&doc.name])).copied().collect());
    NAMES.contains(name)
}

/// What is wrong with constant arguments of a scalar function, such as a pattern: it fails whatever the others hold.
pub fn misuse(name: &str, given: &[DataType], constants: &[Option<&ScalarValue>]) -> Option<String> {
    let function = own().find(|f| f.name == name || f.aliases.contains(&name))?;
    function.misuse(given, constants)
}

/// As [`misuse`], of an aggregate function.
pub fn misuse_of_aggregate(
    function: &AggregateUDF,
    given: &[FieldRef],
    constants: &[Option<&ScalarValue>],
) -> Option<String> {
    let schema = Schema::new(given.iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>());
    let exprs = constants.iter().zip(given).enumerate().map(|(i, (constant, field))| -> Arc<dyn PhysicalExpr> {
        match constant.and_then(|value| value.cast_to(field.data_type()).ok()) {
            Some(value) => Arc::new(Literal::new(value)),
            None => Arc::new(Column::new(field.name(), i)),
        }
    });
    let exprs: Vec<_> = exprs.collect();
    let return_field = function.return_field(given).ok()?;
    let args = AccumulatorArgs {
        return_field,
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: function.name(),
        is_distinct: false,
        exprs: &exprs,
        expr_fields: given,
    };
    function.accumulator(args).err().map(|error| reason(&error))
}

fn own() -> impl Iterator<Item = &'static Function> {
    let tables = [
        numbers::FUNCTIONS,
        strings::FUNCTIONS,
        regexps::FUNCTIONS,
        conditional::FUNCTIONS,
        dates::FUNCTIONS,
        json::FUNCTIONS,
        collections::FUNCTIONS,
        maps::FUNCTIONS,
        hashes::FUNCTIONS,
        charsets::FUNCTIONS,
        intervals::FUNCTIONS,
        printf::FUNCTIONS,
        urls::FUNCTIONS,
    ];
    tables.into_iter().flatten().chain(operators::FUNCTIONS.iter().copied())
}

/// A function of DataFusion's or datafusion-spark's that does what Spark's does.
struct Borrowed {
    function: fn() -> Arc<ScalarUDF>,
    name: &'static str,
    aliases: &'static [&'static str],
    signature: &'static str,
    line: &'static str,
}

impl Borrowed {
    fn udf(&self) -> Arc<ScalarUDF> {
        let function = (self.function)();
        if self.aliases.is_empty() {
            return function;
        }
        Arc::new(function.as_ref().clone().with_aliases(self.aliases.iter().copied()))
    }
}

macro_rules! borrowed {
    ($function:path, $name:literal, [$($alias:literal),*], $signature:literal, $line:literal) => {
        Borrowed {
            function: $function,
            name: $name,
            aliases: &[$($alias),*],
            signature: $signature,
            line: $line,
        }
    };
}

static BORROWED: &[Borrowed] = &[
    borrowed!(functions::crypto::md5, "md5", [], "md5(x)", "MD5 of a text or binary, in hexadecimal."),
    borrowed!(spark::hash::sha1, "sha1", ["sha"], "sha1(x)", "SHA-1 of a text or binary, in hexadecimal."),
    borrowed!(
        spark::hash::sha2,
        "sha2",
        [],
        "sha2(x, bits)",
        "SHA-2 of 224, 256 (or 0), 384 or 512 bits, in hexadecimal."
    ),
    borrowed!(spark::hash::crc32, "crc32", [], "crc32(x)", "CRC-32 of a text or binary."),
    borrowed!(spark::string::soundex, "soundex", [], "soundex(text)", "Soundex code of a text."),
    borrowed!(spark::string::elt, "elt", [], "elt(n, a, b, ...)", "The n-th of the other arguments."),
    borrowed!(spark::string::luhn_check, "luhn_check", [], "luhn_check(digits)", "Whether the check digit is right."),
    borrowed!(spark::string::quote, "quote", [], "quote(text)", "text in single quotes."),
    borrowed!(spark::string::is_valid_utf8, "is_valid_utf8", [], "is_valid_utf8(x)", "Whether bytes are UTF-8."),
    borrowed!(spark::url::url_encode, "url_encode", [], "url_encode(text)", "Text as a form in a URL carries it."),
    borrowed!(spark::url::url_decode, "url_decode", [], "url_decode(text)", "Text from a URL's form."),
    borrowed!(
        spark::url::try_url_decode,
        "try_url_decode",
        [],
        "try_url_decode(text)",
        "As url_decode; null if it is none."
    ),
    borrowed!(
        functions::core::named_struct,
        "named_struct",
        [],
        "named_struct(name, a, ...)",
        "A struct of named fields."
    ),
];

macro_rules! planned {
    ($kind:ident, $name:literal, [$($alias:literal),*], $signature:literal, $line:literal) => {
        FunctionDoc {
            name: $name,
            aliases: &[$($alias),*],
            kind: FunctionKind::$kind,
            signature: $signature,
            line: $line,
            difference: None,
        }
    };
}

/// What the SQL crate plans itself: aggregates that keep their values, generators, windows.
pub static PLANNED: &[FunctionDoc] = &[
    planned!(
        Aggregate,
        "collect_list",
        ["array_agg"],
        "collect_list(x)",
        "All values in the order of the source, without nulls."
    ),
    planned!(Aggregate, "collect_set", [], "collect_set(x)", "Distinct values in the order of their first appearance."),
    planned!(
        Aggregate,
        "listagg",
        ["string_agg"],
        "listagg(x[, delimiter])",
        "Texts joined in the order of the source."
    ),
    planned!(Aggregate, "median", [], "median(x)", "The exact median."),
    planned!(Aggregate, "mode", [], "mode(x)", "The commonest value, the smallest of several."),
    planned!(
        Aggregate,
        "percentile",
        ["percentile_cont"],
        "percentile(x, fraction or array of them), percentile_cont(fraction) WITHIN GROUP (ORDER BY x [DESC])",
        "Exact percentile, between two values where it falls between them."
    ),
    planned!(
        Aggregate,
        "percentile_disc",
        [],
        "percentile_disc(fraction) WITHIN GROUP (ORDER BY x)",
        "Exact percentile that is one of the values."
    ),
    planned!(
        Aggregate,
        "grouping",
        [],
        "grouping(column)",
        "1 in the rows from which ROLLUP, CUBE or GROUPING SETS left out a column, else 0."
    ),
    planned!(
        Aggregate,
        "grouping_id",
        [],
        "grouping_id([column, ...])",
        "grouping of each column, or of all that are grouped by, as the bits of a number."
    ),
    planned!(Generator, "explode", ["explode_outer"], "explode(array or map)", "One row an element or entry."),
    planned!(
        Generator,
        "posexplode",
        ["posexplode_outer"],
        "posexplode(array or map)",
        "As explode, with the position from 0."
    ),
    planned!(
        Generator,
        "inline",
        ["inline_outer"],
        "inline(array of structs)",
        "One row a struct, its fields as columns."
    ),
    planned!(Generator, "json_tuple", [], "json_tuple(json, key, ...)", "Values of an object, as columns c0, c1, ..."),
    planned!(Generator, "stack", [], "stack(n, a, b, ...)", "The values as n rows."),
    planned!(
        Window,
        "window",
        [],
        "window(time, width[, slide[, start]])",
        "Windows of a width, one every slide, in GROUP BY; its columns are start and end."
    ),
    planned!(
        Window,
        "session_window",
        [],
        "session_window(time, gap)",
        "Windows that end when nothing has come for a gap."
    ),
    planned!(
        Window,
        "window_time",
        [],
        "window_time(window)",
        "The last microsecond of a window, to group it again by."
    ),
];
