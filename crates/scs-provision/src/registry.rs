//! Methods by name.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The methods of one kind (volumes, networks) by the name that a manifest uses.
#[derive(Debug)]
pub struct Registry<P: ?Sized> {
    kind: &'static str,
    methods: BTreeMap<String, Arc<P>>,
}

/// A method that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this host has no {kind} method `{method}`; it has {known}")]
pub struct UnknownMethod {
    /// `volume` or `network`.
    pub kind: &'static str,
    /// What was asked for.
    pub method: String,
    /// The methods that are there, as text.
    pub known: String,
}

impl<P: ?Sized> Registry<P> {
    /// An empty one for things of this kind (`volume`, `network`).
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Registry { kind, methods: BTreeMap::new() }
    }

    /// Adds a method, or replaces the one of that name.
    #[must_use]
    pub fn with(mut self, method: &str, provisioner: Arc<P>) -> Self {
        self.methods.insert(method.to_owned(), provisioner);
        self
    }

    /// The method of this name.
    ///
    /// # Errors
    /// When there is none; the error lists those that are there.
    pub fn get(&self, method: &str) -> Result<Arc<P>, UnknownMethod> {
        self.methods.get(method).cloned().ok_or_else(|| {
            let known: Vec<_> = self.methods.keys().map(|it| format!("`{it}`")).collect();
            UnknownMethod { kind: self.kind, method: method.to_owned(), known: known.join(", ") }
        })
    }

    /// All methods, by name.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<String, Arc<P>> {
        self.methods
    }
}
