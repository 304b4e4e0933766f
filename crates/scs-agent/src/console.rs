//! The terminal, or the pipes, of the one container that an agent runs for somebody who waits for it.

use scs_ports::engine::Process;
use tokio::sync::mpsc;

/// Who looks at the containers that an agent starts, and types into them.
#[derive(Debug, Clone)]
pub struct Console {
    /// Gives it a terminal of this size (columns, rows).
    pub tty: Option<(u16, u16)>,
    /// Where process 1 goes, once it runs; nothing it writes is missed.
    pub taken: mpsc::UnboundedSender<Process>,
}
