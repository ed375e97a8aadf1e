//! Nothing but pinned features: see this package's manifest.
