//! Runs a [`Plan`] over a collection's rows with DataFusion: one stream, bounded memory, no tasks of its own.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::datasource::provider_as_source;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, SortExpr, TableSource};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionConfig;
use manade_pipeline::collection::{CollectionInfo, ReadError, RowBatches, Rows, ScanRequest};
use parking_lot::Mutex;

use crate::query::plan::Plan;

mod access;
mod expressions;

/// Rows of a batch that queries work on.
const BATCH_ROWS: usize = 8_192;

/// Plans and runs queries; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    state: Arc<SessionState>,
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
        // A plan is a scan, filters, an order and a projection in one partition: all that rules can do for it is to leave
        // out columns that an order would carry along. All of them took two thirds of the time of a look-up by key.
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_optimizer_rules(vec![Arc::new(OptimizeProjections::new())])
            .with_physical_optimizer_rules(Vec::new())
            .build();
        let context = state.task_ctx();
        Ok(Self { state: Arc::new(state), context })
    }

    /// The plan's rows: its output columns, then the order's scalars, then the row's key. One row more than the
    /// plan's limit where there is one, so that the caller sees whether the page is the last.
    pub async fn rows(
        &self,
        plan: &Plan,
        info: &CollectionInfo,
        rows: Box<dyn Rows>,
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let mut builder = filtered(plan, info, rows)?;
        if let Some(after) = &plan.after {
            builder = builder.filter(expressions::after(after, &plan.order)).map_err(EngineError::of)?;
        }
        let offset = usize::try_from(plan.offset).unwrap_or(usize::MAX);
        let fetch = plan.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1));
        let mut sorts: Vec<SortExpr> = plan
            .order
            .iter()
            .map(|order| expressions::compared(&order.operand).sort(!order.descending, order.nulls_first))
            .collect();
        if plan.by_key {
            sorts.push(expressions::key().sort(true, false));
        }
        if !sorts.is_empty() {
            let top = fetch.map(|fetch| fetch.saturating_add(offset)).filter(|top| i64::try_from(*top).is_ok());
            builder = builder.sort_with_limit(sorts, top).map_err(EngineError::of)?;
        }
        let fetch = fetch.filter(|fetch| i64::try_from(*fetch).is_ok());
        if offset > 0 || fetch.is_some() {
            let offset = offset.min(i64::MAX as usize);
            builder = builder.limit(offset, fetch).map_err(EngineError::of)?;
        }
        let logical = builder.project(expressions::projection(plan)).and_then(LogicalPlanBuilder::build);
        self.stream(logical.map_err(EngineError::of)?).await
    }

    /// How many rows match the plan's filters.
    pub async fn count(&self, plan: &Plan, info: &CollectionInfo, rows: Box<dyn Rows>) -> Result<u64, EngineError> {
        let builder = filtered(plan, info, rows)?;
        let logical = builder.project([expressions::key()]).and_then(LogicalPlanBuilder::build);
        let mut stream = self.stream(logical.map_err(EngineError::of)?).await?;
        let mut count = 0;
        while let Some(batch) = futures::StreamExt::next(&mut stream).await {
            count += batch.map_err(EngineError::of)?.num_rows() as u64;
        }
        Ok(count)
    }

    async fn stream(&self, logical: LogicalPlan) -> Result<SendableRecordBatchStream, EngineError> {
        let physical = self.state.create_physical_plan(&logical).await.map_err(EngineError::of)?;
        execute_stream(physical, Arc::clone(&self.context)).map_err(EngineError::of)
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

/// The rows that match the plan's filters.
fn filtered(plan: &Plan, info: &CollectionInfo, rows: Box<dyn Rows>) -> Result<LogicalPlanBuilder, EngineError> {
    let source = source(plan, info, rows)?;
    let mut builder = LogicalPlanBuilder::scan("rows", source, None).map_err(EngineError::of)?;
    for filter in &plan.filters {
        builder = builder.filter(expressions::predicate(filter)).map_err(EngineError::of)?;
    }
    Ok(builder)
}

/// The collection as a table whose columns are numbered: any name that a query writes is safe.
fn source(plan: &Plan, info: &CollectionInfo, rows: Box<dyn Rows>) -> Result<Arc<dyn TableSource>, EngineError> {
    let mut fields: Vec<Field> = info
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(expressions::column_name(i), column.data_type.clone(), true))
        .collect();
    fields.push(Field::new(expressions::KEY, DataType::Binary, false));
    let schema = Arc::new(Schema::new(fields));
    let batches = rows.scan(&ScanRequest { equals: plan.equals.clone() });
    let scan = Scan { schema: Arc::clone(&schema), batches: Mutex::new(Some(batches)) };
    let table = StreamingTable::try_new(schema, vec![Arc::new(scan)]).map_err(EngineError::of)?;
    Ok(provider_as_source(Arc::new(table)))
}

/// A scan as DataFusion's one partition. Its iterator blocks, so that a query runs on a thread that may.
struct Scan {
    schema: SchemaRef,
    batches: Mutex<Option<RowBatches>>,
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
        let schema = Arc::clone(&self.schema);
        let batches = self.batches.lock().take().unwrap_or_else(|| Box::new(std::iter::empty()));
        let renamed = batches.map(move |batch| match batch {
            Ok(batch) => RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).map_err(Into::into),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(renamed)))
    }
}
