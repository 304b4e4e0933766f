//! Git sources, through the git program: fetched into a cache of bare repositories, resolved to a commit, checked out once.
