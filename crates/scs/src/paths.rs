//! Paths of the API with their parts escaped.

pub use scs_client::paths::{escape, query};

/// A path below a service: `/v1/services/ENV/SERVICE/rest`.
#[must_use]
pub fn service(environment: &str, service: &str, rest: &str) -> String {
    format!("/v1/services/{}/{}/{rest}", escape(environment), escape(service))
}

/// What a role is asked to do.
#[must_use]
pub fn role(environment: &str, service_name: &str, role: &str, verb: &str) -> String {
    service(environment, service_name, &format!("roles/{}/{verb}", escape(role)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_stays_one_part_of_the_path() {
        assert_eq!(service("dev", "../x?y", "plan"), "/v1/services/dev/..%2Fx%3Fy/plan");
    }
}
