//! Lists of shared endpoints: one endpoint goes to many subscribers and is not copied for each.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serializer};

use crate::model::Endpoint;

pub fn serialize<S: Serializer>(list: &[Arc<Endpoint>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|endpoint| &**endpoint))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Endpoint>>, D::Error> {
    Ok(Vec::<Endpoint>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
}
