//! Executable parts of a query: plan templates whose leaves are slots.
//!
//! Plans run without DataFusion's physical optimizer, in one partition: its rules serve clusters of files, and some of
//! them (top-k aggregation, limits in DISTINCT) would change what partial states hold.

mod aggregate;
mod slot;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

pub use aggregate::{Aggregation, EntryPlan};
pub use slot::{Slot, SlotExec, SlotProvider};

use crate::bind::Bound;
use crate::types::normal;

/// Leaf for the events.
pub const INPUT: &str = "input";
/// Leaf for what stands below the aggregate.
pub const ROWS: &str = "rows";
/// Leaf for accumulator states.
pub const STATE: &str = "state";
/// Leaf for final values of groups.
pub const GROUPS: &str = "groups";

/// Rows in one batch of a plan.
pub const BATCH: usize = 8192;

/// Leaf for a table's rows.
pub fn table_slot(table: &str) -> String {
    format!("table {table}")
}

/// A hidden column of the input, as plans carry it: under another name than the input's, which the optimizer would take
/// for the same column.
pub fn carried(name: &str) -> String {
    format!("carried{name}")
}

/// Everything that workers, mergers and row readers are made of.
#[derive(Debug)]
pub struct Parts {
    pub context: Arc<TaskContext>,
    pub input_schema: SchemaRef,
    /// Tables that are joined.
    pub tables: Vec<String>,
    /// The input has [`crate::SEQUENCE`].
    pub sequence: bool,
    /// Visible columns, as they leave the query.
    pub visible: SchemaRef,
    pub below: Arc<dyn ExecutionPlan>,
    /// The same with watermark and row number.
    pub below_late: Option<Arc<dyn ExecutionPlan>>,
    pub aggregation: Option<Aggregation>,
}

/// What a query reads.
#[derive(Debug, Clone)]
pub struct ReadInput {
    pub schema: SchemaRef,
    pub tables: Vec<String>,
    pub sequence: bool,
}

impl Parts {
    pub fn new(
        state: &SessionState,
        bound: &Bound,
        late: Option<LogicalPlan>,
        input: ReadInput,
        limit: Option<usize>,
    ) -> Result<Self> {
        let fields = bound
            .scope
            .columns
            .iter()
            .map(|column| arrow::datatypes::Field::new(&column.shown, normal(&column.data_type), true));
        let visible = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        let below = physical(state, &bound.below)?;
        let below_late = late.map(|late| physical(state, &late)).transpose()?;
        let aggregation = match (&bound.grouping, &bound.above) {
            (Some(grouping), Some(above)) => {
                let above = physical(state, above)?;
                let order = bound.order.clone();
                Some(Aggregation::new(state, grouping, &below.schema(), above, order, limit)?)
            }
            _ => None,
        };
        let context = state.task_ctx();
        let ReadInput { schema: input_schema, tables, sequence } = input;
        Ok(Self { context, input_schema, tables, sequence, visible, below, below_late, aggregation })
    }
}

/// The session in which queries are planned; its functions are Spark's.
pub fn planning_state() -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH);
    let options = config.options_mut();
    options.execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
    options.execution.collect_statistics = false;
    options.sql_parser.map_string_types_to_utf8view = true;
    options.optimizer.prefer_hash_join = true;
    let builder = SessionStateBuilder::new().with_config(config);
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| !AVOIDED.contains(&rule.name()));
    // One build: a builder made from a built state has lost the order in which functions take each other's names.
    manade_functions::register(builder).with_optimizer_rules(rules).with_physical_optimizer_rules(Vec::new()).build()
}

/// Optimizer rules that are left out: the first changes what partial states hold; the others push fields of structs down
/// to files, of which there are none here, and give two columns one name where an unnested struct stands between
/// (DataFusion 55.2).
const AVOIDED: [&str; 3] =
    ["single_distinct_aggregation_to_group_by", "extract_leaf_expressions", "push_down_leaf_projections"];

/// Analysed, optimised and planned; types of strings stay views.
pub fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    futures::executor::block_on(state.create_physical_plan(plan))
}

/// The plan with its leaves over these slots.
pub fn instance(plan: &Arc<dyn ExecutionPlan>, slot: impl Fn(&str) -> Option<Slot>) -> Result<Arc<dyn ExecutionPlan>> {
    let instance = Arc::clone(plan).transform_up(|node| {
        let leaf = node.downcast_ref::<SlotExec>().and_then(|leaf| Some(leaf.over(&slot(leaf.slot_name())?)));
        Ok(match leaf {
            Some(leaf) => Transformed::yes(Arc::new(leaf) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        })
    })?;
    Ok(instance.data)
}
