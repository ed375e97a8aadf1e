//! MongoDB, by its own driver.

mod client;
mod document;
mod error;
#[cfg(test)]
mod tests;
mod write;

use bson::rawdoc;
use manade_model::{MongoDb, MongoDbSink};

use crate::ConnectError;
pub(crate) use write::Writer;

/// That the server lets us in.
pub(crate) async fn check(store: &MongoDb) -> Result<(), ConnectError> {
    client::reach(store).await?;
    let client = client::connect(store, "manade check")?;
    let answer = client::command(&client.database("admin"), rawdoc! { "ping": 1 }, client::ANSWER).await;
    answer.map(|_| ()).map_err(|failure| failure.trouble(store))
}

/// That the user may look at the database; nothing is written.
pub(crate) async fn check_target(target: &MongoDbSink) -> Result<(), ConnectError> {
    let store = &target.store;
    let client = client::connect(store, "manade check")?;
    let command = rawdoc! {
        "listCollections": 1,
        "nameOnly": true,
        "filter": { "name": target.collection.as_str() },
    };
    let answer = client::command(&client.database(&target.database), command, client::ANSWER).await;
    answer.map(|_| ()).map_err(|failure| failure.trouble(store))
}
