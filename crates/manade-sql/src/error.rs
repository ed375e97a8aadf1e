//! What can go wrong while a compiled query runs.

use datafusion::error::DataFusionError;

#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The query failed on these rows.
    #[error("{0}")]
    Failed(String),
    /// The rows given do not have the columns that the query was compiled for.
    #[error("unexpected input: {0}")]
    Input(String),
    /// A defect of the SQL engine; nothing of the batch was used.
    #[error("the SQL engine panicked: {0}")]
    Panicked(String),
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        let error = error.find_root();
        let text = match error {
            DataFusionError::ArrowError(error, _) => error.to_string(),
            DataFusionError::Execution(text) | DataFusionError::Plan(text) | DataFusionError::Internal(text) => {
                text.clone()
            }
            other => other.strip_backtrace(),
        };
        Self::Failed(text)
    }
}

impl From<arrow::error::ArrowError> for SqlError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Failed(error.to_string())
    }
}
