//! Spark SQL types, as they are written in an event schema.

use serde::{Deserialize, Serialize};

/// A column or a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// As written: names are compared without case, shown with it.
    pub name: String,
    pub data_type: SparkType,
}

/// Spark SQL's data types (<https://spark.apache.org/docs/latest/sql-ref-datatypes.html>).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SparkType {
    Boolean,
    /// `tinyint`, `byte`: 8 bits.
    Byte,
    /// `smallint`, `short`: 16 bits.
    Short,
    /// `int`, `integer`: 32 bits.
    Int,
    /// `bigint`, `long`: 64 bits.
    Long,
    /// `float`, `real`: 32 bits.
    Float,
    Double,
    /// Precision 1 to 38, scale 0 to precision.
    Decimal {
        precision: u8,
        scale: u8,
    },
    String,
    /// In JSON: base64.
    Binary,
    /// In JSON: `yyyy-MM-dd`, or by the format.
    Date(TimeFormat),
    /// A moment, microseconds, UTC.
    Timestamp(TimeFormat),
    /// `timestamp_ntz`: a wall-clock time without a zone, microseconds.
    TimestampNtz(TimeFormat),
    Array(Box<SparkType>),
    Map(Box<SparkType>, Box<SparkType>),
    Struct(Vec<Field>),
}

/// How a date or a timestamp stands in an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// ISO 8601, as Spark's JSON reader takes it without a `timestampFormat`.
    #[default]
    Iso,
    /// A pattern of Spark's (<https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html>).
    Pattern(String),
    EpochSeconds,
    EpochMillis,
    EpochMicros,
}
