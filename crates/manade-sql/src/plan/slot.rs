//! Leaves of plans: batches that are put in place before each run.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

/// Holds the batches of one leaf.
#[derive(Debug, Clone, Default)]
pub struct Slot(Arc<Mutex<Vec<RecordBatch>>>);

impl Slot {
    pub fn put(&self, batches: Vec<RecordBatch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = batches;
    }

    fn get(&self) -> Vec<RecordBatch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A relation that is a slot of this name, for planning.
#[derive(Debug)]
pub struct SlotProvider {
    name: String,
    schema: SchemaRef,
}

impl SlotProvider {
    pub fn new(name: &str, schema: SchemaRef) -> Self {
        Self { name: name.to_owned(), schema }
    }
}

#[async_trait]
impl TableProvider for SlotProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(SlotExec::new(&self.name, &self.schema, projection.cloned())?))
    }
}

/// Yields what is in its slot.
#[derive(Debug, Clone)]
pub struct SlotExec {
    name: String,
    projection: Option<Vec<usize>>,
    projected: SchemaRef,
    slot: Slot,
    properties: Arc<PlanProperties>,
}

impl SlotExec {
    pub fn new(name: &str, schema: &SchemaRef, projection: Option<Vec<usize>>) -> Result<Self> {
        let projected = match &projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => Arc::clone(schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&projected)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties);
        Ok(Self { name: name.to_owned(), projection, projected, slot: Slot::default(), properties })
    }

    pub fn slot_name(&self) -> &str {
        &self.name
    }

    /// The same leaf over another slot.
    pub fn over(&self, slot: &Slot) -> Self {
        Self { slot: slot.clone(), ..self.clone() }
    }
}

impl DisplayAs for SlotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotExec: {}", self.name)
    }
}

impl ExecutionPlan for SlotExec {
    fn name(&self) -> &'static str {
        "SlotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.slot.get();
        Ok(Box::pin(MemoryStream::try_new(batches, Arc::clone(&self.projected), self.projection.clone())?))
    }
}

/// All columns may hold nulls, under other names.
pub fn relabelled(schema: &Schema, name: impl Fn(usize) -> String) -> SchemaRef {
    let fields = schema.fields().iter().enumerate();
    Arc::new(Schema::new(
        fields.map(|(i, field)| field.as_ref().clone().with_name(name(i)).with_nullable(true)).collect::<Vec<_>>(),
    ))
}
