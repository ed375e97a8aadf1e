//! Expressions: syntax to typed DataFusion expressions, with Spark's meaning (ANSI off).

use arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{Case, InList, Like};
use datafusion::logical_expr::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DateTimeField, Expr as Sql, Ident, Spanned,
    Subscript, TrimWhereField, UnaryOperator, ValueWithSpan,
};
use datafusion::logical_expr::sqlparser::tokenizer::{Location, Span};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};

use super::interval::{as_duration, interval_text};
use super::scope::{Found, Scope, Typed};
use super::{Bind, Binder};
use crate::types::{a, comparable, is_number, is_string, spark_name, timestamp, widest};

/// How values are compared with patterns.
struct LikeShape<'a> {
    negated: bool,
    escape: Option<&'a str>,
    any_case: bool,
}

/// What an expression may use.
#[derive(Clone)]
pub struct Context<'s> {
    pub scope: &'s Scope,
    /// Earlier columns of the same SELECT, by lower-case name.
    pub aliases: &'s [(String, Typed)],
    /// The clause allows aggregate functions.
    pub aggregates: bool,
    /// For messages: `WHERE`, `SELECT`, ...
    pub clause: &'static str,
    /// Parameters of the lambdas around, by lower-case name.
    pub lambdas: Vec<(String, DataType)>,
}

impl<'s> Context<'s> {
    pub fn new(scope: &'s Scope, clause: &'static str) -> Self {
        Self { scope, aliases: &[], aggregates: false, clause, lambdas: Vec::new() }
    }

    pub fn with_aggregates(mut self) -> Self {
        self.aggregates = true;
        self
    }

    pub fn with_aliases(mut self, aliases: &'s [(String, Typed)]) -> Self {
        self.aliases = aliases;
        self
    }
}

impl Binder<'_> {
    pub fn expr(&mut self, cx: &Context<'_>, sql: &Sql) -> Bind<Typed> {
        match sql {
            Sql::Identifier(name) => self.name(cx, std::slice::from_ref(name)),
            Sql::CompoundIdentifier(names) => self.name(cx, names),
            Sql::CompoundFieldAccess { root, access_chain } => self.access(cx, root, access_chain),
            Sql::Nested(inner) => self.expr(cx, inner),
            Sql::Value(value) => self.value(value),
            Sql::TypedString(typed) => self.typed_string(typed),
            Sql::Interval(interval) => self.interval(interval),
            Sql::Function(function) => self.function(cx, function),
            Sql::BinaryOp { left, op, right } => self.binary(cx, left, op, right),
            Sql::UnaryOp { op, expr } => self.unary(cx, *op, expr),
            Sql::IsNull(_)
            | Sql::IsNotNull(_)
            | Sql::IsTrue(_)
            | Sql::IsNotTrue(_)
            | Sql::IsFalse(_)
            | Sql::IsNotFalse(_)
            | Sql::IsUnknown(_)
            | Sql::IsNotUnknown(_) => self.is_test(cx, sql),
            Sql::IsDistinctFrom(left, right) => self.compare(cx, left, Operator::IsDistinctFrom, right),
            Sql::IsNotDistinctFrom(left, right) => self.compare(cx, left, Operator::IsNotDistinctFrom, right),
            Sql::Between { expr, negated, low, high } => {
                let low = self.compare(cx, expr, Operator::GtEq, low)?;
                let high = self.compare(cx, expr, Operator::LtEq, high)?;
                Ok(negate(*negated, boolean(low.expr.and(high.expr))))
            }
            Sql::InList { expr, list, negated } => self.in_list(cx, expr, list, *negated),
            Sql::Like { negated, any, expr, pattern, escape_char }
            | Sql::ILike { negated, any, expr, pattern, escape_char } => {
                let escape = escape_char.clone().and_then(ValueWithSpan::into_string);
                let shape = LikeShape {
                    negated: *negated,
                    escape: escape.as_deref(),
                    any_case: matches!(sql, Sql::ILike { .. }),
                };
                self.likes(cx, expr, pattern, *any, &shape)
            }
            Sql::RLike { negated, expr, pattern, .. } => {
                let value = self.expr_as(cx, expr, &DataType::Utf8View)?;
                let pattern = self.expr_as(cx, pattern, &DataType::Utf8View)?;
                Ok(negate(*negated, self.call("rlike", vec![value, pattern], start(sql))?))
            }
            Sql::Case { operand, conditions, else_result, .. } => {
                self.case(cx, operand.as_deref(), conditions, else_result.as_deref())
            }
            Sql::Cast { kind, expr, data_type, .. } => {
                let value = self.expr(cx, expr)?;
                let target = self.data_type(data_type, start(sql))?;
                if let (Sql::Interval(interval), true) = (expr.as_ref(), is_string(&target))
                    && let Some(text) = interval_text(interval)
                {
                    return Ok(super::literal::string(text));
                }
                match kind {
                    CastKind::TryCast | CastKind::SafeCast => self.try_cast(value, &target, start(sql)),
                    _ => self.cast(value, &target, start(sql)),
                }
            }
            _ => self.special(cx, sql),
        }
    }

    /// The expression, cast as Spark casts where its type is another.
    pub fn expr_as(&mut self, cx: &Context<'_>, sql: &Sql, data_type: &DataType) -> Bind<Typed> {
        let typed = self.expr(cx, sql)?;
        self.cast(typed, data_type, start(sql))
    }

    /// `a.b.c`: a column, then fields; or a parameter of a lambda, an earlier alias, the window that is grouped by.
    pub fn name(&mut self, cx: &Context<'_>, names: &[Ident]) -> Bind<Typed> {
        let first = names[0].value.to_lowercase();
        if let Some((name, data_type)) = cx.lambdas.iter().rev().find(|(name, _)| *name == first) {
            return self.fields(Self::lambda_variable(name, data_type), &names[1..]);
        }
        let span = Span::union_iter(names.iter().map(|name| name.span));
        match cx.scope.find(names) {
            Found::Column(column, used) => {
                let path = column.path.clone();
                let typed = column.typed(span);
                let typed = self.fields(typed, &names[used..])?;
                if let Some(path) = path {
                    let below = names[used..].iter().map(|name| name.value.to_lowercase());
                    self.read(&typed, path, below);
                }
                Ok(typed)
            }
            Found::Ambiguous(all) => {
                let shown = written(names);
                Err(self.refuse(
                    span.start,
                    format!("`{shown}` is ambiguous"),
                    format!("it may be {}", all.join(" or ")),
                ))
            }
            Found::Missing => {
                if let Some((_, typed)) = cx.aliases.iter().rev().find(|(name, _)| *name == first) {
                    return self.fields(typed.clone(), &names[1..]);
                }
                if let Some(window) = self.grouped_window(&first) {
                    return self.fields(window, &names[1..]);
                }
                let hint = cx.scope.hint(names);
                let message = if cx.scope.columns.is_empty() {
                    format!("unknown column `{}`: there is nothing to read it from", written(names))
                } else {
                    format!("unknown column `{}`", written(names))
                };
                self.report(span.start, message, hint);
                Ok(Typed::refused())
            }
        }
    }

    /// Fields of structs, one after another; of a list of structs: the list of the fields.
    pub fn fields(&mut self, mut typed: Typed, names: &[Ident]) -> Bind<Typed> {
        for name in names {
            typed = self.field(typed, name)?;
        }
        Ok(typed)
    }

    fn field(&mut self, base: Typed, name: &Ident) -> Bind<Typed> {
        let fields = match &base.data_type {
            DataType::Null => return Ok(Typed::refused()),
            DataType::Struct(fields) => fields.clone(),
            DataType::List(item) if let DataType::Struct(fields) = item.data_type() => fields.clone(),
            DataType::Map(..) => {
                let key = Typed::new(lit(name.value.as_str()), DataType::Utf8);
                return self.map_value(base, key, name.span.start);
            }
            other => {
                let message = format!("`{}` is asked of {}, which has no fields", name.value, a(other));
                return Err(self.refuse_plain(name.span.start, message));
            }
        };
        let Some(field) = fields.iter().find(|field| field.name().eq_ignore_ascii_case(&name.value)) else {
            let closest =
                manade_model::closest(&name.value.to_lowercase(), fields.iter().map(|field| field.name().as_str()));
            let hint = closest.map_or_else(
                || {
                    let all: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                    format!("there are: {}", all.join(", "))
                },
                |closest| format!("did you mean `{closest}`?"),
            );
            self.report(name.span.start, format!("unknown field `{}`", name.value), Some(hint));
            return Ok(Typed::refused());
        };
        if matches!(base.data_type, DataType::List(_)) {
            let field = super::literal::string(field.name().clone());
            return self.call("list_field", vec![base, field], name.span.start);
        }
        let expr = datafusion::functions::core::expr_fn::get_field(base.expr, field.name().as_str());
        Ok(Typed::new(expr, field.data_type().clone()))
    }

    fn access(&mut self, cx: &Context<'_>, root: &Sql, chain: &[AccessExpr]) -> Bind<Typed> {
        // `a.b[0]`: the identifiers before the first subscript are one name.
        let mut names: Vec<Ident> = match root {
            Sql::Identifier(name) => vec![name.clone()],
            Sql::CompoundIdentifier(names) => names.clone(),
            _ => Vec::new(),
        };
        let mut rest = chain;
        if !names.is_empty() {
            while let [AccessExpr::Dot(Sql::Identifier(name)), tail @ ..] = rest {
                names.push(name.clone());
                rest = tail;
            }
        }
        let mut typed = if names.is_empty() { self.expr(cx, root)? } else { self.name(cx, &names)? };
        for access in rest {
            typed = match access {
                AccessExpr::Dot(Sql::Identifier(name)) => self.field(typed, name)?,
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let at = start(index);
                    let index = self.expr(cx, index)?;
                    self.element(typed, index, at)?
                }
                AccessExpr::Dot(other) => return Err(self.refuse_plain(start(other), "expected a field name")),
                AccessExpr::Subscript(Subscript::Slice { .. }) => {
                    return Err(self.refuse(
                        start(root),
                        "slices are not Spark SQL",
                        "write slice(array, start, length)",
                    ));
                }
            };
        }
        Ok(typed)
    }

    /// `array[index]` counts from 0, null outside; `map[key]`.
    fn element(&mut self, base: Typed, index: Typed, at: Location) -> Bind<Typed> {
        match &base.data_type {
            DataType::Null => Ok(Typed::refused()),
            DataType::Map(..) => self.map_value(base, index, at),
            DataType::List(_) => self.call("get", vec![base, index], at),
            DataType::Struct(_) => match &index.expr {
                Expr::Literal(value, _) if is_string(&index.data_type) => {
                    let name = Ident::with_span(Span::new(at, at), value.to_string());
                    self.field(base, &name)
                }
                _ => Err(self.refuse_plain(at, "a struct's field is named, not numbered")),
            },
            other => Err(self.refuse_plain(at, format!("{} has no elements", a(other)))),
        }
    }

    fn map_value(&mut self, map: Typed, key: Typed, at: Location) -> Bind<Typed> {
        let DataType::Map(entries, _) = &map.data_type else { return Ok(Typed::refused()) };
        let DataType::Struct(fields) = entries.data_type() else { return Ok(Typed::refused()) };
        let value = fields[1].data_type().clone();
        let key = self.cast(key, &fields[0].data_type().clone(), at)?;
        let list = datafusion::functions_nested::expr_fn::map_extract(map.expr, key.expr);
        Ok(Typed::new(datafusion::functions_nested::expr_fn::array_element(list, lit(1_i64)), value))
    }

    fn unary(&mut self, cx: &Context<'_>, op: UnaryOperator, inner: &Sql) -> Bind<Typed> {
        match op {
            UnaryOperator::Not | UnaryOperator::BangNot => {
                let inner = self.condition(cx, inner)?;
                Ok(boolean(Expr::Not(Box::new(inner.expr))))
            }
            UnaryOperator::Plus => self.expr(cx, inner),
            UnaryOperator::Minus => {
                if let Sql::Value(value) = inner
                    && let Some(negative) = self.negative_number(value)?
                {
                    return Ok(negative);
                }
                let at = start(inner);
                let mut typed = self.expr(cx, inner)?;
                if is_string(&typed.data_type) {
                    typed = self.cast(typed, &DataType::Float64, at)?;
                }
                Ok(Typed::new(Expr::Negative(Box::new(typed.expr)), typed.data_type))
            }
            UnaryOperator::BitwiseNot => {
                let typed = self.expr(cx, inner)?;
                self.call("bitwise_not", vec![typed], start(inner))
            }
            other => Err(self.refuse_plain(start(inner), format!("`{other}` is not an operator of Spark SQL"))),
        }
    }

    /// A boolean: WHERE, ON, CASE WHEN, AND.
    pub fn condition(&mut self, cx: &Context<'_>, sql: &Sql) -> Bind<Typed> {
        let typed = self.expr(cx, sql)?;
        match &typed.data_type {
            DataType::Boolean => Ok(typed),
            DataType::Null => self.cast(typed, &DataType::Boolean, start(sql)),
            other => {
                let message = format!("a condition is a boolean, this is {}", a(other));
                Err(self.refuse(start(sql), message, "compare it with something"))
            }
        }
    }

    fn is_test(&mut self, cx: &Context<'_>, sql: &Sql) -> Bind<Typed> {
        let (inner, test): (_, fn(Box<Expr>) -> Expr) = match sql {
            Sql::IsNull(inner) => (inner, Expr::IsNull),
            Sql::IsNotNull(inner) => (inner, Expr::IsNotNull),
            Sql::IsTrue(inner) => (inner, Expr::IsTrue),
            Sql::IsNotTrue(inner) => (inner, Expr::IsNotTrue),
            Sql::IsFalse(inner) => (inner, Expr::IsFalse),
            Sql::IsNotFalse(inner) => (inner, Expr::IsNotFalse),
            Sql::IsUnknown(inner) => (inner, Expr::IsUnknown),
            Sql::IsNotUnknown(inner) => (inner, Expr::IsNotUnknown),
            _ => return Err(self.refuse_plain(start(sql), "unknown test")),
        };
        let truth_test = matches!(sql, Sql::IsTrue(_) | Sql::IsNotTrue(_) | Sql::IsFalse(_) | Sql::IsNotFalse(_));
        let inner = match (sql, inner) {
            (Sql::IsNull(_) | Sql::IsNotNull(_), inner) => self.expr(cx, inner)?,
            (_, inner) if truth_test => {
                let (at, typed) = (start(inner), self.expr(cx, inner)?);
                if is_number(&typed.data_type) {
                    // 1 is true and 0 is false; other numbers are neither.
                    let truth = matches!(sql, Sql::IsTrue(_) | Sql::IsNotTrue(_));
                    let same = Typed::new(lit(truth), DataType::Boolean);
                    let is = self.compare_typed(typed, Operator::IsNotDistinctFrom, same, at)?;
                    return Ok(negate(matches!(sql, Sql::IsNotTrue(_) | Sql::IsNotFalse(_)), is));
                }
                self.cast(typed, &DataType::Boolean, at)?
            }
            (_, inner) => self.condition(cx, inner)?,
        };
        Ok(boolean(test(Box::new(inner.expr))))
    }

    fn binary(&mut self, cx: &Context<'_>, left: &Sql, op: &BinaryOperator, right: &Sql) -> Bind<Typed> {
        match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let op = if *op == BinaryOperator::And { Operator::And } else { Operator::Or };
                let (left, right) = (self.condition(cx, left), self.condition(cx, right));
                Ok(boolean(join(left?.expr, op, right?.expr)))
            }
            BinaryOperator::Eq => self.compare(cx, left, Operator::Eq, right),
            BinaryOperator::NotEq => self.compare(cx, left, Operator::NotEq, right),
            BinaryOperator::Lt => self.compare(cx, left, Operator::Lt, right),
            BinaryOperator::LtEq => self.compare(cx, left, Operator::LtEq, right),
            BinaryOperator::Gt => self.compare(cx, left, Operator::Gt, right),
            BinaryOperator::GtEq => self.compare(cx, left, Operator::GtEq, right),
            BinaryOperator::Spaceship => self.compare(cx, left, Operator::IsNotDistinctFrom, right),
            BinaryOperator::StringConcat => {
                let (at_left, at_right) = (start(left), start(right));
                let (left, right) = (self.expr(cx, left), self.expr(cx, right));
                let (left, right) = (left?, right?);
                if matches!(left.data_type, DataType::List(_)) {
                    return self.call("array_concat", vec![left, right], at_left);
                }
                let left = self.cast(left, &DataType::Utf8View, at_left)?;
                let right = self.cast(right, &DataType::Utf8View, at_right)?;
                Ok(Typed::new(join(left.expr, Operator::StringConcat, right.expr), DataType::Utf8View))
            }
            _ => {
                let at = start(left);
                let (left, right) = (self.expr(cx, left), self.expr(cx, right));
                self.arithmetic(left?, op, right?, at)
            }
        }
    }

    /// Both sides are brought to one type as Spark does.
    fn compare(&mut self, cx: &Context<'_>, left: &Sql, op: Operator, right: &Sql) -> Bind<Typed> {
        let at = start(left);
        let (left, right) = (self.expr(cx, left), self.expr(cx, right));
        self.compare_typed(left?, op, right?, at)
    }

    pub fn compare_typed(&mut self, left: Typed, op: Operator, right: Typed, at: Location) -> Bind<Typed> {
        let truth = |one: &Typed, other: &Typed| one.data_type == DataType::Boolean && is_number(&other.data_type);
        let equality =
            matches!(op, Operator::Eq | Operator::NotEq | Operator::IsNotDistinctFrom | Operator::IsDistinctFrom);
        let common = match (&left, &right) {
            // As numbers: 1 and 0.
            (boolean, number) | (number, boolean) if equality && truth(boolean, number) => {
                Some(number.data_type.clone())
            }
            _ => match (as_duration(&left), as_duration(&right)) {
                (Some(left), Some(right)) => return Ok(boolean(join(left.expr, op, right.expr))),
                _ => comparable(&left.data_type, &right.data_type),
            },
        };
        let Some(common) = common else {
            let message = format!("{} cannot be compared with {}", a(&left.data_type), a(&right.data_type));
            return Err(self.refuse(at, message, "cast one of them"));
        };
        let (left, right) = (self.cast(left, &common, at)?, self.cast(right, &common, at)?);
        Ok(boolean(join(left.expr, op, right.expr)))
    }

    fn in_list(&mut self, cx: &Context<'_>, value: &Sql, list: &[Sql], negated: bool) -> Bind<Typed> {
        let at = start(value);
        let value = self.expr(cx, value)?;
        let list: Vec<Typed> = list.iter().map(|item| self.expr(cx, item)).collect::<Bind<_>>()?;
        let common = self.common(list.iter().chain([&value]), at)?;
        let list = list.into_iter().map(|item| Ok(self.cast(item, &common, at)?.expr)).collect::<Bind<Vec<_>>>()?;
        let value = self.cast(value, &common, at)?;
        Ok(boolean(Expr::InList(InList::new(Box::new(value.expr), list, negated))))
    }

    /// `x LIKE p`, `x LIKE ANY (p, q)`, `x LIKE ALL (p, q)`: NOT stands before each of the patterns.
    fn likes(&mut self, cx: &Context<'_>, value: &Sql, pattern: &Sql, any: bool, shape: &LikeShape<'_>) -> Bind<Typed> {
        let quantified = |word: &str| match pattern {
            Sql::Function(function) if function.name.to_string().eq_ignore_ascii_case(word) => Some(function),
            _ => None,
        };
        let (patterns, join): (Vec<Sql>, fn(Expr, Expr) -> Expr) = match pattern {
            Sql::Tuple(patterns) if any => (patterns.clone(), Expr::or),
            Sql::Nested(pattern) if any => (vec![pattern.as_ref().clone()], Expr::or),
            one => match (quantified("all"), quantified("some")) {
                (Some(all), _) => (self.arguments(all, start(pattern))?, Expr::and),
                (_, Some(some)) => (self.arguments(some, start(pattern))?, Expr::or),
                _ => (vec![one.clone()], Expr::and),
            },
        };
        let mut all = Vec::new();
        for pattern in &patterns {
            all.push(self.like(cx, value, pattern, shape)?.expr);
        }
        match all.into_iter().reduce(join) {
            Some(like) => Ok(boolean(like)),
            None => Err(self.refuse_plain(start(pattern), "LIKE takes a pattern")),
        }
    }

    fn like(&mut self, cx: &Context<'_>, value: &Sql, pattern: &Sql, shape: &LikeShape<'_>) -> Bind<Typed> {
        let escape = match shape.escape.map(|escape| escape.chars().collect::<Vec<_>>()).as_deref() {
            None | Some(['\\']) => None,
            Some([one]) => Some(*one),
            Some(_) => return Err(self.refuse_plain(start(pattern), "ESCAPE takes one character")),
        };
        let value = self.expr_as(cx, value, &DataType::Utf8View)?;
        let mut pattern = self.expr_as(cx, pattern, &DataType::Utf8View)?;
        if let (Some(escape), Expr::Literal(text, _)) = (escape, &pattern.expr) {
            pattern.expr = lit(backslashed(&text.to_string(), escape));
        }
        let like = Like::new(shape.negated, Box::new(value.expr), Box::new(pattern.expr), None, shape.any_case);
        Ok(boolean(Expr::Like(like)))
    }

    fn case(
        &mut self,
        cx: &Context<'_>,
        operand: Option<&Sql>,
        conditions: &[CaseWhen],
        otherwise: Option<&Sql>,
    ) -> Bind<Typed> {
        let at = operand.or(conditions.first().map(|each| &each.condition)).map_or(Location::empty(), start);
        let operand = operand.map(|operand| self.expr(cx, operand)).transpose()?;
        let mut branches = Vec::new();
        for each in conditions {
            let condition = match &operand {
                Some(operand) => {
                    let value = self.expr(cx, &each.condition)?;
                    self.compare_typed(operand.clone(), Operator::Eq, value, start(&each.condition))?
                }
                None => self.condition(cx, &each.condition)?,
            };
            branches.push((condition, self.expr(cx, &each.result)?));
        }
        let otherwise = otherwise.map(|otherwise| self.expr(cx, otherwise)).transpose()?;
        let common = self.common(branches.iter().map(|(_, result)| result).chain(&otherwise), at)?;
        let mut when_then = Vec::new();
        for (condition, result) in branches {
            when_then.push((Box::new(condition.expr), Box::new(self.cast(result, &common, at)?.expr)));
        }
        let otherwise = match otherwise {
            Some(otherwise) => Some(Box::new(self.cast(otherwise, &common, at)?.expr)),
            None => None,
        };
        Ok(Typed::new(Expr::Case(Case::new(None, when_then, otherwise)), common))
    }

    /// The type that holds all of them.
    pub fn common<'t>(&mut self, all: impl Iterator<Item = &'t Typed>, at: Location) -> Bind<DataType> {
        let mut common = DataType::Null;
        for typed in all {
            let Some(wider) = widest(&common, &typed.data_type) else {
                let (one, other) = (spark_name(&common), spark_name(&typed.data_type));
                return Err(self.refuse(at, format!("a {one} and a {other} have no common type"), "cast one of them"));
            };
            common = wider;
        }
        Ok(common)
    }

    /// Syntax that stands for a function.
    fn special(&mut self, cx: &Context<'_>, sql: &Sql) -> Bind<Typed> {
        let at = start(sql);
        match sql {
            Sql::Extract { field, expr, .. } => self.extract(cx, field, expr, at),
            Sql::Ceil { expr, field } | Sql::Floor { expr, field } => {
                let name = if matches!(sql, Sql::Ceil { .. }) { "ceil" } else { "floor" };
                let mut args = vec![self.expr(cx, expr)?];
                if let CeilFloorKind::Scale(scale) = field {
                    args.push(self.value(scale)?);
                }
                self.call(name, args, at)
            }
            Sql::Position { expr, r#in } => {
                let (part, whole) = (self.expr(cx, expr)?, self.expr(cx, r#in)?);
                self.call("strpos", vec![whole, part], at)
            }
            Sql::Substring { expr, substring_from, substring_for, .. } => {
                let whole = self.expr(cx, expr)?;
                let mut args = vec![match whole.data_type {
                    DataType::BinaryView => whole,
                    _ => self.cast(whole, &DataType::Utf8View, at)?,
                }];
                for each in [substring_from, substring_for].into_iter().flatten() {
                    args.push(self.expr_as(cx, each, &DataType::Int64)?);
                }
                self.call("substring", args, at)
            }
            Sql::Trim { expr, trim_where, trim_what, .. } => {
                let text = self.expr_as(cx, expr, &DataType::Utf8View)?;
                let what = trim_what.as_ref().map(|what| self.expr_as(cx, what, &DataType::Utf8View)).transpose()?;
                // Spark's ltrim and rtrim take the characters first.
                let (name, args) = match (trim_where, what) {
                    (Some(TrimWhereField::Leading), what) => ("ltrim", what.into_iter().chain([text]).collect()),
                    (Some(TrimWhereField::Trailing), what) => ("rtrim", what.into_iter().chain([text]).collect()),
                    (_, what) => ("btrim", [text].into_iter().chain(what).collect()),
                };
                self.call(name, args, at)
            }
            Sql::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let parts = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for.as_ref()];
                let args = parts.into_iter().flatten().map(|part| self.expr(cx, part)).collect::<Bind<_>>()?;
                self.call("overlay", args, at)
            }
            Sql::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.expr(cx, part)).collect::<Bind<Vec<_>>>()?;
                Ok(super::function::structure((1..).map(|i| format!("col{i}")).zip(parts)))
            }
            Sql::Struct { values, fields } if fields.is_empty() => self.structure(cx, values, at),
            Sql::InSubquery { .. } | Sql::Exists { .. } | Sql::Subquery(_) | Sql::AnyOp { .. } | Sql::AllOp { .. } => {
                Err(self.refuse(
                    at,
                    format!("a subquery in {} would have to be run again for every event", cx.clause),
                    "join the table: LEFT SEMI JOIN for IN and EXISTS, LEFT ANTI JOIN for NOT IN, LEFT JOIN for a value",
                ))
            }
            other => {
                let text: String = other.to_string().chars().take(40).collect();
                Err(self.refuse_plain(at, format!("`{text}` is not supported")))
            }
        }
    }

    fn extract(&mut self, cx: &Context<'_>, field: &DateTimeField, from: &Sql, at: Location) -> Bind<Typed> {
        let value = self.expr(cx, from)?;
        let value = match as_duration(&value) {
            Some(duration) => duration,
            None if is_string(&value.data_type) => self.cast(value, &timestamp(), at)?,
            None => value,
        };
        let field = Typed::new(lit(field.to_string().to_lowercase()), DataType::Utf8);
        self.call("date_part", vec![field, value], at)
    }

    /// `struct(a, b AS c, t.*)`.
    fn structure(&mut self, cx: &Context<'_>, values: &[Sql], at: Location) -> Bind<Typed> {
        let mut parts = Vec::new();
        for (i, value) in values.iter().enumerate() {
            if let Sql::QualifiedWildcard(name, _) = value {
                let name = name.to_string().replace('`', "").to_lowercase();
                let columns = self.qualified_columns(cx.scope, &name, at)?;
                parts.extend(columns.into_iter().map(|item| (item.shown, item.typed)));
                continue;
            }
            let (name, value) = struct_part(value, i + 1);
            parts.push((name, self.expr(cx, value)?));
        }
        Ok(super::function::structure(parts.into_iter()))
    }

    /// Remembers what the input must give.
    fn read(&mut self, typed: &Typed, path: Vec<String>, below: impl Iterator<Item = String>) {
        if typed.data_type != DataType::Null {
            self.reads.insert(path.into_iter().chain(below).collect());
        }
    }
}

/// A part of `struct(...)` under the name that Spark gives it.
fn struct_part(value: &Sql, number: usize) -> (String, &Sql) {
    match value {
        Sql::Named { expr, name } => (name.value.clone(), expr),
        _ => (own_name(value).unwrap_or_else(|| format!("col{number}")), value),
    }
}

/// The last name of a path.
pub fn own_name(value: &Sql) -> Option<String> {
    match value {
        Sql::Identifier(name) => Some(name.value.clone()),
        Sql::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        Sql::CompoundFieldAccess { access_chain, .. } => match access_chain.last()? {
            AccessExpr::Dot(Sql::Identifier(name)) => Some(name.value.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Where a piece of syntax begins; line 0 where sqlparser does not know.
pub fn start(sql: &Sql) -> Location {
    let span = sql.span();
    if span.start.line > 0 {
        return span.start;
    }
    match sql {
        Sql::RLike { expr, .. } | Sql::Nested(expr) | Sql::UnaryOp { expr, .. } => start(expr),
        _ => span.start,
    }
}

pub fn boolean(expr: Expr) -> Typed {
    Typed::new(expr, DataType::Boolean)
}

pub fn join(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// `then` where the condition holds, else null.
pub fn when(condition: Expr, then: Expr) -> Expr {
    Expr::Case(Case::new(None, vec![(Box::new(condition), Box::new(then))], None))
}

fn negate(negated: bool, typed: Typed) -> Typed {
    if negated { boolean(Expr::Not(Box::new(typed.expr))) } else { typed }
}

fn written(names: &[Ident]) -> String {
    names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
}

/// A LIKE pattern with another escape character, in terms of the backslash.
fn backslashed(pattern: &str, escape: char) -> String {
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == escape {
            text.push('\\');
            text.extend(chars.next());
        } else if c == '\\' {
            text.push_str("\\\\");
        } else {
            text.push(c);
        }
    }
    text
}
