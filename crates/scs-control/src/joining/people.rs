//! People as administrators ask for them: listed, given other rights, removed.

use super::{person_identity, revoke, rules};
use crate::service::Handle;
use crate::state::PersonRecord;
use scs_api::error::{Code, Problem};
use scs_api::person::{PersonInfo, PersonRequest};
use std::time::SystemTime;

impl Handle {
    /// Everybody who has joined, by name.
    pub async fn people(&self) -> Result<Vec<PersonInfo>, Problem> {
        Ok(self.shared.state.people().await?.into_iter().map(info).collect())
    }

    /// Gives somebody other rights. They count at once.
    pub async fn set_person(&self, name: &str, request: PersonRequest) -> Result<PersonInfo, Problem> {
        rules::rights(request.role, &request.environments)?;
        let mut draft = self.shared.state.draft().await;
        let mut record = draft.person(name).await?.ok_or_else(|| missing(name))?;
        (record.role, record.environments) = (request.role, request.environments);
        draft.put_person(&record);
        draft.commit().await?;
        self.shared.refresh().await?;
        Ok(info(record))
    }

    /// Forgets somebody, and revokes their certificates.
    pub async fn remove_person(&self, name: &str) -> Result<(), Problem> {
        let mut draft = self.shared.state.draft().await;
        let record = draft.person(name).await?.ok_or_else(|| missing(name))?;
        revoke(&mut draft, &person_identity(&record)?, record.certificates, SystemTime::now());
        draft.delete_person(name);
        draft.commit().await?;
        self.shared.refresh().await?;
        Ok(())
    }
}

fn info(record: PersonRecord) -> PersonInfo {
    PersonInfo {
        certificate_ends: record.certificates.last().map(|it| it.not_after),
        name: record.name,
        role: record.role,
        environments: record.environments,
        joined: record.joined,
    }
}

fn missing(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no person {name}")).hint("`scs person ls` lists who there is")
}
