//! Images: sources, base systems, configurators, building, and the caches that find a build again.
