//! `build`: images are built or fetched, and nothing is started.

use super::check_deployment;
use super::events::EventStream;
use crate::service::Handle;
use crate::state::ServiceKey;
use futures_util::stream::StreamExt;
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};

impl Handle {
    /// Builds the images of a deployment on the first host that answers; others find them there.
    pub async fn build(&self, environment: &str, service: &str, request: BuildRequest) -> Result<EventStream, Problem> {
        let service = ServiceKey::new(environment, service);
        check_deployment(&service, &request.deployment)?;
        if let Some(unknown) = request.roles.iter().find(|it| !request.deployment.roles.contains_key(*it)) {
            let roles: Vec<&str> = request.deployment.roles.keys().map(String::as_str).collect();
            let message = format!("{service} has no role {unknown}; it has {}", roles.join(", "));
            return Err(Problem::new(Code::NotFound, message));
        }
        let revision = self.shared.state.service(&service).await?.map_or(0, |it| it.revision);
        let members = self.shared.fleet.members();
        let Some(member) = members.values().find(|it| it.silent().is_none()) else {
            let silent = self.shared.fleet.silent();
            let mut problem = Problem::new(Code::EngineUnavailable, "there is no host to build on");
            problem.causes = silent.iter().map(|(host, silent)| format!("host {host} {silent}")).collect();
            return Err(problem.hint("nothing was built; `scs host ls` lists the hosts"));
        };
        let events = member.agent.build(request).await?;
        let numbered = events.map(move |event| match event {
            Event::Done { addresses, .. } => Event::Done { revision, addresses },
            other => other,
        });
        Ok(numbered.boxed())
    }
}
