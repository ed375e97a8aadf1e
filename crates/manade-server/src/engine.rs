//! Runs a [`Plan`] over a collection's rows: scan, filter, order, page, output; a batch at a time, in bounded memory. The
//! expressions and sorts are DataFusion's. The rest is put together here: a look-up by key spends more on making its
//! operators than on its row.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr, create_physical_expr};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::sorts::sort::{SortExec, sort_batch};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use manade_pipeline::collection::{CollectionInfo, ReadError, Rows, ScanRequest};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::query::plan::Plan;

mod access;
mod expressions;

/// Rows of a batch that queries work on.
const BATCH_ROWS: usize = 8_192;

/// Runs queries, on threads that may block; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    context: Arc<TaskContext>,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A sort, or a page far into one, that does not fit into the queries' memory.
    #[error("the query needs more memory than queries may take")]
    Memory,
    #[error("cannot read the collection: {0}")]
    Read(String),
    #[error("cannot run the query")]
    Failed(#[source] DataFusionError),
}

impl Engine {
    /// `memory`: bytes for the sorts of all queries that run at one time.
    pub fn new(memory: usize) -> Result<Self, EngineError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(EngineError::Failed)?;
        let config = SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH_ROWS);
        Ok(Self { context: Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime)) })
    }

    /// The plan's rows: its output columns, then the order's scalars, then the row's key. One row more than the
    /// plan's limit where there is one, so that the caller sees whether the page is the last.
    pub fn rows(
        &self,
        plan: &Plan,
        info: &CollectionInfo,
        rows: Box<dyn Rows>,
        runtime: &Handle,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, EngineError>>, EngineError> {
        let batches = self.run(plan, info, rows, runtime).map_err(EngineError::of)?;
        Ok(batches.map(|batch| batch.map_err(EngineError::of)))
    }

    /// How many rows match the plan's filters.
    pub fn count(
        &self,
        plan: &Plan,
        info: &CollectionInfo,
        rows: Box<dyn Rows>,
        runtime: &Handle,
    ) -> Result<u64, EngineError> {
        let (output, order) = (Vec::new(), Vec::new());
        let all = Plan { output, order, by_key: false, after: None, offset: 0, limit: None, ..plan.clone() };
        self.rows(&all, info, rows, runtime)?.map(|batch| Ok(batch?.num_rows() as u64)).sum()
    }

    fn run(
        &self,
        plan: &Plan,
        info: &CollectionInfo,
        rows: Box<dyn Rows>,
        runtime: &Handle,
    ) -> Result<Batches, DataFusionError> {
        let (filter, sorts, output) = (expressions::filter(plan), expressions::sorts(plan), expressions::output(plan));
        let (columns, schema) = read(info, filter.iter().chain(sorts.iter().map(|(of, _)| of)).chain(&output));
        let mut batches = scan(rows, plan, columns, &schema);
        let named = DFSchema::try_from(Arc::clone(&schema))?;
        if let Some(filter) = filter {
            batches = filtered(batches, physical(filter, &named)?);
        }
        let offset = usize::try_from(plan.offset).unwrap_or(usize::MAX);
        let fetch = plan.limit.and_then(|limit| usize::try_from(limit).ok()?.checked_add(1));
        let sorts = sorts.into_iter().map(|(of, options)| Ok(PhysicalSortExpr::new(physical(of, &named)?, options)));
        if let Some(order) = LexOrdering::new(sorts.collect::<Result<Vec<_>, DataFusionError>>()?) {
            let first = fetch.and_then(|fetch| fetch.checked_add(offset));
            batches = self.sorted(batches, &schema, order, first, runtime)?;
        }
        let output: Vec<_> = output.into_iter().map(|of| physical(of, &named)).collect::<Result<_, _>>()?;
        projected(page(batches, offset, fetch.unwrap_or(usize::MAX)), output, &schema)
    }

    /// The first so many rows in this order.
    fn sorted(
        &self,
        mut batches: Batches,
        schema: &SchemaRef,
        order: LexOrdering,
        first: Option<usize>,
        runtime: &Handle,
    ) -> Result<Batches, DataFusionError> {
        let head: Vec<RecordBatch> = batches.by_ref().take(2).collect::<Result<_, _>>()?;
        if let [batch] = head.as_slice()
            && batch.num_rows() <= BATCH_ROWS
        {
            return Ok(Box::new(std::iter::once(sort_batch(batch, &order, first))));
        }
        let batches: Batches = Box::new(head.into_iter().map(Ok).chain(batches));
        let source = Source { schema: Arc::clone(schema), batches: Mutex::new(Some(batches)) };
        let leaf = StreamingTableExec::try_new(Arc::clone(schema), vec![Arc::new(source)], None, [], false, None)?;
        let sort = SortExec::new(order, Arc::new(leaf)).with_fetch(first);
        let mut stream = execute_stream(Arc::new(sort), Arc::clone(&self.context))?;
        let runtime = runtime.clone();
        Ok(Box::new(std::iter::from_fn(move || runtime.block_on(stream.next()))))
    }
}

impl EngineError {
    pub fn of(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => return Self::Memory,
            DataFusionError::External(inner) => {
                if let Some(read) = inner.downcast_ref::<ReadError>() {
                    return Self::Read(read.to_string());
                }
            }
            _ => {}
        }
        Self::Failed(error)
    }
}

/// An expression over a scan's columns, its parts brought to types that go together.
fn physical(of: Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let typed = of.rewrite(&mut TypeCoercionRewriter::new(schema))?.data;
    create_physical_expr(&typed, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

/// None of them empty.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, DataFusionError>> + Send>;

/// The columns that expressions read, and the key: where they stand in a collection's rows, and their schema. They are named
/// by their numbers, so that any name that a query writes is safe.
fn read<'a>(info: &CollectionInfo, by: impl Iterator<Item = &'a Expr>) -> (Vec<usize>, SchemaRef) {
    let read: HashSet<&str> = by.flat_map(Expr::column_refs).map(|column| column.name.as_str()).collect();
    let names = info.columns.iter().enumerate();
    let numbered =
        names.map(|(i, column)| (i, Field::new(expressions::column_name(i), column.data_type.clone(), true)));
    let key = (info.columns.len(), Field::new(expressions::KEY, DataType::Binary, false));
    let (columns, fields): (Vec<usize>, Vec<Field>) =
        numbered.filter(|(_, field)| read.contains(field.name().as_str())).chain([key]).unzip();
    (columns, Arc::new(Schema::new(fields)))
}

fn scan(rows: Box<dyn Rows>, plan: &Plan, columns: Vec<usize>, schema: &SchemaRef) -> Batches {
    let schema = Arc::clone(schema);
    let batches = rows.scan(&ScanRequest { equals: plan.equals.clone() });
    kept(batches.map(move |batch| {
        let batch = batch.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let read = columns.iter().map(|column| Arc::clone(batch.column(*column))).collect();
        Ok(RecordBatch::try_new(Arc::clone(&schema), read)?)
    }))
}

fn filtered(batches: Batches, filter: Arc<dyn PhysicalExpr>) -> Batches {
    kept(batches.map(move |batch| {
        let batch = batch?;
        let mask = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        Ok(filter_record_batch(&batch, as_boolean_array(&mask)?)?)
    }))
}

/// Without the empty ones.
fn kept(batches: impl Iterator<Item = Result<RecordBatch, DataFusionError>> + Send + 'static) -> Batches {
    Box::new(batches.filter(|batch| batch.as_ref().map_or(true, |batch| batch.num_rows() > 0)))
}

/// Behind `offset` rows, up to `fetch` of them; what comes after them is not read.
fn page(mut batches: Batches, mut offset: usize, mut fetch: usize) -> Batches {
    kept(std::iter::from_fn(move || {
        let batch = if fetch > 0 { batches.next()? } else { return None };
        Some(batch.map(|batch| {
            let skipped = offset.min(batch.num_rows());
            let rows = fetch.min(batch.num_rows() - skipped);
            (offset, fetch) = (offset - skipped, fetch - rows);
            batch.slice(skipped, rows)
        }))
    }))
}

fn projected(
    batches: Batches,
    output: Vec<Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Batches, DataFusionError> {
    let fields = output.iter().enumerate().map(|(i, of)| Ok(Field::new(format!("o{i}"), of.data_type(schema)?, true)));
    let projected = Arc::new(Schema::new(fields.collect::<Result<Vec<_>, DataFusionError>>()?));
    Ok(Box::new(batches.map(move |batch| {
        let batch = batch?;
        let columns = output.iter().map(|of| of.evaluate(&batch)?.into_array(batch.num_rows()));
        let columns = columns.collect::<Result<Vec<_>, DataFusionError>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&projected), columns)?)
    })))
}

/// Batches as DataFusion's one partition.
struct Source {
    schema: SchemaRef,
    batches: Mutex<Option<Batches>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.batches.lock().take().unwrap_or_else(|| Box::new(std::iter::empty()));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches)))
    }
}
