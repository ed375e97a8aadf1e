//! Whether what is stored of a pipeline fits what is asked for.
//!
//! State fits where everything up to it is computed as before ([`manade_sql::Query::fingerprint`], of the stored definition
//! as this program compiles it) and the tables that the store has are those that would be made now. Columns of these that
//! are no part of a key may have become wider.

use arrow::datatypes::{Schema, SchemaRef};
use manade_events::arrow_type;
use manade_functions::is_widening;
use manade_model::{Field, Finding, Place};
use manade_sql::{Groups, Input, Stage};
use manade_store::{Change, View};

use crate::commit::rows_schema;
use crate::groups::{rows_name, state_name};
use crate::plan::{Plan, PlannedResult, recompile};
use crate::progress::{Definition, Progress};

/// What makes the stored tables as wide as they are asked for, or why they cannot be gone on with.
pub fn fit(plan: &Plan, progress: &Progress, view: &View) -> Result<Vec<(String, Change)>, Vec<Finding>> {
    let (mut changes, mut findings) = (Vec::new(), Vec::new());
    for result in &plan.results {
        let Some(stored) = progress.results.get(result.spec.name.as_str()) else { continue };
        match fit_result(result, &stored.definition, view) {
            Some(wider) => changes.extend(wider),
            None => findings.push(misfit(plan, result, &stored.definition)),
        }
    }
    if progress.source.as_ref().is_some_and(|kind| kind != plan.source_kind()) {
        let name = &plan.pipeline.name;
        let message = format!("pipeline `{name}` has read from another kind of source before");
        let hint = format!("give the pipeline a new name, or start it over with `manade reset {name}`");
        findings.push(Finding::error(plan.pipeline.place.clone(), message).with_hint(hint));
    }
    if findings.is_empty() { Ok(changes) } else { Err(findings) }
}

/// `None`: it does not fit.
fn fit_result(result: &PlannedResult, stored: &Definition, view: &View) -> Option<Vec<(String, Change)>> {
    let (now, name) = (&result.query, result.spec.name.as_str());
    let before = recompile(stored).ok()?;
    if before.fingerprint != now.fingerprint || stored.emit != result.definition.emit {
        return None;
    }
    let mut changes = Vec::new();
    let mut widen = |name: String, schema: &SchemaRef, keys: usize| {
        let Some(table) = view.snapshot(&name) else { return Some(()) };
        if is_wider(&table.schema(), schema, keys)? {
            changes.push((name, Change::Widen { schema: SchemaRef::clone(schema) }));
        }
        Some(())
    };
    if let Stage::Groups(Groups { main, entries, .. }) = &now.stage {
        for (i, table) in std::iter::once(main).chain(entries).enumerate() {
            widen(state_name(name, i), &table.schema, table.key_columns)?;
        }
    }
    let rows = rows_schema(now);
    if let Some(table) = view.snapshot(&rows_name(name)) {
        let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        if names(&table.schema()) != names(&rows) {
            return None;
        }
    }
    widen(rows_name(name), &rows, 0)?;
    Some(changes)
}

/// Whether columns have become wider, but for the leading `keys`; `None`: they are others.
fn is_wider(from: &Schema, to: &Schema, keys: usize) -> Option<bool> {
    if from.fields().len() != to.fields().len() {
        return None;
    }
    let mut wider = false;
    for (at, (from, to)) in from.fields().iter().zip(to.fields()).enumerate() {
        if from.data_type() == to.data_type() {
            continue;
        }
        if at < keys || !is_widening(from.data_type(), to.data_type()) {
            return None;
        }
        wider = true;
    }
    Some(wider)
}

fn misfit(plan: &Plan, result: &PlannedResult, stored: &Definition) -> Finding {
    let (name, pipeline) = (&result.spec.name, &plan.pipeline.name);
    let (place, what) = what_changed(plan, result, stored);
    let message = format!("{what}, and what is stored of `{name}` does not fit any more");
    let mut hint = format!("give the result a new name, or start it over with `manade reset {pipeline} {name}`");
    let tables = plan.pipeline.tables.iter().filter(|table| table.schema.is_none());
    if tables.into_iter().any(|table| table.place == place) {
        hint.push_str("; a table's types stay where its `schema` is written");
    }
    Finding::error(place, message).with_hint(hint)
}

/// Since the definition was stored, and where it stands.
fn what_changed(plan: &Plan, result: &PlannedResult, before: &Definition) -> (Place, String) {
    let (spec, now) = (&result.spec, &result.definition);
    let name = &spec.name;
    if before.emit != now.emit {
        return (spec.emit_place.clone(), format!("`emit` of `{name}` has changed"));
    }
    if before.sql != now.sql {
        return (spec.sql.place.clone(), format!("the SQL of `{name}` has changed"));
    }
    if before.limit != now.limit {
        return (spec.place.clone(), format!("`limit` of `{name}` has changed"));
    }
    let of_events = result.query.reads.iter().filter(|_| result.query.input == Input::Events);
    let retyped = of_events.into_iter().filter_map(|path| {
        let (old, new) = (before.events.at(path)?, now.events.at(path)?);
        (arrow_type(&old.data_type) != arrow_type(&new.data_type)).then_some((path, old, new))
    });
    // A type that is none of wider ones is wrong for sure.
    let widens = |old: &Field, new: &Field| is_widening(&arrow_type(&old.data_type), &arrow_type(&new.data_type));
    if let Some((path, old, new)) = retyped.min_by_key(|(_, old, new)| widens(old, new)) {
        let places = &plan.pipeline.events.column_places;
        let place = places.iter().find(|(column, _)| Some(column.to_lowercase()) == path.first().cloned());
        let place = place.map_or_else(|| spec.sql.place.clone(), |(_, place)| place.clone());
        let (old, new) = (&old.data_type, &new.data_type);
        return (place, format!("the type of column `{}` has changed from {old} to {new}", path.join(".")));
    }
    if before.time != now.time {
        return (plan.pipeline.events.time_place.clone(), "the event time has changed".to_owned());
    }
    for (table, schema) in &before.tables {
        if now.tables.iter().any(|(other, now)| other == table && now != schema) {
            let place = plan.pipeline.tables.iter().find(|known| known.name.as_str() == table);
            let place = place.map_or_else(|| spec.sql.place.clone(), |table| table.place.clone());
            return (place, format!("the schema of table `{table}` has changed"));
        }
    }
    (spec.sql.place.clone(), format!("what `{name}` reads has changed"))
}
