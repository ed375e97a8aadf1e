//! Generators: LATERAL VIEW, `explode` in SELECT, UNNEST in FROM.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, NullHandling, Result, UnnestOptions};
use datafusion::logical_expr::sqlparser::ast::{
    Expr as Sql, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LateralView, ObjectName, SelectItem, Spanned,
    TableAlias, TableFactor,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::scalar::ScalarValue;

use super::expr::{Context, start};
use super::function::{GENERATORS, structure};
use super::query::Relation;
use super::scope::{ScopeColumn, Typed};
use super::{Bind, Binder};
use crate::types::a;

impl Binder<'_> {
    /// `LATERAL VIEW [OUTER] explode(x) t AS c`.
    pub fn lateral_view(&mut self, relation: Relation, view: &LateralView) -> Bind<Relation> {
        let at = start(&view.lateral_view);
        let Some((name, args)) = generator(&view.lateral_view) else {
            return Err(self.refuse(
                at,
                format!("`{}` does not make rows", view.lateral_view),
                "LATERAL VIEW takes explode, posexplode, inline, stack or json_tuple",
            ));
        };
        let aliases: Vec<&Ident> = view.lateral_col_alias.iter().collect();
        let (mut relation, width) = self.generate(relation, &name, view.outer, &args, aliases.len(), at)?;
        // `LATERAL VIEW explode(x) AS c`: sqlparser takes AS for the table's name.
        let table = view.lateral_view_name.to_string().replace('`', "").to_lowercase();
        let qualifier = (table != "as").then_some(table);
        self.name_generated(&mut relation, width, qualifier.as_deref(), &aliases, at)?;
        Ok(relation)
    }

    /// `SELECT explode(x) AS c`: rows are made first, and the column is read.
    pub fn select_generators(
        &mut self,
        mut relation: Relation,
        projection: &[SelectItem],
    ) -> Bind<(Relation, Vec<SelectItem>)> {
        let mut items = Vec::new();
        let mut seen = false;
        for item in projection {
            let (expr, aliases) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, Vec::new()),
                SelectItem::ExprWithAlias { expr, alias } => (expr, vec![alias]),
                SelectItem::ExprWithAliases { expr, aliases } => (expr, aliases.iter().collect()),
                _ => {
                    items.push(item.clone());
                    continue;
                }
            };
            let Some((name, args)) = generator(expr) else {
                items.push(item.clone());
                continue;
            };
            let at = start(expr);
            if seen {
                return Err(self.refuse(at, "two generators in one SELECT", "write one LATERAL VIEW for each"));
            }
            seen = true;
            let (made, width) = self.generate(relation, &name, false, &args, aliases.len(), at)?;
            relation = made;
            let first = relation.scope.columns.len() - width;
            if !aliases.is_empty() && aliases.len() != width {
                return Err(self.refuse_plain(at, format!("`{name}` makes {width} columns, not {}", aliases.len())));
            }
            for (i, column) in relation.scope.columns[first..].iter_mut().enumerate() {
                let shown = aliases.get(i).map_or_else(|| column.shown.clone(), |alias| alias.value.clone());
                column.name.clone_from(&column.internal);
                let expr = Sql::Identifier(Ident::new(column.internal.clone()));
                items.push(SelectItem::ExprWithAlias { expr, alias: Ident::new(shown) });
            }
        }
        Ok((relation, items))
    }

    /// `UNNEST(e.tags) AS t(tag)`, `LATERAL explode(e.tags) AS t(tag)`.
    pub fn lateral_factor(&mut self, relation: Relation, factor: &TableFactor) -> Bind<Relation> {
        let at = factor.span().start;
        let (name, args, alias): (String, Vec<Sql>, &Option<TableAlias>) = match factor {
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality: false, .. } => {
                ("explode".to_owned(), array_exprs.clone(), alias)
            }
            TableFactor::Function { name, args, alias, .. } => (called(name), plain_args(args), alias),
            TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => {
                (called(name), plain_args(&args.args), alias)
            }
            _ => return Err(self.refuse(at, "WITH ORDINALITY is not Spark SQL", "write LATERAL VIEW posexplode(...)")),
        };
        if !GENERATORS.contains(&name.as_str()) {
            return Err(self.refuse(
                at,
                format!("`{name}` does not make rows of an event"),
                "write explode, posexplode, inline, stack or json_tuple; explode(sequence(1, 10)) makes rows of numbers",
            ));
        }
        let (qualifier, aliases): (Option<String>, Vec<&Ident>) = match alias {
            Some(alias) => {
                (Some(alias.name.value.to_lowercase()), alias.columns.iter().map(|column| &column.name).collect())
            }
            None => (None, Vec::new()),
        };
        let (mut relation, width) = self.generate(relation, &name, false, &args, aliases.len(), at)?;
        self.name_generated(&mut relation, width, qualifier.as_deref(), &aliases, at)?;
        Ok(relation)
    }

    fn name_generated(
        &mut self,
        relation: &mut Relation,
        width: usize,
        qualifier: Option<&str>,
        aliases: &[&Ident],
        at: Location,
    ) -> Bind<()> {
        if !aliases.is_empty() && aliases.len() != width {
            return Err(self.refuse_plain(at, format!("{} names for {width} columns", aliases.len())));
        }
        let first = relation.scope.columns.len() - width;
        for (i, column) in relation.scope.columns[first..].iter_mut().enumerate() {
            column.qualifier = qualifier.map(str::to_owned);
            if let Some(alias) = aliases.get(i) {
                column.name = alias.value.to_lowercase();
                column.shown.clone_from(&alias.value);
            }
        }
        Ok(())
    }

    /// One row an element; the new columns stand last. Returns how many there are. Where something is wrong with it,
    /// these are as many as are named.
    fn generate(
        &mut self,
        relation: Relation,
        name: &str,
        outer: bool,
        args: &[Sql],
        named: usize,
        at: Location,
    ) -> Bind<(Relation, usize)> {
        let mut before = relation.clone();
        let made = self.generated_rows(relation, name, outer, args, at);
        if made.is_ok() || self.problems.is_empty() {
            return made;
        }
        if named == 0 {
            before.scope.unread.push(None);
        }
        before.scope.columns.extend((0..named).map(|at_column| ScopeColumn {
            qualifier: None,
            name: format!("col{at_column}"),
            shown: format!("col{at_column}"),
            internal: self.fresh("col"),
            data_type: DataType::Null,
            path: None,
            window: None,
            at,
            merged: false,
        }));
        Ok((before, named))
    }

    fn generated_rows(
        &mut self,
        relation: Relation,
        name: &str,
        outer: bool,
        args: &[Sql],
        at: Location,
    ) -> Bind<(Relation, usize)> {
        let cx = Context::new(&relation.scope, "a generator");
        let (kind, outer) = match name.strip_suffix("_outer") {
            Some(kind) => (kind, true),
            None => (name, outer),
        };
        let (kind, typed) = match args {
            _ if kind == "stack" => ("inline", self.stacked(&cx, args, at)?),
            [json, keys @ ..] if kind == "json_tuple" => ("inline", self.json_tuple(&cx, json, keys, at)?),
            [arg] => (kind, self.expr(&cx, arg)?),
            _ => return Err(self.refuse_plain(at, format!("`{name}` takes one array or map"))),
        };
        let place = args.first().map_or(at, start);
        let (list, item, is_map) = self.elements(name, kind, typed, place)?;
        let element = self.fresh("element");
        let position = self.fresh("pos");
        let mut unnested = vec![Column::new_unqualified(&element)];
        let mut items: Vec<(Expr, String)> = relation.scope.columns.iter().map(passed).collect();
        if kind == "posexplode" {
            let positions = ScalarUDF::new_from_impl(Positions { signature: Signature::any(1, Volatility::Immutable) });
            items.push((positions.call(vec![list.clone()]), position.clone()));
            unnested.push(Column::new_unqualified(&position));
        }
        items.push((list, element.clone()));
        let plan = self.project(relation.plan, items, &relation.hidden, at)?;
        let handling = if outer { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop };
        let options = UnnestOptions { null_handling: handling, recursions: Vec::new() };
        let plan = self
            .planned(plan, at, |plan| LogicalPlanBuilder::from(plan).unnest_columns_with_options(unnested, options))?;

        let made = self.generated(kind, &element, &position, &item, is_map, at)?;
        let width = made.len();
        let mut columns = relation.scope.columns;
        let mut items: Vec<(Expr, String)> = columns.iter().map(passed).collect();
        for (shown, typed) in made {
            let internal = self.fresh(&shown);
            items.push((typed.expr, internal.clone()));
            columns.push(ScopeColumn {
                qualifier: None,
                name: shown.to_lowercase(),
                shown,
                internal,
                data_type: typed.data_type,
                path: None,
                window: None,
                at,
                merged: false,
            });
        }
        let plan = self.project(plan, items, &relation.hidden, at)?;
        let scope = super::scope::Scope { columns, unread: relation.scope.unread };
        Ok((Relation { plan, scope, kind: relation.kind, hidden: relation.hidden, order: None }, width))
    }

    /// What a generator makes rows of: a list, the type of its elements, whether they are entries of a map.
    fn elements(&mut self, name: &str, kind: &str, typed: Typed, at: Location) -> Bind<(Expr, DataType, bool)> {
        match &typed.data_type {
            DataType::List(item) => Ok((typed.expr, item.data_type().clone(), false)),
            DataType::Map(entries, _) if kind != "inline" => {
                let list = datafusion::functions_nested::expr_fn::map_entries(typed.expr);
                Ok((list, entries.data_type().clone(), true))
            }
            DataType::Null => Err(super::Refused),
            other => {
                let message = format!("`{name}` takes an array or a map, not {}", a(other));
                Err(self.refuse_plain(at, message))
            }
        }
    }

    /// `json_tuple(json, 'a', 'b')` as an array of one struct.
    fn json_tuple(&mut self, cx: &Context<'_>, json: &Sql, keys: &[Sql], at: Location) -> Bind<Typed> {
        let json = self.expr(cx, json)?;
        let mut fields = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let Expr::Literal(key, _) = self.expr(cx, key)?.expr else {
                return Err(self.refuse_plain(start(key), "the keys of `json_tuple` are literals"));
            };
            let path = super::literal::string(format!("$['{key}']"));
            fields.push((format!("c{i}"), self.call("get_json_object", vec![json.clone(), path], at)?));
        }
        if fields.is_empty() {
            return Err(self.refuse_plain(at, "`json_tuple` takes a JSON text and keys"));
        }
        self.scalar("array", vec![structure(fields.into_iter())], at)
    }

    /// `stack(n, a, b, ...)` as an array of n structs.
    fn stacked(&mut self, cx: &Context<'_>, args: &[Sql], at: Location) -> Bind<Typed> {
        let rows = match args.first().map(|rows| self.expr(cx, rows)).transpose()?.map(|rows| rows.expr) {
            Some(Expr::Literal(ScalarValue::Int32(Some(rows)), _)) if rows > 0 && args.len() > 1 => rows as usize,
            _ => return Err(self.refuse_plain(at, "`stack` takes a number of rows, written out, and values for them")),
        };
        let values = args[1..].iter().map(|value| self.expr(cx, value)).collect::<Bind<Vec<_>>>()?;
        let width = values.len().div_ceil(rows);
        let mut structs: Vec<Vec<(String, Typed)>> = vec![Vec::new(); values.len().div_ceil(width).max(rows)];
        for column in 0..width {
            let common = self.common(values.iter().skip(column).step_by(width), at)?;
            for (row, fields) in structs.iter_mut().enumerate() {
                let value = values.get(row * width + column).cloned();
                let value = value.unwrap_or_else(|| Typed::new(lit(ScalarValue::Null), DataType::Null));
                fields.push((format!("col{column}"), self.cast(value, &common, at)?));
            }
        }
        let structs = structs.into_iter().map(|fields| structure(fields.into_iter())).collect();
        self.scalar("array", structs, at)
    }

    /// The columns that a generator makes of each element, under Spark's names.
    fn generated(
        &mut self,
        kind: &str,
        element: &str,
        position: &str,
        item: &DataType,
        is_map: bool,
        at: Location,
    ) -> Bind<Vec<(String, Typed)>> {
        let column = |name: &str| Expr::Column(Column::new_unqualified(name));
        let mut made = Vec::new();
        if kind == "posexplode" {
            made.push(("pos".to_owned(), Typed::new(column(position), DataType::Int32)));
        }
        match item {
            DataType::Struct(fields) if kind == "inline" || is_map => {
                for field in fields {
                    let expr = datafusion::functions::core::expr_fn::get_field(column(element), field.name().as_str());
                    made.push((field.name().clone(), Typed::new(expr, field.data_type().clone())));
                }
            }
            _ if kind == "inline" => return Err(self.refuse_plain(at, "`inline` takes an array of structs")),
            other => made.push(("col".to_owned(), Typed::new(column(element), other.clone()))),
        }
        Ok(made)
    }
}

/// The call's name and arguments, where it is a generator.
fn generator(sql: &Sql) -> Option<(String, Vec<Sql>)> {
    let Sql::Function(function) = sql else { return None };
    let name = function.name.to_string().to_lowercase();
    GENERATORS.contains(&name.as_str()).then_some(())?;
    let FunctionArguments::List(list) = &function.args else { return None };
    Some((name, plain_args(&list.args)))
}

/// The generator that a call in FROM means.
fn called(name: &ObjectName) -> String {
    match name.to_string().to_lowercase().as_str() {
        "unnest" => "explode".to_owned(),
        other => other.to_owned(),
    }
}

fn plain_args(args: &[FunctionArg]) -> Vec<Sql> {
    let plain = args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect()
}

fn passed(column: &ScopeColumn) -> (Expr, String) {
    (Expr::Column(Column::new_unqualified(&column.internal)), column.internal.clone())
}

/// 0, 1, ... for the elements of each list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Positions {
    signature: Signature,
}

impl ScalarUDFImpl for Positions {
    fn name(&self) -> &'static str {
        "positions"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let lengths: Vec<usize> = match array.data_type() {
            DataType::LargeList(_) => array.as_list::<i64>().offsets().lengths().collect(),
            _ => array.as_list::<i32>().offsets().lengths().collect(),
        };
        let lengths = lengths.into_iter().enumerate().map(|(row, length)| if array.is_valid(row) { length } else { 0 });
        let lengths: Vec<usize> = lengths.collect();
        let values: Int32Array = lengths.iter().flat_map(|length| 0..*length as i32).collect();
        let field = Arc::new(Field::new_list_field(DataType::Int32, true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list: ArrayRef = Arc::new(ListArray::new(field, offsets, Arc::new(values), array.nulls().cloned()));
        Ok(ColumnarValue::Array(list))
    }
}
