//! Builds: through the engine's own builder, or, where the machine has it and the caller wants it, through BuildKit.

mod buildkit;
mod classic;
mod transcript;

use crate::Docker;
use crate::image::ByteStream;
use scs_ports::engine::{Build, Error, Image, Progress};

/// How many of a failed step's last lines are reported.
const LAST_LINES: usize = 20;

impl Docker {
    pub(crate) async fn build_image(
        &self,
        request: &Build,
        context: ByteStream,
        progress: &dyn Progress,
    ) -> Result<Image, Error> {
        if request.buildkit
            && let Some(program) = buildkit::program().await
        {
            buildkit::build(self, &program, request, context, progress).await?;
        } else {
            classic::build(self, request, context, progress).await?;
        }
        self.made_image(&request.reference).await
    }
}
