//! `window`, `session_window`, `window_time`: event-time windows.
//!
//! A window is bound to a call of [`WindowMarker`] on the event time. Grouping takes the call apart: the key is the
//! window's start (for sessions start and end), and the struct is made anew above the aggregate.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::sqlparser::ast::{Expr as Sql, Function};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::expr::{Context, start};
use super::interval::{interval_of, micros_of};
use super::scope::Typed;
use super::{Bind, Binder};
use crate::types::{timestamp, window_struct};

/// A kind of window; microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowShape {
    Fixed { size: i64, slide: i64, offset: i64 },
    Session { gap: i64 },
}

/// What is made of the event time, or of a window's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// Time to window struct (fixed windows that do not overlap).
    Marker(WindowShape),
    /// Time to the start of its window.
    Start { size: i64, offset: i64 },
    /// Time to the starts of its windows, the earliest first.
    Starts { size: i64, slide: i64, offset: i64 },
    /// Time, so many microseconds later.
    Later(i64),
}

/// The window marker's shape and time, where an expression is one.
pub fn marker(expr: &Expr) -> Option<(WindowShape, &Expr)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match call.func.inner().downcast_ref::<WindowStep>()?.step {
        Step::Marker(shape) => Some((shape, &call.args[0])),
        _ => None,
    }
}

/// The window of this shape around a time.
pub fn mark(shape: WindowShape, time: Expr) -> Expr {
    step(Step::Marker(shape)).call(vec![time])
}

/// Whether a window is made of a row by itself which others share or lengthen.
pub fn has_overlapping(plan: &LogicalPlan) -> bool {
    let overlaps = |expr: &Expr| {
        Ok(marker(expr).is_some_and(|(shape, _)| match shape {
            WindowShape::Fixed { size, slide, .. } => slide < size,
            WindowShape::Session { .. } => true,
        }))
    };
    let mut found = false;
    let walked = plan.apply(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(overlaps)?;
            Ok(TreeNodeRecursion::Continue)
        })
    });
    found || walked.is_err()
}

pub fn window_start(time: Expr, size: i64, offset: i64) -> Expr {
    step(Step::Start { size, offset }).call(vec![time])
}

pub fn window_starts(time: Expr, size: i64, slide: i64, offset: i64) -> Expr {
    step(Step::Starts { size, slide, offset }).call(vec![time])
}

pub fn later(time: Expr, micros: i64) -> Expr {
    step(Step::Later(micros)).call(vec![time])
}

impl Binder<'_> {
    pub fn fixed_window(&mut self, cx: &Context<'_>, function: &Function, at: Location) -> Bind<Typed> {
        let args = self.arguments(function, at)?;
        if !(2..=4).contains(&args.len()) {
            return Err(self.refuse(
                at,
                "`window` takes 2 to 4 arguments",
                "write window(time, size [, slide [, offset]])",
            ));
        }
        let time = self.event_time(cx, &args[0], "window")?;
        let size = self.length(&args[1], at)?;
        let slide = args.get(2).map(|arg| self.length(arg, at)).transpose()?.unwrap_or(size);
        let offset = args.get(3).map(|arg| self.length_or_zero(arg)).transpose()?.unwrap_or(0);
        if slide > size {
            return Err(self.refuse(
                start(&args[2]),
                "a window's slide is longer than its size",
                "events between two windows would be lost: make the slide at most the size",
            ));
        }
        if size / slide > 1000 {
            return Err(self.refuse_plain(start(&args[2]), "each event would be in more than 1000 windows"));
        }
        let shape = WindowShape::Fixed { size, slide, offset: offset.rem_euclid(slide) };
        if slide < size {
            self.overlapping = Some(("window", at));
        }
        Ok(Typed::new(mark(shape, time.expr), window_struct()))
    }

    pub fn session_window(&mut self, cx: &Context<'_>, function: &Function, at: Location) -> Bind<Typed> {
        let args = self.arguments(function, at)?;
        let [time, gap] = args.as_slice() else {
            return Err(self.refuse(at, "`session_window` takes 2 arguments", "write session_window(time, gap)"));
        };
        let time = self.event_time(cx, time, "session_window")?;
        let gap = self.length(gap, at)?;
        self.overlapping = Some(("session_window", at));
        Ok(Typed::new(mark(WindowShape::Session { gap }, time.expr), window_struct()))
    }

    /// The last moment of a window: its end less a microsecond.
    pub fn window_time(&mut self, cx: &Context<'_>, function: &Function, at: Location) -> Bind<Typed> {
        let args = self.arguments(function, at)?;
        let [window] = args.as_slice() else {
            return Err(self.refuse_plain(at, "`window_time` takes a window"));
        };
        let window = self.expr(cx, window)?;
        if window.data_type == DataType::Null {
            return Ok(Typed::refused());
        }
        if window.data_type != window_struct() {
            return Err(self.refuse_plain(at, "`window_time` takes a window"));
        }
        Ok(last_moment(window.expr))
    }

    /// Windows close by the watermark, which follows the event time alone.
    fn event_time(&mut self, cx: &Context<'_>, sql: &Sql, function: &str) -> Bind<Typed> {
        let mut typed = self.expr(cx, sql)?;
        if typed.data_type == DataType::Null && !self.problems.is_empty() {
            return Ok(Typed::new(super::arith::plain_cast(typed.expr, &timestamp()), timestamp()));
        }
        if typed.data_type == window_struct() {
            typed = last_moment(typed.expr);
        }
        // A window's last moment is as good as its end.
        let path = path_of(cx, end_of_last_moment(&typed.expr).unwrap_or(&typed.expr));
        // Its own backticks would stand within those of the message.
        let shown = sql.to_string().replace('`', "");
        let Some(time) = self.time.clone() else {
            return Err(self.refuse(
                start(sql),
                format!("`{function}` over `{shown}`, but the events have no event time"),
                format!("set events.time: {shown}"),
            ));
        };
        if path.as_ref() != Some(&time) {
            return Err(self.refuse(
                start(sql),
                format!("`{function}` over `{shown}`, which is not the event time"),
                format!("windows close by the event time, `{}`", time.join(".")),
            ));
        }
        // A date is its midnight.
        if !matches!(typed.data_type, DataType::Timestamp(..) | DataType::Date32) {
            return Err(self.refuse_plain(start(sql), format!("the event time `{shown}` is not a timestamp")));
        }
        self.cast(typed, &timestamp(), start(sql))
    }

    fn length(&mut self, sql: &Sql, at: Location) -> Bind<i64> {
        let length = self.length_or_zero(sql)?;
        if length <= 0 {
            return Err(self.refuse_plain(super::function::at_of(sql, at), "a window's length is more than zero"));
        }
        Ok(length)
    }

    fn length_or_zero(&mut self, sql: &Sql) -> Bind<i64> {
        let micros = match sql {
            Sql::Value(value) => value.value.clone().into_string().and_then(|text| interval_of(&text)),
            Sql::Interval(interval) => match self.interval(interval)?.expr {
                Expr::Literal(ScalarValue::IntervalMonthDayNano(value), _) => value,
                _ => None,
            },
            _ => None,
        };
        match micros.and_then(micros_of) {
            Some(micros) => Ok(micros),
            None => Err(self.refuse(
                start(sql),
                format!("`{sql}` is not a length of time"),
                "write it as '10 minutes' (weeks, days, hours, minutes, seconds, milliseconds)",
            )),
        }
    }
}

/// Of a window: its end less a microsecond, which is in every larger window that it is a part of.
fn last_moment(window: Expr) -> Typed {
    Typed::new(later(datafusion::functions::core::expr_fn::get_field(window, "end"), -1), timestamp())
}

fn end_of_last_moment(expr: &Expr) -> Option<&Expr> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let is_last = call.func.inner().downcast_ref::<WindowStep>()?.step == Step::Later(-1);
    is_last.then(|| &call.args[0])
}

/// Where in the input the expression's value stands unchanged, in lower case.
pub fn path_of(cx: &Context<'_>, expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Column(column) => cx.scope.columns.iter().find(|each| each.internal == column.name)?.path.clone(),
        Expr::ScalarFunction(call) if call.func.name() == "get_field" => {
            let mut path = path_of(cx, &call.args[0])?;
            for arg in &call.args[1..] {
                let Expr::Literal(name, _) = arg else { return None };
                path.push(name.to_string().to_lowercase());
            }
            Some(path)
        }
        _ => None,
    }
}

fn step(step: Step) -> ScalarUDF {
    ScalarUDF::new_from_impl(WindowStep { signature: Signature::any(1, Volatility::Immutable), step })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowStep {
    signature: Signature,
    step: Step,
}

impl ScalarUDFImpl for WindowStep {
    fn name(&self) -> &'static str {
        match self.step {
            Step::Marker(WindowShape::Session { .. }) => "session_window",
            Step::Marker(_) => "window",
            Step::Start { .. } => "window_start",
            Step::Starts { .. } => "window_starts",
            Step::Later(_) => "later",
        }
    }

    /// The parameters are part of the text that identifies stored state.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!("{:?}({})", self.step, args[0].schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.step {
            Step::Marker(_) => window_struct(),
            Step::Starts { .. } => DataType::List(Arc::new(Field::new_list_field(timestamp(), true))),
            Step::Start { .. } | Step::Later(_) => timestamp(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = args.args[0].to_array(args.number_rows)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let map = |f: &dyn Fn(i64) -> i64| -> ArrayRef {
            Arc::new(times.unary::<_, TimestampMicrosecondType>(f).with_timezone("UTC"))
        };
        let array: ArrayRef = match self.step {
            Step::Start { size, offset } => map(&|time| start_of(time, size, offset)),
            Step::Later(micros) => map(&|time| time.wrapping_add(micros)),
            Step::Starts { size, slide, offset } => Arc::new(starts(times, size, slide, offset)),
            Step::Marker(WindowShape::Fixed { size, slide, offset }) => windows(
                map(&|time| start_of(time, slide, offset)),
                map(&|time| start_of(time, slide, offset) + size),
                times,
            ),
            Step::Marker(WindowShape::Session { gap }) => windows(map(&|time| time), map(&|time| time + gap), times),
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// Start of the window of length `size` that holds `time`; windows begin at `offset` after the epoch.
fn start_of(time: i64, size: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(size)
}

fn windows(start: ArrayRef, end: ArrayRef, times: &TimestampMicrosecondArray) -> ArrayRef {
    let DataType::Struct(fields) = window_struct() else { return start };
    Arc::new(StructArray::new(fields, vec![start, end], times.nulls().cloned()))
}

fn starts(times: &TimestampMicrosecondArray, size: i64, slide: i64, offset: i64) -> ListArray {
    let mut values: Vec<i64> = Vec::with_capacity(times.len() * (size / slide) as usize);
    let mut lengths = Vec::with_capacity(times.len());
    for time in times {
        let before = values.len();
        if let Some(time) = time {
            let last = start_of(time, slide, offset);
            let count = (size - (time - last) - 1).div_euclid(slide) + 1;
            values.extend((0..count).rev().map(|i| last - i * slide));
        }
        lengths.push(values.len() - before);
    }
    let values = TimestampMicrosecondArray::from(values).with_timezone("UTC");
    let field = Arc::new(Field::new_list_field(timestamp(), true));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), Arc::new(values), None)
}
