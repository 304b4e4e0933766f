//! What happens to containers.

use crate::Docker;
use crate::call::Subject;
use crate::container::label_filters;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use scs_ports::engine::{Error, Event, EventKind, Labels};
use std::collections::HashMap;

impl Docker {
    pub(crate) async fn watch_events(
        &self,
        labels: &Labels,
    ) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        let subject = Subject::engine("stream its events");
        // bollard asks only when the stream is first read. What happens until then is in the engine's memory of the last
        // 256 events, so it is asked for all since its own clock's now.
        let now = self.query(&subject, self.client.info()).await?.system_time;
        let since =
            now.as_deref().and_then(crate::image::time).and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), vec!["start".to_owned(), "die".to_owned(), "destroy".to_owned()]),
            ("label".to_owned(), label_filters(labels)),
        ]);
        let options = EventsOptions {
            since: since.map(|it| format!("{}.{:09}", it.as_secs(), it.subsec_nanos())),
            until: None,
            filters: Some(filters),
        };
        let docker = self.clone();
        let events = self.client.events(Some(options)).filter_map(move |item| {
            let item = item.map(event).map_err(|error| docker.failure(&subject, error)).transpose();
            async { item }
        });
        Ok(events.boxed())
    }
}

fn event(message: EventMessage) -> Option<Event> {
    let actor = message.actor?;
    let mut labels: Labels = actor.attributes.unwrap_or_default().into_iter().collect();
    let code = labels.remove("exitCode").and_then(|it| it.parse().ok());
    // The engine mixes these of its own in with the labels.
    for own in ["name", "image", "execDuration"] {
        labels.remove(own);
    }
    let kind = match message.action.as_deref()? {
        "start" => EventKind::Started,
        "die" => EventKind::Died(code.unwrap_or(-1)),
        "destroy" => EventKind::Removed,
        _ => return None,
    };
    Some(Event { id: actor.id?, labels, kind })
}
