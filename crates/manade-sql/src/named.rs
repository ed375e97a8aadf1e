//! What a query names, before any of it is resolved.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::logical_expr::sqlparser::ast::visit_relations;

use crate::bind::STACK;
use crate::parse::{parse, words};

/// All in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// What it reads: `events`, tables, results, and the queries of its own WITH.
    pub relations: BTreeSet<String>,
    /// Every word that is not quoted as text.
    pub words: BTreeSet<String>,
}

/// `None` where the text is no query; compiling it says why.
pub fn named(sql: &str) -> Option<Named> {
    let here = || {
        let query = parse(sql).ok()?;
        let mut relations = BTreeSet::new();
        let _ = visit_relations(&query, |name| {
            relations.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()));
            ControlFlow::<()>::Continue(())
        });
        Some(Named { relations, words: words(sql) })
    };
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("sql-names".to_owned()).stack_size(STACK);
        builder.spawn_scoped(scope, here).ok()?.join().ok()?
    })
}
