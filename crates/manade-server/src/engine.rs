//! Runs a [`Plan`] over a collection's rows with DataFusion: one stream, bounded memory, no tasks of its own.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
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
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use manade_pipeline::collection::{CollectionInfo, ReadError, RowBatches, Rows, ScanRequest};
use parking_lot::Mutex;

use crate::query::plan::Plan;

mod access;
mod expressions;

/// Rows of a batch that queries work on.
const BATCH_ROWS: usize = 8_192;

/// Runs queries; cheap to clone.
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
    ) -> Result<SendableRecordBatchStream, EngineError> {
        self.run(plan, expressions::projection(plan), info, rows).map_err(EngineError::of)
    }

    /// How many rows match the plan's filters.
    pub async fn count(&self, plan: &Plan, info: &CollectionInfo, rows: Box<dyn Rows>) -> Result<u64, EngineError> {
        let all = Plan { order: Vec::new(), by_key: false, after: None, offset: 0, limit: None, ..plan.clone() };
        let projection = vec![(expressions::key(), expressions::KEY.to_owned())];
        let mut stream = self.run(&all, projection, info, rows).map_err(EngineError::of)?;
        let mut count = 0;
        while let Some(batch) = futures::StreamExt::next(&mut stream).await {
            count += batch.map_err(EngineError::of)?.num_rows() as u64;
        }
        Ok(count)
    }

    /// Operators are put one on the other here: of a plan as plain as this a planner makes the same, and takes half of the
    /// time of a look-up by key.
    fn run(
        &self,
        plan: &Plan,
        projection: Vec<(Expr, String)>,
        info: &CollectionInfo,
        rows: Box<dyn Rows>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let filter = expressions::filter(plan);
        let sorts = expressions::sorts(plan);
        let read = filter.iter().chain(sorts.iter().map(|(of, _)| of)).chain(projection.iter().map(|(of, _)| of));
        let scan = Scan::new(plan, info, rows, read);
        let schema = DFSchema::try_from(Arc::clone(&scan.schema))?;
        let mut top: Arc<dyn ExecutionPlan> = Arc::new(StreamingTableExec::try_new(
            Arc::clone(&scan.schema),
            vec![Arc::new(scan)],
            None,
            [],
            false,
            None,
        )?);
        if let Some(filter) = filter {
            top = Arc::new(FilterExec::try_new(physical(filter, &schema)?, top)?);
        }
        let offset = usize::try_from(plan.offset).unwrap_or(usize::MAX);
        let fetch = plan.limit.and_then(|limit| usize::try_from(limit).ok()?.checked_add(1));
        let sorts = sorts.into_iter().map(|(of, options)| Ok(PhysicalSortExpr::new(physical(of, &schema)?, options)));
        if let Some(order) = LexOrdering::new(sorts.collect::<Result<Vec<_>, DataFusionError>>()?) {
            let first = fetch.and_then(|fetch| fetch.checked_add(offset));
            top = Arc::new(SortExec::new(order, top).with_fetch(first));
        }
        if offset > 0 || fetch.is_some() {
            top = Arc::new(GlobalLimitExec::new(top, offset, fetch));
        }
        let output = projection.into_iter().map(|(of, name)| Ok((physical(of, &schema)?, name)));
        let output = output.collect::<Result<Vec<_>, DataFusionError>>()?;
        execute_stream(Arc::new(ProjectionExec::try_new(output, top)?), Arc::clone(&self.context))
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

/// A scan as DataFusion's one partition. Its iterator blocks, so that a query runs on a thread that may.
struct Scan {
    /// The collection's columns by their numbers, so that any name that a query writes is safe, and its key.
    schema: SchemaRef,
    columns: Vec<usize>,
    batches: Mutex<Option<RowBatches>>,
}

impl Scan {
    /// Of the columns that expressions read, and the key.
    fn new<'a>(plan: &Plan, info: &CollectionInfo, rows: Box<dyn Rows>, read: impl Iterator<Item = &'a Expr>) -> Self {
        let read: HashSet<&str> = read.flat_map(Expr::column_refs).map(|column| column.name.as_str()).collect();
        let names = info.columns.iter().enumerate();
        let numbered =
            names.map(|(i, column)| (i, Field::new(expressions::column_name(i), column.data_type.clone(), true)));
        let key = (info.columns.len(), Field::new(expressions::KEY, DataType::Binary, false));
        let (columns, fields): (Vec<usize>, Vec<Field>) =
            numbered.filter(|(_, field)| read.contains(field.name().as_str())).chain([key]).unzip();
        let batches = rows.scan(&ScanRequest { equals: plan.equals.clone() });
        Self { schema: Arc::new(Schema::new(fields)), columns, batches: Mutex::new(Some(batches)) }
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, columns) = (Arc::clone(&self.schema), self.columns.clone());
        let batches = self.batches.lock().take().unwrap_or_else(|| Box::new(std::iter::empty()));
        let renamed = batches.map(move |batch| match batch {
            Ok(batch) => {
                let read = columns.iter().map(|column| Arc::clone(batch.column(*column))).collect();
                RecordBatch::try_new(Arc::clone(&schema), read).map_err(Into::into)
            }
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(renamed)))
    }
}
